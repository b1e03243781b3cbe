import type {ColumnName} from '../contract/columns.ts';
import {halfWidth, logMedian, medianInterval, sampleVariance} from '../derive/median-interval.ts';
import {median} from '../derive/quantile.ts';
import {studentCritical, studentTwoSidedP} from '../derive/special.ts';
import {CONFIDENCE, TRIMMED_FROM} from '../derive/thresholds.ts';
import {trimmedMean} from '../derive/trimmed-mean.ts';
import {MEDIANS, type MeasuredCell, valuesByRound} from './measured-cell.ts';

/** One figure of a cell ÷ that of another. */
export interface Ratio {
  readonly ratio: number;
  /** 95 % interval; null where the two figures have no spread to judge by (a peak, one round). */
  readonly low: number | null;
  readonly high: number | null;
  /** Probability of a ratio as far from 1 if there were no difference; null without an interval. */
  readonly p: number | null;
  /** How the interval came about. */
  readonly how: 'paired-rounds' | 'repeated-runs' | 'two-samples' | 'intervals-of-rows' | 'point';
  /** Rounds of the first and the second. */
  readonly rounds: readonly [number, number];
}

export interface RatioOptions {
  /**
   * Of two runs: how much faster or slower the host may have been in one of them, 0.3 for × 0.77 to × 1.3. It is a bound and
   * not a spread, hence it moves both ends of the interval as far as it goes.
   */
  readonly drift?: number;
  /**
   * Of ten paired rounds and more: without the outer fifths (`trimmedMean`), which tells small differences in spite of
   * rounds that a neighbour spoiled. Ratios that shall multiply out leave nothing out.
   */
  readonly trimmed?: boolean;
}

/**
 * Ratio of a column of two cells, with its interval on the log scale.
 *
 * Two cells of one run were measured in turn, round by round: their rounds are paired (geometric mean of the ratios of
 * round medians), and what moved both alike cancels. Cells of two runs are two samples: ratio of the geometric means of
 * their round medians, Welch;
 * what differs between runs as wholes is not in that interval (`ratioOfRuns`). Where requests are not at hand the
 * intervals of the rows are combined. A figure without an interval, such as a peak of memory, gives a bare ratio.
 *
 * @returns null when one of the two has no such figure.
 */
export function ratioOf(
  column: ColumnName,
  cell: MeasuredCell,
  against: MeasuredCell,
  how: RatioOptions = {},
): Ratio | null {
  const figure = MEDIANS.find((name) => name === column);
  const sameRun = cell.row.run_id === against.row.run_id;
  const measured =
    figure === undefined
      ? ratioOfCosts(column, cell, against, how)
      : ratioOfRounds(valuesByRound(cell, figure), valuesByRound(against, figure), sameRun, how);
  return measured ?? ratioOfRows(column, cell, against, sameRun ? {} : how);
}

/** A cost is a price ÷ a rate: its ratio is as sure as that of the rates, the other way round. */
function ratioOfCosts(column: ColumnName, cell: MeasuredCell, against: MeasuredCell, how: RatioOptions): Ratio | null {
  const rate =
    column === 'usd_per_1k_requests'
      ? 'requests_per_s'
      : column === 'usd_per_1m_output_tokens'
        ? 'output_tokens_per_s'
        : null;
  const [price, otherPrice] = [cell.row.price_usd_per_hour, against.row.price_usd_per_hour];
  if (rate === null || price === null || otherPrice === null || otherPrice <= 0) return null;
  const rates = ratioOf(rate, against, cell, how);
  if (rates === null) return null;
  return scaled({...rates, rounds: [rates.rounds[1], rates.rounds[0]]}, price / otherPrice);
}

/** A ratio times a factor that is known exactly. `p`, which is about a ratio of 1, is gone unless the factor is 1. */
export function scaled(ratio: Ratio, factor: number): Ratio {
  if (factor === 1) return ratio;
  const times = (bound: number | null): number | null => (bound === null ? null : bound * factor);
  return {...ratio, ratio: ratio.ratio * factor, low: times(ratio.low), high: times(ratio.high), p: null};
}

/**
 * One figure ÷ one that is known exactly, such as a price, with the interval of the figure.
 *
 * @returns null when the cell has no such figure.
 */
export function ratioToExact(column: ColumnName, cell: MeasuredCell, exact: number): Ratio | null {
  const value = cell.row[column];
  if (typeof value !== 'number' || value <= 0) return null;
  const ratio = value / exact;
  const bounds = relativeBounds(column, cell);
  return {
    ratio,
    low: bounds === null ? null : ratio * bounds.low,
    high: bounds === null ? null : ratio * bounds.high,
    p: null,
    how: bounds === null ? 'point' : 'intervals-of-rows',
    rounds: [cell.row.rounds ?? 0, 0],
  };
}

