/** Units of everything that is stored. Stored values are always base units; only text for people is scaled. */
export type Unit =
  | 'bytes'
  | 'bytes/s'
  | 'tokens/s'
  | 'requests/s'
  | 'ms'
  | 's'
  | 'J'
  | 'J/token'
  | 'W'
  | 'Hz'
  | '°C'
  | 'ratio'
  | 'bits'
  | 'tokens'
  | 'USD'
  | 'USD/h';

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
const DECIMAL = ['', 'k', 'M', 'G', 'T'] as const;

function scaled(value: number, base: number, prefixes: readonly string[]): string {
  let rest = value;
  let step = 0;
  while (Math.abs(rest) >= base && step < prefixes.length - 1) {
    rest /= base;
    step++;
  }
  return `${formatSignificant(rest)} ${prefixes[step] ?? ''}`.trimEnd();
}

/** Three significant digits, without exponent: 0.0123, 1.23, 12.3, 123, 1234. */
export function formatSignificant(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const magnitude = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.min(6, Math.max(0, 2 - magnitude)));
}

/** Bytes for people, in powers of 1024: `1.23 GiB`, `512 B`. */
export function formatBytes(bytes: number): string {
  return Math.abs(bytes) < 1024 ? `${Math.round(bytes)} B` : scaled(bytes, 1024, BINARY);
}

/** Any rate or frequency for people, in powers of 1000: `25.5 GB/s`, `3.20 GHz`. */
export function formatScaled(value: number, unit: string): string {
  const text = scaled(value, 1000, DECIMAL);
  return /[a-zA-Z]$/.test(text) ? `${text}${unit}` : `${text} ${unit}`;
}

/** Seconds for people: `850 ms`, `12.3 s`, `4 min 05 s`, `1 h 12 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${formatSignificant(seconds)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}
