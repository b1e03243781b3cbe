import type {Caveat} from '../contract/caveats.ts';
import type {GpuFacts, HostFacts} from '../contract/device.ts';
import {gpuCaveats} from './gpu-caveats.ts';

/** The card of a cell, with what is known of it before it runs. */
export interface GpuTarget {
  readonly index: number;
  readonly uuid: string | null;
  /** Reference of the SM clock: the data sheet's, else the highest that the card can be set to. */
  readonly smClockHz: number | null;
  readonly slowdownC: number | null;
  /** What the card may draw: the data sheet's power, or the limit that somebody has raised; null when neither is known. */
  readonly powerLimitW: number | null;
  readonly caveats: readonly Caveat[];
}

export type GpuHost = Pick<HostFacts, 'gpus' | 'devices'>;

export function gpuTarget(host: GpuHost, index: number): GpuTarget {
  const gpu: GpuFacts | undefined = host.gpus.find((one) => one.index === index);
  const entry = host.devices.find(({gpuIndex}) => gpuIndex === index)?.entry ?? null;
  return {
    index,
    uuid: gpu?.uuid ?? null,
    smClockHz: entry?.sm_clock_hz ?? gpu?.maxSmClockHz ?? null,
    slowdownC: gpu?.slowdownC ?? null,
    powerLimitW: highest(entry?.tdp_w ?? null, gpu?.powerLimitW ?? null),
    caveats: gpu === undefined ? [] : gpuCaveats(gpu),
  };
}

function highest(...known: readonly (number | null)[]): number | null {
  const most = Math.max(...known.filter((value) => value !== null));
  return Number.isFinite(most) ? most : null;
}
