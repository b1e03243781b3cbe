import type {Caveat} from '../contract/caveats.ts';
import type {Series} from '../contract/sampler.ts';
import {isThrottled, throttleReasons} from '../nvidia-smi/gpu-sample.ts';
import {gapCaveats} from './gap-caveats.ts';
import {SeriesLog} from './series-log.ts';

const UNITS = {
  vram_used_bytes: 'bytes',
  gpu_power_w: 'W',
  gpu_energy_j: 'J',
  gpu_sm_clock_hz: 'Hz',
  gpu_sm_clock_busy_hz: 'Hz',
  gpu_memory_clock_hz: 'Hz',
  gpu_temperature_c: '°C',
  gpu_utilization_ratio: 'ratio',
  gpu_throttled_ratio: 'ratio',
} as const;

/** An SM clock below this share of its reference while busy is throttled, whatever the driver says (nvbench's default). */
const THROTTLED_CLOCK = 0.75;

/** One reading of a card; null is what it did not tell. */
export interface GpuReading {
  readonly memoryUsedBytes: number | null;
  readonly powerW: number | null;
  readonly energyJ: number | null;
  readonly smClockHz: number | null;
  readonly memoryClockHz: number | null;
  readonly temperatureC: number | null;
  readonly utilizationRatio: number | null;
  readonly throttleMask: bigint | null;
}

export interface GpuLogOptions {
  /** Id of the sampler. */
  readonly source: string;
  readonly periodMs: number;
  /** Reference of the SM clock; null when unknown. */
  readonly smClockHz: number | null;
  /** °C at which the card slows down by itself; null when unknown. */
  readonly slowdownC: number | null;
}

/**
 * The channels of one card. `gpu_throttled_ratio` is 1 or 0 for a busy moment and null for an idle one: low clocks
 * without work are no throttling. `gpu_sm_clock_busy_hz` is the SM clock of busy moments.
 */
export class GpuLog {
  readonly #options: GpuLogOptions;
  readonly #log: SeriesLog<keyof typeof UNITS>;
  #heat: boolean = false;
  #lastMs: number | null = null;

  constructor(options: GpuLogOptions) {
    this.#options = options;
    this.#log = new SeriesLog(UNITS, options.periodMs);
  }

  push(tMs: number, reading: GpuReading): void {
    const {smClockHz, throttleMask, temperatureC} = reading;
    const busy = isBusy(reading);
    const {slowdownC} = this.#options;
    if (temperatureC !== null && slowdownC !== null && temperatureC >= slowdownC) this.#heat = true;
    if (throttleMask !== null && throttleReasons(throttleMask).some((reason) => reason.endsWith('ThermalSlowdown'))) {
      this.#heat = true;
    }
    this.#log.push(
      tMs,
      {
        vram_used_bytes: reading.memoryUsedBytes,
        gpu_power_w: reading.powerW,
        gpu_energy_j: reading.energyJ,
        gpu_sm_clock_hz: smClockHz,
        gpu_sm_clock_busy_hz: busy === true ? smClockHz : null,
        gpu_memory_clock_hz: reading.memoryClockHz,
        gpu_temperature_c: temperatureC,
        gpu_utilization_ratio: reading.utilizationRatio,
        gpu_throttled_ratio: busy === true ? this.#throttled(reading) : null,
      },
      this.#missedBefore(tMs),
    );
  }

  /** A reading that came and could not be read. */
  unreadable(tMs: number): void {
    this.#log.push(tMs, {}, this.#missedBefore(tMs));
  }

  series(): readonly Series[] {
    return this.#log.series().map((one) => ({...one, source: this.#options.source}));
  }

  caveats(): Caveat[] {
    const caveats: Caveat[] = [...gapCaveats(this.#log.gapRatio)];
    const hottest = Math.max(...this.#log.known('gpu_temperature_c'));
    if (this.#heat) caveats.push(Number.isFinite(hottest) ? {code: 'hot', value: String(hottest)} : {code: 'hot'});
    return caveats;
  }

  /** Readings that should have come since the last one: a pause of up to two periods is jitter. */
  #missedBefore(tMs: number): number {
    const pauseMs = tMs - (this.#lastMs ?? tMs);
    this.#lastMs = tMs;
    const {periodMs} = this.#options;
    return pauseMs > 2 * periodMs ? Math.floor(pauseMs / periodMs) - 1 : 0;
  }

  #throttled({smClockHz, throttleMask}: GpuReading): number | null {
    const {smClockHz: reference} = this.#options;
    const slow = smClockHz === null || reference === null ? null : smClockHz < THROTTLED_CLOCK * reference;
    const told = throttleMask === null ? null : isThrottled(throttleMask);
    if (slow === null && told === null) return null;
    return slow === true || told === true ? 1 : 0;
  }
}

/**
 * Whether the card had work. The driver's idle bit decides against it; the utilization, which looks back up to a second,
 * does so when it is 0. Null when the card tells neither (a MIG slice).
 */
function isBusy({throttleMask, utilizationRatio}: GpuReading): boolean | null {
  if (throttleMask === null && utilizationRatio === null) return null;
  const idleBit = throttleMask !== null && throttleReasons(throttleMask).includes('gpuIdle');
  return !idleBit && utilizationRatio !== 0;
}
