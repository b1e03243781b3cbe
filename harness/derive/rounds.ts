import {medianBootstrapVariance} from './bootstrap.ts';
import {varianceInflation} from './effective-sample-size.ts';
import {sampleVariance} from './median-interval.ts';
import {median} from './quantile.ts';
import {fisherUpperP} from './special.ts';
import {ROUNDS_DIFFER_P, ROUNDS_DIFFER_SPREAD} from './thresholds.ts';

export interface RoundsVerdict {
  readonly differ: boolean;
  /** (slowest − fastest) ÷ median, of the medians of the rounds. */
  readonly spread: number;
  /** Probability of such a spread when only requests within rounds vary. */
  readonly p: number;
}

/**
 * Whether rounds differ by more than the requests within them explain: variance of the round medians against the
 * variance that each median has by itself (bootstrap, autocorrelation considered), as an F ratio on the log scale.
 *
 * @returns null for fewer than two rounds with 3 requests.
 */
export function roundsDiffer(rounds: readonly (readonly number[])[]): RoundsVerdict | null {
  const logs = rounds.filter((values) => values.length >= 3).map((values) => values.map(Math.log));
  if (logs.length < 2 || logs.some((values) => !values.every(Number.isFinite))) return null;
  const medians = logs.map((values) => median(values) ?? 0);
  const expected =
    (logs.reduce((sum, values) => sum + medianBootstrapVariance(values), 0) / logs.length) * varianceInflation(logs);
  const between = sampleVariance(medians);
  const spread = Math.exp(Math.max(...medians) - Math.min(...medians)) - 1;
  const n = logs.reduce((sum, values) => sum + values.length, 0);
  const p = expected > 0 ? fisherUpperP(between / expected, logs.length - 1, n - logs.length) : between > 0 ? 0 : 1;
  return {differ: p < ROUNDS_DIFFER_P && spread > ROUNDS_DIFFER_SPREAD, spread, p};
}
