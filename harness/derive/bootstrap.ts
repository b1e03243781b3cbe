import {binomialCumulative} from './order-statistics.ts';
import {ascending, median, quantileOfSorted} from './quantile.ts';
import {seededRandom} from './random.ts';
import {CONFIDENCE, RESAMPLES} from './thresholds.ts';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * Variance of the bootstrap distribution of the median, exact: what infinitely many resamples would give, without
 * drawing any (Maritz & Jarrett 1978; Efron 1979 for odd n). For even n the weights of the two middle order
 * statistics are averaged.
 */
export function medianBootstrapVariance(values: readonly number[]): number {
  const weights = medianWeights(values.length);
  const sorted = ascending(values);
  const mean = sorted.reduce((sum, value, index) => sum + (weights[index] ?? 0) * value, 0);
  return sorted.reduce((sum, value, index) => sum + (weights[index] ?? 0) * (value - mean) ** 2, 0);
}

const WEIGHTS = new Map<number, readonly number[]>();

/** Probability that the median of a resample is the i-th smallest value. Depends on n alone, hence kept. */
function medianWeights(n: number): readonly number[] {
  const known = WEIGHTS.get(n);
  if (known !== undefined) return known;
  const ranks = n % 2 === 1 ? [(n + 1) / 2] : [n / 2, n / 2 + 1];
  /** P(the rank-th smallest of a resample is among the i smallest values) = P(B(n, i/n) ≥ rank). */
  const among = (i: number): number => {
    if (i === 0 || i === n) return i / n;
    const cumulative = binomialCumulative(n, i / n);
    return ranks.reduce((sum, rank) => sum + 1 - (cumulative[rank - 1] ?? 1), 0) / ranks.length;
  };
  const cumulative = Array.from({length: n + 1}, (_, i) => among(i));
  const weights = Array.from({length: n}, (_, i) => (cumulative[i + 1] ?? 0) - (cumulative[i] ?? 0));
  if (WEIGHTS.size < 1000) WEIGHTS.set(n, weights);
  return weights;
}

/**
 * Hierarchical percentile bootstrap of the pooled median: rounds are drawn with replacement, then requests within each
 * drawn round. Kept as the yardstick of median-interval.ts in `npm run bench:self -- coverage`: with three rounds it
 * covers far less than it says, because three rounds drawn from three hold at most their own range.
 */
export function hierarchicalBootstrap(
  rounds: readonly (readonly number[])[],
  {seed, resamples = RESAMPLES, confidence = CONFIDENCE}: {seed: number; resamples?: number; confidence?: number},
): Interval | null {
  const filled = rounds.filter((values) => values.length > 0);
  if (filled.length === 0) return null;
  const random = seededRandom(seed);
  const draw = <Item>(items: readonly Item[]): Item | undefined => items[Math.floor(random() * items.length)];
  const medians = Array.from({length: resamples}, () => {
    const pooled = filled.flatMap(() => {
      const round = draw(filled) ?? [];
      return round.map(() => draw(round) ?? Number.NaN);
    });
    return median(pooled) ?? Number.NaN;
  });
  const sorted = ascending(medians);
  const low = quantileOfSorted(sorted, (1 - confidence) / 2);
  const high = quantileOfSorted(sorted, (1 + confidence) / 2);
  return low === null || high === null ? null : {low, high};
}
