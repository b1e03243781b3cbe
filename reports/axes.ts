/** Scales and axes that marks are set on: domains are given, so that filtering on the page does not move them. */

export interface Measured {
  readonly scale: {type: 'log' | 'linear'; domain: [number, number]; nice: boolean; base?: number};
  readonly axis: {values?: number[]; tickCount?: number; format: string; labelExpr?: string};
}

/** A title that says so where equal distances are equal factors. */
export function scaleTitle(title: string, {scale}: Measured): string {
  return scale.type === 'log' ? `${title}, logarithmic` : title;
}

/** Room beyond the outermost figures of a logarithmic axis. */
const BEYOND = 1.15;
/** Spread from which on a linear axis from zero would press the small figures into its corner. */
const WIDE = 30;
const NUMBER = ',~r';

const isPositive = (value: number | null | undefined): value is number =>
  typeof value === 'number' && value > 0 && Number.isFinite(value);

/** What a logarithmic scale can show; null hides the mark. */
export function positive(value: number | null): number | null {
  return isPositive(value) ? value : null;
}

/** Least and most of the positive values; null when there is none. */
export function extent(values: readonly (number | null | undefined)[]): [number, number] | null {
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  for (const value of values) {
    if (!isPositive(value)) continue;
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return most === 0 ? null : [least, most];
}

/** For figures that are compared by their ratio: linear from zero, or logarithmic over more than a decade and a half. */
export function ratioAxis(values: readonly (number | null | undefined)[]): Measured {
  const ends = extent(values);
  if (ends === null || ends[1] / ends[0] < WIDE) return linearAxis([0, (ends?.[1] ?? 1) * 1.02]);
  return logAxis([ends[0] / BEYOND, ends[1] * BEYOND]);
}

/** A linear axis whose ends are round numbers. */
export function linearAxis([from, to]: readonly [number, number], most = Number.POSITIVE_INFINITY): Measured {
  const step = roundStep((to - from || Math.abs(to) || 1) / 5);
  const low = Math.floor(from / step + 1e-9) * step;
  const high = Math.max(low + step, Math.ceil(to / step - 1e-9) * step);
  return {
    scale: {type: 'linear', domain: [trimmed(low), Math.min(most, trimmed(high))], nice: false},
    axis: {tickCount: 6, format: NUMBER},
  };
}

export function logAxis(domain: readonly [number, number]): Measured {
  const [from, to] = domain;
  return {
    scale: {type: 'log', domain: [from, to], nice: false},
    axis: {values: logTicks(domain), format: NUMBER},
  };
}

/** `1/4×`, `0.75×`, `1×`, `8×`: halvings as fractions, which people read faster than 0.015625. */
const TIMES_LABEL =
  "(datum.value < 0.7 && abs(1 / datum.value - round(1 / datum.value)) < 0.001 ? '1/' + round(1 / datum.value) : datum.label) + '×'";

/** For factors around 1: doublings are equally long, 0.5 and 2 are always in sight. */
export function timesAxis(values: readonly (number | null | undefined)[]): Measured {
  const [least, most] = extent(values) ?? [1, 1];
  const low = Math.min(-1, Math.floor(Math.log2(least) + 1e-9));
  const high = Math.max(1, Math.ceil(Math.log2(most) - 1e-9));
  const step = Math.ceil((high - low) / 8);
  const ticks: number[] = [];
  for (let power = Math.ceil(low / step) * step; power <= high; power += step) {
    ticks.push(2 ** power);
    if (high - low <= 3 && power < high) ticks.push(1.5 * 2 ** power);
  }
  return {
    scale: {type: 'log', base: 2, domain: [2 ** low, 2 ** high], nice: false},
    axis: {values: ticks, format: '~g', labelExpr: TIMES_LABEL},
  };
}

/** Where a value lies between the ends of its scale, from 0 to 1. */
export function shareOf(value: number, {type, domain: [from, to]}: Measured['scale']): number {
  return type === 'log' ? Math.log(value / from) / Math.log(to / from) : (value - from) / (to - from);
}

/** The least of 1, 2, 2.5 and 5 times a power of ten that is no less. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return ([1, 2, 2.5, 5].find((step) => step * power >= least * (1 - 1e-9)) ?? 10) * power;
}

/** Without the tail of binary fractions. */
const trimmed = (value: number): number => Number(value.toPrecision(12));

/** From coarse to fine: the first that gives four ticks is taken. */
const STEPS = [
  [1],
  [1, 2, 5],
  [1, 1.5, 2, 3, 5, 7],
  [1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9],
] as const;
const ENOUGH = 4;

function logTicks([from, to]: readonly [number, number]): number[] {
  const first = Math.floor(Math.log10(from));
  const decades = Array.from({length: Math.ceil(Math.log10(to)) - first + 1}, (_, index) => first + index);
  let ticks: number[] = [];
  for (const steps of STEPS) {
    ticks = decades
      .flatMap((decade) => steps.map((step) => trimmed(step * 10 ** decade)))
      .filter((tick) => tick >= from && tick <= to);
    if (ticks.length >= ENOUGH) break;
  }
  // Twelve decades are more than an axis has room for.
  const skip = Math.ceil(ticks.length / 12);
  return ticks.filter((_, index) => index % skip === 0);
}
