/**
 * Sample quantile, type 7 of Hyndman & Fan (1996), "Sample Quantiles in Statistical Packages", The American
 * Statistician 50(4): linear interpolation between the order statistics at h = (n − 1)p + 1. It is the default of R
 * and numpy.
 *
 * @param sorted Ascending, without NaN.
 * @param p 0 … 1.
 * @returns null of no values.
 */
export function quantileOfSorted(sorted: readonly number[], p: number): number | null {
  if (!(p >= 0 && p <= 1)) throw new RangeError(`quantile: p is ${p}, not between 0 and 1`);
  const h = (sorted.length - 1) * p;
  const below = sorted[Math.floor(h)];
  const above = sorted[Math.ceil(h)];
  if (below === undefined || above === undefined) return null;
  // Equal neighbours are returned as they are: below + (above − below)·f could round away from both.
  return below === above ? below : below + (above - below) * (h - Math.floor(h));
}

/** Type 7, of values in any order. */
export function quantile(values: readonly number[], p: number): number | null {
  return quantileOfSorted(ascending(values), p);
}

export function median(values: readonly number[]): number | null {
  return quantile(values, 0.5);
}

/** A sorted copy, as numbers: typed, which sorts several times faster than with a function that compares two. */
export function ascending(values: readonly number[]): number[] {
  const typed = new Float64Array(values).sort();
  const sorted = new Array<number>(typed.length);
  for (let at = 0; at < typed.length; at++) sorted[at] = typed[at] ?? 0;
  return sorted;
}
