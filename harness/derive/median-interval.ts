import {type Interval, medianBootstrapVariance} from './bootstrap.ts';
import {varianceInflation} from './effective-sample-size.ts';
import {orderInterval} from './order-interval.ts';
import {median} from './quantile.ts';
import {studentCritical} from './special.ts';
import {FLOOR_WEIGHT, ROUNDS_CONFIDENCE} from './thresholds.ts';

/** A figure on the log scale with what is known of its error. */
export interface LogEstimate {
  /** Natural logarithm of the figure: the median of all values. */
  readonly log: number;
  /** Mean of the logarithms of the medians of the rounds: what `betweenVariance` is the variance of. */
  readonly meanLog: number;
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
    meanLog: medians.reduce((sum, value) => sum + value, 0) / k,
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
 * 95 % interval of the median of positive values.
 *
 * - From 6 rounds on: the interval of order statistics over the medians of the rounds, whatever makes rounds differ. Six are
 *   the least of which order statistics hold a median between them with 95 %.
 * - With 2 to 5: Student's t, see `halfWidth`. It supposes that what rounds differ is about normal on the log scale.
 * - With one: the interval of order statistics over its requests, stretched for autocorrelation. It knows nothing of
 *   what differs between rounds.
 *
 * @returns null when there are too few values to say anything (below 6 in one round).
 */
export function medianInterval(rounds: readonly (readonly number[])[]): Interval | null {
  const estimate = logMedian(rounds);
  if (estimate === null) return null;
  const {log, betweenVariance, withinVariance} = estimate;
  if (betweenVariance === null) return orderInterval(rounds, 0.5);
  const medians = rounds.flatMap((values) => median(values) ?? []);
  const ofRounds = orderInterval(
    medians.map((value) => [value]),
    0.5,
  );
  if (ofRounds !== null) {
    // The median of all requests may lie beside those of the rounds where they are few.
    const middle = Math.exp(log);
    return {low: Math.min(middle, ofRounds.low), high: Math.max(middle, ofRounds.high)};
  }
  const half = halfWidth(betweenVariance, withinVariance, estimate.rounds - 1);
  return {low: Math.exp(log - half), high: Math.exp(log + half)};
}

export function sampleVariance(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
}
