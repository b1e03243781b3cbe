/** @module One reading of one GPU, typed, from a line of `--query-gpu`. */
import {chooseFields} from './fields.ts';
import {type NoValueReason, parseHex, type SmiValue} from './value.ts';

/** Spellings of every quantity a sample holds, newest first; see {@link chooseFields}. */
export const SAMPLE_FIELDS = {
  timestamp: ['timestamp'],
  index: ['index'],
  uuid: ['uuid', 'gpu_uuid'],
  memoryUsedBytes: ['memory.used'],
  powerW: ['power.draw.instant', 'power.draw'],
  /** The older field, for cards that leave the newer one empty. */
  powerDrawW: ['power.draw'],
  smClockHz: ['clocks.current.sm', 'clocks.sm'],
  memoryClockHz: ['clocks.current.memory', 'clocks.mem'],
  temperatureC: ['temperature.gpu'],
  utilizationRatio: ['utilization.gpu'],
  throttleReasons: ['clocks_event_reasons.active', 'clocks_throttle_reasons.active'],
} as const satisfies Record<string, readonly string[]>;

export type SampleKey = keyof typeof SAMPLE_FIELDS;

/** Fields of the inventory: what a card is, read once. */
export const INVENTORY_FIELDS = {
  index: ['index'],
  uuid: ['uuid', 'gpu_uuid'],
  name: ['name', 'gpu_name'],
  driver: ['driver_version'],
  pciBusId: ['pci.bus_id', 'gpu_bus_id'],
  pciDeviceId: ['pci.device_id'],
  memoryTotalBytes: ['memory.total'],
  memoryUsedBytes: ['memory.used'],
  computeCapability: ['compute_cap'],
  migMode: ['mig.mode.current'],
  persistenceMode: ['persistence_mode'],
  eccMode: ['ecc.mode.current'],
  powerLimitW: ['enforced.power.limit', 'power.limit'],
  powerDefaultLimitW: ['power.default_limit'],
  maxSmClockHz: ['clocks.max.sm'],
  maxMemoryClockHz: ['clocks.max.memory'],
  temperatureC: ['temperature.gpu'],
  throttleReasons: ['clocks_event_reasons.active', 'clocks_throttle_reasons.active'],
} as const satisfies Record<string, readonly string[]>;

export type InventoryKey = keyof typeof INVENTORY_FIELDS;

export interface Read<T> {
  readonly value: T | null;
  /** Why there is none; null when there is one. */
  readonly reason: NoValueReason | null;
}

/** A number in the base unit that is expected; another unit, or text where a number belongs, is `unreadable`. */
export function readNumber(value: SmiValue | undefined, unit: string | null): Read<number> {
  if (value === undefined) return {value: null, reason: 'not available'};
  if (value.kind === 'none') return {value: null, reason: value.reason};
  if (value.kind === 'text' || (unit !== null && value.unit !== unit)) return {value: null, reason: 'unreadable'};
  return {value: value.value, reason: null};
}

export function readText(value: SmiValue | undefined): Read<string> {
  if (value === undefined) return {value: null, reason: 'not available'};
  if (value.kind === 'none') return {value: null, reason: value.reason};
  return {value: value.kind === 'text' ? value.text : String(value.value), reason: null};
}

export function readMask(value: SmiValue | undefined): Read<bigint> {
  if (value === undefined) return {value: null, reason: 'not available'};
  if (value.kind === 'none') return {value: null, reason: value.reason};
  const mask = value.kind === 'text' ? parseHex(value.text) : null;
  return mask === null ? {value: null, reason: 'unreadable'} : {value: mask, reason: null};
}

/** Milliseconds between two {@link readTimestamp} of one host; null when one of them is none. A change of the clock is in it. */
export function timestampDifferenceMs(from: string | null, to: string | null): number | null {
  const at = (text: string | null): number => {
    const parts = text === null ? null : /^(\d+)\/(\d+)\/(\d+) (\d+):(\d+):(\d+)\.(\d+)$/.exec(text);
    if (parts === null) return Number.NaN;
    const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0] = parts.slice(1).map(Number);
    return Date.UTC(year, month - 1, day, hour, minute, second, ms);
  };
  const difference = at(to) - at(from);
  return Number.isNaN(difference) ? null : difference;
}

