/** A figure with its 95 % interval; both bounds are the figure itself where it has none. */
export interface Range {
  readonly low: number;
  readonly value: number;
  readonly high: number;
}

export function pointRange(value: number): Range {
  return {low: value, value, high: value};
}

/** What a range becomes under a function that only falls, or only rises. */
export function mapRange({low, value, high}: Range, of: (value: number) => number): Range {
  const [a, b] = [of(low), of(high)];
  return {low: Math.min(a, b), value: of(value), high: Math.max(a, b)};
}

/** a ÷ b of independent positive figures, at their worst and best. */
export function divideRanges(a: Range, b: Range): Range {
  return {low: a.low / b.high, value: a.value / b.value, high: a.high / b.low};
}

export function scaleRange(range: Range, factor: number): Range {
  return mapRange(range, (value) => value * factor);
}

export function overlap(a: Range, b: Range): boolean {
  return a.low <= b.high && b.low <= a.high;
}
