/** 95 %. */
const COVERAGE = 0.95;

/**
 * Half width of the distribution-free interval of the median, relative to the median. Infinity while there are too few
 * values for such an interval (below 6).
 *
 * The interval runs from the k-th smallest to the k-th largest value, k the largest rank for which
 * 1 − 2 P(Binomial(n, ½) < k) is still at least 95 % (David and Nagaraja, Order Statistics, 3rd ed., section 7.1).
 */
export function relativeHalfWidth(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  const rank = medianRank(n);
  const low = sorted[rank - 1];
  const high = sorted[n - rank];
  const middle = median(sorted);
  if (rank === 0 || low === undefined || high === undefined || !(middle > 0)) return Number.POSITIVE_INFINITY;
  return (high - low) / 2 / middle;
}

/** @param sorted Ascending, not empty. */
export function median(sorted: readonly number[]): number {
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** The rank k above; 0 when even the extremes do not cover. */
export function medianRank(n: number): number {
  let probability = 0.5 ** n;
  // Above about 1074 values 2^-n is no longer a number other than 0: take the normal approximation there.
  if (probability === 0) return Math.floor(n / 2 - 0.98 * Math.sqrt(n));
  let below = 0;
  let rank = 0;
  while (rank < n / 2) {
    below += probability;
    if (1 - 2 * below < COVERAGE) break;
    probability *= (n - rank) / (rank + 1);
    rank++;
  }
  return rank;
}