/** `2026/07/03 22:10:46.109`, the local time of the host, as nvidia-smi prints it; null when it is none. */
export function readTimestamp(value: SmiValue | undefined): string | null {
  const text = value?.kind === 'text' ? value.text : '';
  return /^\d{4}\/\d{2}\/\d{2} \d{2}:\d{2}:\d{2}\.\d{3}$/.test(text) ? text : null;
}

/** Bits of the clock event (throttle) reasons, from nvml.h `nvmlClocksEventReason*`. */
export const THROTTLE_BITS = {
  gpuIdle: 0x1n,
  applicationsClocksSetting: 0x2n,
  swPowerCap: 0x4n,
  hwSlowdown: 0x8n,
  syncBoost: 0x10n,
  swThermalSlowdown: 0x20n,
  hwThermalSlowdown: 0x40n,
  hwPowerBrakeSlowdown: 0x80n,
  displayClockSetting: 0x100n,
} as const;

export type ThrottleReason = keyof typeof THROTTLE_BITS;

/**
 * Reasons that hold the clocks below what was asked for. Idle is no throttle (the clocks are low because nothing runs),
 * nor is a clock that somebody set (applications, display) or that another card sets (sync boost).
 */
const HELD_DOWN: readonly ThrottleReason[] = [
  'swPowerCap',
  'hwSlowdown',
  'swThermalSlowdown',
  'hwThermalSlowdown',
  'hwPowerBrakeSlowdown',
];

export function throttleReasons(mask: bigint): readonly ThrottleReason[] {
  // The keys of a constant object are its names.
  return (Object.keys(THROTTLE_BITS) as ThrottleReason[]).filter((reason) => (mask & THROTTLE_BITS[reason]) !== 0n);
}

export function isThrottled(mask: bigint): boolean {
  return throttleReasons(mask).some((reason) => HELD_DOWN.includes(reason));
}

/** One reading; every field that this card or driver does not give is null with its reason in `missing`. */
export interface GpuSample {
  readonly timestamp: string | null;
  readonly index: number | null;
  readonly uuid: string | null;
  readonly memoryUsedBytes: number | null;
  readonly powerW: number | null;
  readonly smClockHz: number | null;
  readonly memoryClockHz: number | null;
  readonly temperatureC: number | null;
  readonly utilizationRatio: number | null;
  readonly throttleMask: bigint | null;
  readonly missing: Readonly<Partial<Record<SampleKey, NoValueReason>>>;
}

/** @param names For each key the field name that was queried, from {@link chooseFields}. */
export function gpuSample(row: ReadonlyMap<string, SmiValue>, names: ReadonlyMap<SampleKey, string>): GpuSample {
  const missing: Partial<Record<SampleKey, NoValueReason>> = {};
  const cell = (key: SampleKey) => {
    const name = names.get(key);
    return name === undefined ? undefined : row.get(name);
  };
  const power = readNumber(cell('powerW'), 'W');
  const keep = <T>(key: SampleKey, {value, reason}: Read<T>): T | null => {
    if (reason !== null) missing[key] = reason;
    return value;
  };
  return {
    timestamp: readTimestamp(cell('timestamp')),
    index: keep('index', readNumber(cell('index'), null)),
    uuid: keep('uuid', readText(cell('uuid'))),
    memoryUsedBytes: keep('memoryUsedBytes', readNumber(cell('memoryUsedBytes'), 'bytes')),
    powerW: keep(
      'powerW',
      power.value === null && names.has('powerDrawW') ? readNumber(cell('powerDrawW'), 'W') : power,
    ),
    smClockHz: keep('smClockHz', readNumber(cell('smClockHz'), 'Hz')),
    memoryClockHz: keep('memoryClockHz', readNumber(cell('memoryClockHz'), 'Hz')),
    temperatureC: keep('temperatureC', readNumber(cell('temperatureC'), null)),
    utilizationRatio: keep('utilizationRatio', readNumber(cell('utilizationRatio'), 'ratio')),
    throttleMask: keep('throttleReasons', readMask(cell('throttleReasons'))),
    missing,
  };
}

/** The query that gives {@link gpuSample}: names in a fixed order, only what this driver has. */
export function sampleQuery(available: ReadonlyMap<string, string>): ReadonlyMap<SampleKey, string> {
  return chooseFields(available, SAMPLE_FIELDS);
}
