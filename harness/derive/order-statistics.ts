import {incompleteBeta} from './special.ts';
import {CONFIDENCE} from './thresholds.ts';

/** 1-based places in the sorted sample; 1.5 is halfway between the smallest and the next. */
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
 * Ranks are whole, so the confidence is more than was asked for: 98 % where 95 % were meant is usual at small n. Kept as
 * the yardstick of `interpolatedRanks`, in `npm run bench:self -- coverage`.
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
 * The same with the confidence that was asked for, not more: each bound lies between two order statistics, at the place
 * where half of the error is left on its side (Nyblom 1992, "Note on interpolated order statistics", Stat. Probab.
 * Lett. 14; for the median Hettmansperger & Sheather 1986; Beran & Hall 1993 on the order of what is neglected). Where even
 * the largest value leaves more than that half, it is the bound, and the other side makes up for it: 29 … 35 values for p90.
 *
 * Values that are not independent are worth `effectiveN` independent ones: the bounds are those of such a sample, at the
 * same share of this one.
 *
 * @returns null when n is too small, by the same rule as `quantileRanks`: p90 at 95 % needs 29.
 */
export function interpolatedRanks(n: number, p: number, effectiveN = n, confidence = CONFIDENCE): RankInterval | null {
  const error = 1 - confidence;
  if (p ** n + (1 - p) ** n > error) return null;
  const worth = Math.min(n, effectiveN);
  const tails = tailsOf(worth, p, error);
  const place = (rank: number): number => Math.min(n, Math.max(1, (rank * (n + 1)) / (worth + 1)));
  return {
    low: tails.low === (1 - p) ** worth ? 1 : place(interpolatedRank(worth, p, 1 - tails.low)),
    high: tails.high === p ** worth ? n : place(interpolatedRank(worth, p, tails.high)),
  };
}

/** How the error is shared between the two sides: by halves, where the sample reaches so far. */
function tailsOf(n: number, p: number, error: number): {low: number; high: number} {
  const [allBelow, allAbove] = [p ** n, (1 - p) ** n];
  if (allBelow > error / 2) return {high: allBelow, low: Math.max(error - allBelow, allAbove, leastTail(p, error))};
  if (allAbove > error / 2) return {low: allAbove, high: Math.max(error - allAbove, allBelow, leastTail(1 - p, error))};
  return {low: error / 2, high: error / 2};
}

/** What the smallest sample that has an interval leaves to the other side; dependent values never leave less. */
function leastTail(p: number, error: number): number {
  return error - p ** Math.ceil(Math.log(error) / Math.log(p));
}

/**
 * The place r + λ so that the value there lies below the quantile with the wanted probability. P(x(r) ≤ q) is
 * I_p(r, n + 1 − r). Between two order statistics around q, the gap below q is exponential with rate r ÷ p and the one
 * above with (n − r) ÷ (1 − p), in units of the density at q, whatever that is; hence λ.
 */
function interpolatedRank(n: number, p: number, probability: number): number {
  const below = (rank: number): number => (rank >= n + 1 ? 0 : incompleteBeta(p, rank, n + 1 - rank));
  let rank = 1;
  let beyond = Math.floor(n) + 1;
  while (beyond - rank > 1) {
    const middle = (rank + beyond) >> 1;
    if (below(middle) >= probability) rank = middle;
    else beyond = middle;
  }
  const [here, next] = [below(rank), below(rank + 1)];
  const share = here > next ? Math.min(1, Math.max(0, (probability - next) / (here - next))) : 1;
  const [rateBelow, rateAbove] = [rank / p, Math.max(0, n - rank) / (1 - p)];
  return rank + (rateAbove * (1 - share)) / (rateAbove * (1 - share) + rateBelow * share);
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
