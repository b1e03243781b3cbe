/**
 * @module One value as nvidia-smi prints it.
 *
 * nvidia-smi has many ways to say that it has no value. Each of them is `null` with the reason here, never 0: a card that
 * does not report its power does not draw 0 W.
 */

/** Why there is no value, in nvidia-smi's own words where it has any. */
export type NoValueReason =
  | 'not available'
  | 'not supported'
  | 'unknown error'
  | 'insufficient permissions'
  | 'gpu is lost'
  | 'deprecated'
  | 'empty'
  | 'unreadable';

export type SmiValue =
  | {readonly kind: 'number'; readonly value: number; readonly unit: string | null}
  | {readonly kind: 'text'; readonly text: string}
  | {readonly kind: 'none'; readonly reason: NoValueReason};

/** Spelled with and without brackets, by one driver or another; compared in lower case. */
const NO_VALUE: ReadonlyMap<string, NoValueReason> = new Map([
  ['n/a', 'not available'],
  ['not available', 'not available'],
  ['not supported', 'not supported'],
  ['unknown error', 'unknown error'],
  ['unknown', 'unknown error'],
  ['err!', 'unknown error'],
  ['error', 'unknown error'],
  ['insufficient permissions', 'insufficient permissions'],
  ['gpu is lost', 'gpu is lost'],
  ['gpu requires reset', 'gpu is lost'],
  ['requested functionality has been deprecated', 'deprecated'],
  ['', 'empty'],
]);

const NUMBER = /^([+-]?\d+(?:\.\d+)?)(?: (%|[A-Za-z][A-Za-z/]{0,7}))?$/;

/** The reason that a text stands for no value, or null when it stands for one. */
export function noValueReason(text: string): NoValueReason | null {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  return NO_VALUE.get(bare.trim().toLowerCase()) ?? null;
}

/**
 * Reads one value: a decimal number with its unit (`143771 MiB`, `7 %`, `0 us`, or bare), any other text, or no value.
 * Hexadecimal words (`0x01FF`) stay text: {@link parseHex} reads them. Never throws.
 */
export function parseValue(raw: string): SmiValue {
  const text = raw.trim();
  const reason = noValueReason(text);
  if (reason !== null) return {kind: 'none', reason};
  const match = NUMBER.exec(text);
  if (match !== null) {
    const value = Number(match[1]);
    if (Number.isFinite(value)) return {kind: 'number', value, unit: match[2] ?? null};
  }
  return {kind: 'text', text};
}

/** A bit mask such as `0x0000000000000004`; null when the text is none. */
export function parseHex(text: string): bigint | null {
  return /^0x[0-9a-fA-F]{1,16}$/.test(text) ? BigInt(text) : null;
}

const TO_BASE: Readonly<Record<string, {readonly unit: string; readonly factor: number}>> = {
  B: {unit: 'bytes', factor: 1},
  KiB: {unit: 'bytes', factor: 1024},
  MiB: {unit: 'bytes', factor: 1024 ** 2},
  GiB: {unit: 'bytes', factor: 1024 ** 3},
  MHz: {unit: 'Hz', factor: 1e6},
  W: {unit: 'W', factor: 1},
  mW: {unit: 'W', factor: 1e-3},
  '%': {unit: 'ratio', factor: 0.01},
  us: {unit: 's', factor: 1e-6},
  ms: {unit: 's', factor: 1e-3},
  s: {unit: 's', factor: 1},
  C: {unit: '°C', factor: 1},
};

/** A value in base units (bytes, Hz, W, ratio, s, °C); null for a unit this parser does not know. */
export function toBase(value: number, unit: string): {readonly value: number; readonly unit: string} | null {
  const known = Object.hasOwn(TO_BASE, unit) ? TO_BASE[unit] : undefined;
  return known === undefined ? null : {value: value * known.factor, unit: known.unit};
}