/** The interval of a figure, divided by the figure; null with one round, which knows nothing of what differs between rounds. */
function relativeBounds(column: ColumnName, cell: MeasuredCell): {low: number; high: number} | null {
  if ((cell.row.rounds ?? 0) < 2) return null;
  if (column === 'usd_per_1k_requests') {
    const rate = relativeBounds('requests_per_s', cell);
    return rate === null ? null : {low: 1 / rate.high, high: 1 / rate.low};
  }
  const reach = reachOfRow(column, cell.row);
  if (reach !== null) return {low: Math.exp(-reach.below), high: Math.exp(reach.above)};
  const figure = MEDIANS.find((name) => name === column);
  const value = cell.row[column];
  const interval = figure === undefined ? null : medianInterval([...valuesByRound(cell, figure).values()]);
  return interval === null || typeof value !== 'number'
    ? null
    : {low: interval.low / value, high: interval.high / value};
}

/**
 * Ratio of two medians of positive values by round.
 *
 * @param sameRun Rounds of equal number ran one after the other: they are paired where there are two or more.
 */
export function ratioOfRounds(
  a: ReadonlyMap<number, readonly number[]>,
  b: ReadonlyMap<number, readonly number[]>,
  sameRun: boolean,
  {drift = 0, trimmed = false}: RatioOptions = {},
): Ratio | null {
  const common = [...a.keys()].filter((round) => b.has(round));
  const paired = sameRun && common.length >= 2;
  const pick = (rounds: ReadonlyMap<number, readonly number[]>): (readonly number[])[] =>
    paired ? common.map((round) => rounds.get(round) ?? []) : [...rounds.values()];
  const [first, second] = [logMedian(pick(a)), logMedian(pick(b))];
  if (first === null || second === null) return null;
  const within = first.withinVariance + second.withinVariance;
  const rounds = [first.rounds, second.rounds] as const;
  if (paired) {
    const differences = common.map((round) => logOfMedian(a.get(round)) - logOfMedian(b.get(round)));
    if (trimmed && differences.length >= TRIMMED_FROM) {
      const {mean, variance, df} = trimmedMean(differences);
      const half = studentCritical(df, CONFIDENCE) * Math.sqrt(variance);
      return finish(mean, evenly(half), df, 'paired-rounds', rounds);
    }
    const df = differences.length - 1;
    const between = sampleVariance(differences) / differences.length;
    // Not the ratio of the two pooled medians: there, a drift that both share would not cancel.
    const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
    return finish(mean, evenly(halfWidth(between, within, df)), df, 'paired-rounds', rounds);
  }
  if (first.betweenVariance === null || second.betweenVariance === null) {
    return {ratio: Math.exp(first.log - second.log), low: null, high: null, p: null, how: 'point', rounds};
  }
  // The mean of rounds, which the variance is about. Of rounds that are only ever slowed it is no median, in both alike.
  const log = first.meanLog - second.meanLog;
  const between = first.betweenVariance + second.betweenVariance;
  const df = welch(first.betweenVariance, first.rounds - 1, second.betweenVariance, second.rounds - 1);
  return finish(log, evenly(halfWidth(between, within, df)), df, 'two-samples', rounds, Math.log1p(drift));
}

/**
 * Ratio of two figures that were each measured in one or more runs, at different times. A run is one value: the host may
 * be faster on one day than on another for all rounds of a run alike, and only further runs tell by how much. The
 * spread between runs of the same is taken to be that of the host, the same for both (pooled, Student's t): three runs of
 * one allow to judge a single run of the other. The spread within runs is a floor, as in `halfWidth`.
 *
 * @param a Each run by round; those without values are left out.
 * @returns null without a run on either side; without bounds with one run each.
 */
export function ratioOfRuns(
  a: readonly ReadonlyMap<number, readonly number[]>[],
  b: readonly ReadonlyMap<number, readonly number[]>[],
): Ratio | null {
  const [first, second] = [armOf(a), armOf(b)];
  if (first === null || second === null) return null;
  const log = first.mean - second.mean;
  const rounds = [first.rounds, second.rounds] as const;
  const df = first.logs.length + second.logs.length - 2;
  if (df < 1) return {ratio: Math.exp(log), low: null, high: null, p: null, how: 'point', rounds};
  const pooled = (first.squares + second.squares) / df;
  const between = pooled / first.logs.length + pooled / second.logs.length;
  const half = halfWidth(between, first.withinVariance + second.withinVariance, df);
  return finish(log, evenly(half), df, 'repeated-runs', rounds);
}

