import type {Interval} from './bootstrap.ts';
import {logMedian} from './median-interval.ts';
import {orderInterval} from './order-interval.ts';
import {median, quantile} from './quantile.ts';
import {CONFIDENCE} from './thresholds.ts';
import {toleranceFactors} from './tolerance-factor.ts';

/** Quartiles of a normal distribution lie this many standard deviations apart. */
const IQR_OF_NORMAL = 1.3489795003921634;

/**
 * 95 % interval of a quantile of positive values: of the time that a request takes in any round on this host, not only in
 * those that were measured. Requests of a round share its conditions (clusters), so how much the rounds tell depends on
 * what varies:
 *
 * - Rounds that differ by no more than their requests explain: the interval of order statistics over all requests.
 * - Requests that differ by nothing but their round: each round is one value. From as many rounds on as such values are
 *   needed (29 for a p90), the interval is that of order statistics of as many values. Of fewer rounds it is that of a
 *   quantile of a normal distribution (of logarithms): `toleranceFactors`. It is wide.
 * - Between the two, each bound is the mean of both, weighted by how much of the spread of all requests is that of
 *   rounds, as Vangel (1992, "New methods for one-sided tolerance limits for a one-way balanced random-effects ANOVA
 *   model", Technometrics 34) does for batches of a material; the rule of MIL-HDBK-17. His limit for one batch supposes
 *   normal values; here it is that of order statistics, which does not.
 *
 * No constant in it was fitted.
 *
 * What it does not hold: with fewer than 29 rounds, that the effects of rounds are normal on the log scale is supposed, and
 * cannot be seen. Where rounds are only ever slowed, most a little and some a lot, the true p90 is above the whole interval
 * in up to a fifth of all runs (`npm run bench:self -- coverage`). No interval can mend that: a neighbour that slows every
 * fifth round is in none of three rounds half of the time, and then nothing that was measured tells of it.
 *
 * @returns null where `orderInterval` is: 29 values for a p90.
 */
export function quantileInterval(rounds: readonly (readonly number[])[], p: number): Interval | null {
  const interval = orderInterval(rounds, p);
  const value = quantile(rounds.flat(), p);
  const spread = spreadOf(rounds);
  if (interval === null || value === null || spread === null || spread.weight === 0) return interval;
  const {weight} = spread;
  const ofRounds = intervalOfRounds(rounds, p, spread);
  const bound = (ofRequests: number, ofRound: number): number =>
    Math.exp((1 - weight) * Math.log(ofRequests) + weight * Math.log(ofRound));
  return {
    low: Math.min(value, bound(interval.low, ofRounds.low)),
    high: Math.max(value, bound(interval.high, ofRounds.high)),
  };
}

/** As if requests differed by nothing but their round. */
function intervalOfRounds(
  rounds: readonly (readonly number[])[],
  p: number,
  {rounds: n, centre, deviation}: Spread,
): Interval {
  const free = orderInterval(rounds, p, n);
  if (free !== null) return free;
  const factors = toleranceFactors(n, p, CONFIDENCE);
  return {low: Math.exp(centre + factors.low * deviation), high: Math.exp(centre + factors.high * deviation)};
}

interface Spread {
  readonly rounds: number;
  /** Mean of the medians of the rounds; all on the log scale. */
  readonly centre: number;
  /** Standard deviation of a request of any round. */
  readonly deviation: number;
  /** 0: rounds do not differ; 1: nothing but rounds differs. */
  readonly weight: number;
}

/** null with one round, or without logarithms. */
function spreadOf(rounds: readonly (readonly number[])[]): Spread | null {
  const estimate = logMedian(rounds);
  if (estimate === null || estimate.betweenVariance === null) return null;
  const logs = rounds.filter((values) => values.length > 0).map((values) => values.map(Math.log));
  const medians = logs.map((values) => median(values) ?? 0);
  const {rounds: k, meanLog: centre} = estimate;
  // Of one round: how far its median lies from that of others, and how far it would by its requests alone.
  const between = estimate.betweenVariance * k;
  const noise = estimate.withinVariance * k;
  const within = requestVariance(logs, medians);
  if (between <= noise) return {rounds: k, centre, deviation: Math.sqrt(within), weight: 0};
  // A round that tells no more than a single request of it: rounds are the only values there are.
  if (within <= noise) return {rounds: k, centre, deviation: Math.sqrt(between), weight: 1};
  const deviation = Math.sqrt(between + within - noise);
  const least = Math.sqrt(noise / within);
  return {rounds: k, centre, deviation, weight: (Math.sqrt(between) / deviation - least) / (1 - least)};
}

/** Variance of requests within rounds, from their quartiles: a few outliers must not hide that rounds differ. */
function requestVariance(logs: readonly (readonly number[])[], medians: readonly number[]): number {
  const residuals = logs.flatMap((values, round) => values.map((value) => value - (medians[round] ?? 0)));
  const range = (quantile(residuals, 0.75) ?? 0) - (quantile(residuals, 0.25) ?? 0);
  return (range / IQR_OF_NORMAL) ** 2;
}
