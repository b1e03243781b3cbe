import {studentCritical} from '../../harness/derive/special.ts';

/** One measured figure beside its goal. */
export interface Figure {
  readonly what: string;
  /** Text with unit, for people: `0.994 (0.989–1.002, 7 pairs)`. */
  readonly value: string;
  readonly goal: string;
  /** null: no goal, or it cannot be judged here. */
  readonly met: boolean | null;
  /** false: there is a goal, and the interval of the figure lies on both sides of it. */
  readonly resolved?: false;
}

export interface SelfContext {
  /** Shorter runs for a look; figures to publish come from the whole thing. */
  readonly quick: boolean;
  /** Text that the name of a comparison must hold, `q8_0 tg`; empty: all of them. */
  readonly only: string;
  readonly cacheDir: string;
  /** Progress, to stderr. */
  log(text: string): void;
}

/** One part of `npm run bench:self`: it measures bench itself and prints figures beside their goals. */
export interface Section {
  readonly name: string;
  readonly doc: string;
  run(context: SelfContext): Promise<readonly Figure[]>;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/**
 * 95 % interval of a median without an assumption about the distribution: ranks n/2 ± 0.98 √n (sign test, normal
 * approximation of the binomial; for n ≥ 20).
 */
export function medianBounds(values: readonly number[]): readonly [number, number] {
  const sorted = [...values].sort((a, b) => a - b);
  const reach = 0.98 * Math.sqrt(sorted.length);
  const low = Math.max(0, Math.floor(sorted.length / 2 - reach));
  const high = Math.min(sorted.length - 1, Math.ceil(sorted.length / 2 + reach));
  return [sorted[low] ?? Number.NaN, sorted[high] ?? Number.NaN];
}

/** Mean with its 95 % interval by Student's t; NaN bounds below two values. */
export function meanInterval(values: readonly number[]): {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
} {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const reach = n < 2 ? Number.NaN : studentCritical(n - 1, 0.95) * Math.sqrt(variance / n);
  return {mean, low: mean - reach, high: mean + reach};
}

/** `median (min–max, n pairs)`. */
export function spread(values: readonly number[], digits = 3): string {
  const show = (value: number) => value.toFixed(digits);
  return `${show(median(values))} (${show(Math.min(...values))}–${show(Math.max(...values))}, n = ${values.length})`;
}
