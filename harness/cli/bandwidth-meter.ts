import type {DeviceIdentity, HostFacts, MeasuredBandwidth} from '../contract/device.ts';
import {measureReadBandwidth} from '../device/bandwidth.ts';
import {measureGpuBandwidth} from '../device/gpu-bandwidth.ts';

export interface BandwidthRequest {
  readonly device: DeviceIdentity;
  readonly threads: number;
  readonly signal: AbortSignal;
}

/**
 * Measures the memory of this machine's devices: a CPU's with as many threads as the cell, a GPU's through PyTorch, once,
 * for threads of the CPU do not matter to it. Null where there is no way to.
 */
export function bandwidthMeter({
  software,
}: HostFacts): (request: BandwidthRequest) => Promise<MeasuredBandwidth | null> {
  const gpus = new Map<number, Promise<MeasuredBandwidth | null>>();
  return async ({device: {gpuIndex}, threads, signal}) => {
    if (gpuIndex === null) return await measureReadBandwidth({threads, signal});
    const measured = gpus.get(gpuIndex) ?? measureGpuBandwidth({python: software.python, gpuIndex, signal});
    gpus.set(gpuIndex, measured);
    return await measured;
  };
}
