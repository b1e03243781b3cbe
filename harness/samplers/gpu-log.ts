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
  gpu_utilization_ratio: 'ratio',
  gpu_throttled_ratio: 'ratio',
} as const;

const SLOW_UNITS = {gpu_memory_clock_hz: 'Hz', gpu_temperature_c: '°C'} as const;

/** An SM clock below this share of its reference while busy is throttled, whatever the driver says (nvbench's default). */
const THROTTLED_CLOCK = 0.75;
/** Power above this multiple of what the card may draw is an error of the sensor, or of the driver. */
const IMPLAUSIBLE_POWER = 1.1;

/** One reading of a card; null is what it did not tell. */
export interface GpuReading {
  readonly memoryUsedBytes: number | null;
  readonly powerW: number | null;
  readonly energyJ: number | null;
  readonly smClockHz: number | null;
  readonly utilizationRatio: number | null;
  readonly throttleMask: bigint | null;
}

/** What changes slowly; NVML is asked for it more seldom. */
export interface GpuSlowReading {
  readonly memoryClockHz: number | null;
  readonly temperatureC: number | null;
}

export interface GpuLogOptions {
  /** Id of the sampler. */
  readonly source: string;
  readonly periodMs: number;
  /** Time between two slow readings. @default periodMs */
  readonly slowPeriodMs?: number;
  /** Reference of the SM clock; null when unknown. */
  readonly smClockHz: number | null;
  /** °C at which the card slows down by itself; null when unknown. */
  readonly slowdownC: number | null;
  /** What the card may draw; null when unknown. */
  readonly powerLimitW: number | null;
}

/**
 * The channels of one card. `gpu_throttled_ratio` is 1 or 0 for a busy moment and null for an idle one: low clocks
 * without work are no throttling. `gpu_sm_clock_busy_hz` is the SM clock of busy moments.
 */
export class GpuLog {
  readonly #options: GpuLogOptions;
  readonly #log: SeriesLog<keyof typeof UNITS>;
  readonly #slow: SeriesLog<keyof typeof SLOW_UNITS>;
  readonly #pauses: Pauses;
  readonly #slowPauses: Pauses;
  #heat: boolean = false;

  constructor(options: GpuLogOptions) {
    this.#options = options;
    const {periodMs, slowPeriodMs = periodMs} = options;
    this.#log = new SeriesLog(UNITS, periodMs);
    this.#slow = new SeriesLog(SLOW_UNITS, slowPeriodMs);
    this.#pauses = new Pauses(periodMs);
    this.#slowPauses = new Pauses(slowPeriodMs);
  }

  push(tMs: number, reading: GpuReading): void {
    const {smClockHz, throttleMask} = reading;
    const busy = isBusy(reading);
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
        gpu_utilization_ratio: reading.utilizationRatio,
        gpu_throttled_ratio: busy === true ? this.#throttled(reading) : null,
      },
      this.#pauses.missedBefore(tMs),
    );
  }

  pushSlow(tMs: number, {memoryClockHz, temperatureC}: GpuSlowReading): void {
    const {slowdownC} = this.#options;
    if (temperatureC !== null && slowdownC !== null && temperatureC >= slowdownC) this.#heat = true;
    const reading = {gpu_memory_clock_hz: memoryClockHz, gpu_temperature_c: temperatureC};
    this.#slow.push(tMs, reading, this.#slowPauses.missedBefore(tMs));
  }

  /** A reading, of both kinds, that came and could not be read. */
  unreadable(tMs: number): void {
    this.#log.push(tMs, {}, this.#pauses.missedBefore(tMs));
    this.#slow.push(tMs, {}, this.#slowPauses.missedBefore(tMs));
  }

  series(): readonly Series[] {
    return [...this.#log.series(), ...this.#slow.series()].map((one) => ({...one, source: this.#options.source}));
  }

  caveats(): Caveat[] {
    const caveats: Caveat[] = [...gapCaveats(this.#log.gapRatio)];
    const hottest = Math.max(...this.#slow.known('gpu_temperature_c'));
    const {powerLimitW} = this.#options;
    const strongest = this.#log.known('gpu_power_w').reduce((most, watts) => Math.max(most, watts), 0);
    if (powerLimitW !== null && strongest > IMPLAUSIBLE_POWER * powerLimitW) {
      caveats.push({code: 'power-implausible', value: `${Math.round(strongest)}/${Math.round(powerLimitW)}`});
    }
    if (this.#heat) caveats.push(Number.isFinite(hottest) ? {code: 'hot', value: String(hottest)} : {code: 'hot'});
    return caveats;
  }

  #throttled({smClockHz, throttleMask}: GpuReading): number | null {
    const {smClockHz: reference} = this.#options;
    const slow = smClockHz === null || reference === null ? null : smClockHz < THROTTLED_CLOCK * reference;
    const told = throttleMask === null ? null : isThrottled(throttleMask);
    if (slow === null && told === null) return null;
    return slow === true || told === true ? 1 : 0;
  }
}

/** Readings that did not come. */
class Pauses {
  readonly #periodMs: number;
  #lastMs: number | null = null;

  constructor(periodMs: number) {
    this.#periodMs = periodMs;
  }

  /** Readings that should have come since the last one: a pause of up to two periods is jitter. */
  missedBefore(tMs: number): number {
    const pauseMs = tMs - (this.#lastMs ?? tMs);
    this.#lastMs = tMs;
    return pauseMs > 2 * this.#periodMs ? Math.floor(pauseMs / this.#periodMs) - 1 : 0;
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
