import {type Interval, medianBootstrapVariance} from './bootstrap.ts';
import {varianceInflation} from './effective-sample-size.ts';
import {orderInterval} from './order-interval.ts';
import {median} from './quantile.ts';
import {studentCritical} from './special.ts';
import {FLOOR_WEIGHT, ROUNDS_CONFIDENCE} from './thresholds.ts';

/** A figure on the log scale with what is known of its error. */
export interface LogEstimate {
  /** Natural logarithm of the figure. */
  readonly log: number;
  /** Variance from the spread of the rounds: their sample variance ÷ their number. null with one round. */
  readonly betweenVariance: number | null;
  /** Variance from the spread of the requests within rounds, autocorrelation considered. */
  readonly withinVariance: number;
  readonly rounds: number;
}

/** Median of positive values over rounds, on the log scale. null without values, or when one is not positive. */
export function logMedian(rounds: readonly (readonly number[])[]): LogEstimate | null {
  const logs = rounds.filter((values) => values.length > 0).map((values) => values.map(Math.log));
  const middle = median(logs.flat());
  if (middle === null || logs.some((values) => !values.every(Number.isFinite))) return null;
  const medians = logs.map((values) => median(values) ?? 0);
  const k = logs.length;
  const within = logs.reduce((sum, values) => sum + medianBootstrapVariance(values), 0) / (k * k);
  return {
    log: middle,
    betweenVariance: k < 2 ? null : sampleVariance(medians) / k,
    withinVariance: within * varianceInflation(logs),
    rounds: k,
  };
}

/**
 * Half width on the log scale. The spread of the rounds is what an interval must rest on: drift, heat and neighbours
 * move a whole round. Student's t over k rounds says how far k values can mislead; the spread within rounds is a floor,
 * so that rounds which agree by luck do not feign precision:
 *
 *     half² = t(ROUNDS_CONFIDENCE, df)² · between + FLOOR_WEIGHT · within
 *
 * The two constants were set by simulation so that coverage stays within 93 … 97 % for any size of round effect
 * (`npm run bench:self -- coverage`, which tries them on distributions that had no part in setting them, too); a
 * bootstrap that draws rounds with replacement falls to 73 % with three rounds.
 */
export function halfWidth(betweenVariance: number, withinVariance: number, df: number): number {
  const t = studentCritical(df, ROUNDS_CONFIDENCE);
  return Math.sqrt(t * t * betweenVariance + FLOOR_WEIGHT * withinVariance);
}

/**
 * 95 % interval of the median of positive values. With one round only, it is the distribution-free interval of order
 * statistics, stretched for autocorrelation: it knows nothing of drift between rounds.
 *
 * @returns null when there are too few values to say anything (below 6 in one round).
 */
export function medianInterval(rounds: readonly (readonly number[])[]): Interval | null {
  const estimate = logMedian(rounds);
  if (estimate === null) return null;
  const {log, betweenVariance, withinVariance} = estimate;
  if (betweenVariance === null) return orderInterval(rounds, 0.5);
  const half = halfWidth(betweenVariance, withinVariance, estimate.rounds - 1);
  return {low: Math.exp(log - half), high: Math.exp(log + half)};
}

export function sampleVariance(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
}
