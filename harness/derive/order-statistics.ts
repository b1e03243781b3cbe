import {CONFIDENCE} from './thresholds.ts';

/** 1-based ranks in the sorted sample. */
export interface RankInterval {
  readonly low: number;
  readonly high: number;
}

/**
 * Two-sided distribution-free interval for a quantile: the ranks of two order statistics that hold it between them
 * with at least the wanted confidence, whatever the distribution (David & Nagaraja, Order Statistics, §7.1). Of n
 * independent values the number below the quantile is binomial(n, p). The narrowest pair is taken, of equally narrow
 * ones the one with the most confidence.
 *
 * @returns null when n is too small: p90 at 95 % needs 29.
 */
export function quantileRanks(n: number, p: number, confidence = CONFIDENCE): RankInterval | null {
  const cumulative = binomialCumulative(n, p);
  /** P(B < rank) */
  const below = (rank: number): number => (rank <= 0 ? 0 : (cumulative[Math.min(rank - 1, n)] ?? 1));
  let best: RankInterval | null = null;
  let bestCoverage = 0;
  let high = 2;
  // P(x(low) ≤ q < x(high)) = P(low ≤ B < high). The least `high` that is enough grows with `low`.
  for (let low = 1; low < n; low++) {
    high = Math.max(high, low + 1);
    while (high <= n && below(high) - below(low) < confidence) high++;
    if (high > n) break;
    const coverage = below(high) - below(low);
    const narrower = best === null ? 1 : best.high - best.low - (high - low);
    if (narrower > 0 || (narrower === 0 && coverage > bestCoverage)) {
      best = {low, high};
      bestCoverage = coverage;
    }
  }
  return best;
}

/**
 * Ranks for values that are not independent: their distance from the quantile's own rank is stretched by the square
 * root of n ÷ effective n, and ends at the smallest and the largest value.
 */
export function stretchedRanks(n: number, p: number, effectiveN: number, confidence = CONFIDENCE): RankInterval | null {
  const ranks = quantileRanks(n, p, confidence);
  if (ranks === null || effectiveN >= n) return ranks;
  const centre = p * (n + 1);
  const stretch = Math.sqrt(n / effectiveN);
  return {
    low: Math.max(1, Math.floor(centre - (centre - ranks.low) * stretch)),
    high: Math.min(n, Math.ceil(centre + (ranks.high - centre) * stretch)),
  };
}

/** P(B ≤ k) for k = 0 … n, by log probabilities: no overflow for large n. */
export function binomialCumulative(n: number, p: number): number[] {
  const logP = Math.log(p);
  const logQ = Math.log1p(-p);
  let logChoose = 0;
  let sum = 0;
  return Array.from({length: n + 1}, (_, k) => {
    if (k > 0) logChoose += Math.log(n - k + 1) - Math.log(k);
    sum += Math.exp(logChoose + k * logP + (n - k) * logQ);
    return Math.min(1, sum);
  });
}