/** Runs of the same, on the log scale. */
interface Arm {
  readonly logs: readonly number[];
  readonly mean: number;
  /** Sum of the squared deviations of the runs from their mean. */
  readonly squares: number;
  /** Of the mean, from what varies within runs: the larger of what rounds and what requests say. */
  readonly withinVariance: number;
  readonly rounds: number;
}

function armOf(runs: readonly ReadonlyMap<number, readonly number[]>[]): Arm | null {
  const estimates = runs.flatMap((run) => logMedian([...run.values()]) ?? []);
  const n = estimates.length;
  if (n === 0) return null;
  const logs = estimates.map(({log}) => log);
  const mean = logs.reduce((sum, log) => sum + log, 0) / n;
  const within = estimates.map((one) => Math.max(one.betweenVariance ?? 0, one.withinVariance));
  return {
    logs,
    mean,
    squares: logs.reduce((sum, log) => sum + (log - mean) ** 2, 0),
    withinVariance: within.reduce((sum, one) => sum + one, 0) / (n * n),
    rounds: estimates.reduce((sum, one) => sum + one.rounds, 0),
  };
}

function ratioOfRows(
  column: ColumnName,
  {row: a}: MeasuredCell,
  {row: b}: MeasuredCell,
  {drift = 0}: RatioOptions,
): Ratio | null {
  const [x, y] = [a[column], b[column]];
  if (typeof x !== 'number' || typeof y !== 'number' || x <= 0 || y <= 0) return null;
  const rounds = [a.rounds ?? 0, b.rounds ?? 0] as const;
  const [reachA, reachB] = [reachOfRow(column, a), reachOfRow(column, b)];
  // With one round, the interval of a row knows nothing of what differs between rounds.
  if (reachA === null || reachB === null || rounds[0] < 2 || rounds[1] < 2) {
    return {ratio: x / y, low: null, high: null, p: null, how: 'point', rounds};
  }
  const df = Math.min(rounds[0], rounds[1]) - 1;
  // The far side of one meets the near side of the other (MOVER: Zou & Donner 2008, Stat. Med. 27), each in quadrature.
  const reach = {below: Math.hypot(reachA.below, reachB.above), above: Math.hypot(reachA.above, reachB.below)};
  return finish(Math.log(x / y), reach, df, 'intervals-of-rows', rounds, Math.log1p(drift));
}

/** How far an interval reaches below and above its figure, on the log scale. */
interface Reach {
  readonly below: number;
  readonly above: number;
}

/** Of a figure that has its interval in the row; that of a p90 is longer above. */
function reachOfRow(column: ColumnName, row: MeasuredCell['row']): Reach | null {
  const [low, high] = [row[`${column}_ci_low` as ColumnName], row[`${column}_ci_high` as ColumnName]]; // undefined for columns without an interval
  const value = row[column];
  if (typeof value !== 'number' || typeof low !== 'number' || typeof high !== 'number' || low <= 0) return null;
  return {below: Math.max(0, Math.log(value / low)), above: Math.max(0, Math.log(high / value))};
}

function finish(
  log: number,
  {below, above}: Reach,
  df: number,
  how: Ratio['how'],
  rounds: readonly [number, number],
  drift = 0,
): Ratio {
  // Scaled so that p is 0.05 exactly where the interval touches 1.
  const half = log > 0 ? below : above;
  const distance = Math.max(0, Math.abs(log) - drift);
  const t = half === 0 ? Number.POSITIVE_INFINITY : (distance / half) * studentCritical(df, CONFIDENCE);
  const p = distance === 0 ? 1 : t === Number.POSITIVE_INFINITY ? 0 : studentTwoSidedP(t, df);
  return {
    ratio: Math.exp(log),
    low: Math.exp(log - below - drift),
    high: Math.exp(log + above + drift),
    p,
    how,
    rounds,
  };
}

function evenly(half: number): Reach {
  return {below: half, above: half};
}

/** Degrees of freedom of a difference of two means (Welch 1947, Satterthwaite 1946). */
function welch(varianceA: number, dfA: number, varianceB: number, dfB: number): number {
  const sum = varianceA + varianceB;
  return sum === 0 ? Math.min(dfA, dfB) : sum ** 2 / (varianceA ** 2 / dfA + varianceB ** 2 / dfB);
}

function logOfMedian(values: readonly number[] | undefined): number {
  return Math.log(median(values ?? []) ?? Number.NaN);
}
