import {type Interval, medianBootstrapVariance} from './bootstrap.ts';
import {effectiveSampleSize, varianceInflation} from './effective-sample-size.ts';
import {stretchedRanks} from './order-statistics.ts';
import {ascending, median, quantile} from './quantile.ts';
import {studentCritical} from './special.ts';
import {CONFIDENCE, FLOOR_WEIGHT, ROUNDS_CONFIDENCE} from './thresholds.ts';

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
 * (`coverageReport`); a bootstrap that draws rounds with replacement falls to 73 % with three rounds.
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

/** Distribution-free 95 % interval of a quantile of all values, stretched for autocorrelation within rounds. */
export function orderInterval(
  rounds: readonly (readonly number[])[],
  p: number,
  confidence = CONFIDENCE,
): Interval | null {
  const sorted = ascending(rounds.flat());
  const ranks = stretchedRanks(sorted.length, p, effectiveSampleSize(rounds), confidence);
  const low = ranks === null ? undefined : sorted[ranks.low - 1];
  const high = ranks === null ? undefined : sorted[ranks.high - 1];
  return low === undefined || high === undefined ? null : {low, high};
}

/**
 * 95 % interval of a quantile of positive values: that of order statistics, which holds for independent values
 * whatever their distribution, widened by what the rounds differ more than their requests explain. A round that is
 * slower moves all of its quantiles; that shift is judged by the medians, which three rounds tell best. Added in
 * quadrature on the log scale, with Student's t over the rounds.
 */
export function quantileInterval(rounds: readonly (readonly number[])[], p: number): Interval | null {
  const interval = orderInterval(rounds, p);
  const middle = quantile(rounds.flat(), p);
  const estimate = logMedian(rounds);
  if (interval === null || middle === null || estimate === null || estimate.betweenVariance === null) return interval;
  const excess = Math.max(0, estimate.betweenVariance - estimate.withinVariance);
  const t = studentCritical(estimate.rounds - 1, ROUNDS_CONFIDENCE);
  const widened = (bound: number): number => Math.hypot(Math.log(bound / middle), t * Math.sqrt(excess));
  return {low: middle * Math.exp(-widened(interval.low)), high: middle * Math.exp(widened(interval.high))};
}

export function sampleVariance(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
}
