import type {ColumnName} from '../contract/columns.ts';
import {halfWidth, logMedian, sampleVariance} from '../derive/median-interval.ts';
import {median} from '../derive/quantile.ts';
import {studentCritical, studentTwoSidedP} from '../derive/special.ts';
import {CONFIDENCE} from '../derive/thresholds.ts';
import {type MeasuredCell, SPEEDS, type Speed, speedByRound} from './measured-cell.ts';

/** One figure of a cell ÷ that of another. */
export interface Ratio {
  readonly ratio: number;
  /** 95 % interval; null where the two figures have no spread to judge by (a peak, one round). */
  readonly low: number | null;
  readonly high: number | null;
  /** Probability of a ratio as far from 1 if there were no difference; null without an interval. */
  readonly p: number | null;
  /** How the interval came about. */
  readonly how: 'paired-rounds' | 'two-samples' | 'intervals-of-rows' | 'point';
  /** Rounds of the first and the second. */
  readonly rounds: readonly [number, number];
}

/**
 * Ratio of a column of two cells, with its interval on the log scale.
 *
 * Two cells of one run were measured in turn, round by round: their rounds are paired (geometric mean of the ratios of
 * round medians), and what moved both alike cancels. Cells of two runs are two samples: ratio of their medians, Welch. Where requests are not at hand the intervals of the rows are
 * combined. A figure without an interval, such as a peak of memory, gives a bare ratio.
 *
 * @returns null when one of the two has no such figure.
 */
export function ratioOf(column: ColumnName, cell: MeasuredCell, against: MeasuredCell): Ratio | null {
  const speed = SPEEDS.find((name) => name === column);
  if (speed !== undefined) {
    const measured = ratioOfRequests(speed, cell, against);
    if (measured !== null) return measured;
  }
  return ratioOfRows(column, cell, against);
}

function ratioOfRequests(speed: Speed, cell: MeasuredCell, against: MeasuredCell): Ratio | null {
  const sameRun = cell.row.run_id === against.row.run_id;
  return ratioOfRounds(speedByRound(cell, speed), speedByRound(against, speed), sameRun);
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
): Ratio | null {
  const common = [...a.keys()].filter((round) => b.has(round));
  const paired = sameRun && common.length >= 2;
  const pick = (rounds: ReadonlyMap<number, readonly number[]>): (readonly number[])[] =>
    paired ? common.map((round) => rounds.get(round) ?? []) : [...rounds.values()];
  const [first, second] = [logMedian(pick(a)), logMedian(pick(b))];
  if (first === null || second === null) return null;
  const log = first.log - second.log;
  const within = first.withinVariance + second.withinVariance;
  const rounds = [first.rounds, second.rounds] as const;
  if (paired) {
    const differences = common.map((round) => logOfMedian(a.get(round)) - logOfMedian(b.get(round)));
    const df = differences.length - 1;
    const between = sampleVariance(differences) / differences.length;
    // Not the ratio of the two pooled medians: there, a drift that both share would not cancel.
    const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
    return finish(mean, halfWidth(between, within, df), df, 'paired-rounds', rounds);
  }
  if (first.betweenVariance === null || second.betweenVariance === null) {
    return {ratio: Math.exp(log), low: null, high: null, p: null, how: 'point', rounds};
  }
  const between = first.betweenVariance + second.betweenVariance;
  const df = welch(first.betweenVariance, first.rounds - 1, second.betweenVariance, second.rounds - 1);
  return finish(log, halfWidth(between, within, df), df, 'two-samples', rounds);
}

function ratioOfRows(column: ColumnName, {row: a}: MeasuredCell, {row: b}: MeasuredCell): Ratio | null {
  const [x, y] = [a[column], b[column]];
  if (typeof x !== 'number' || typeof y !== 'number' || x <= 0 || y <= 0) return null;
  const rounds = [a.rounds ?? 0, b.rounds ?? 0] as const;
  const [halfA, halfB] = [halfOfRow(column, a), halfOfRow(column, b)];
  // With one round, the interval of a row knows nothing of what differs between rounds.
  if (halfA === null || halfB === null || rounds[0] < 2 || rounds[1] < 2) {
    return {ratio: x / y, low: null, high: null, p: null, how: 'point', rounds};
  }
  const df = Math.min(rounds[0], rounds[1]) - 1;
  return finish(Math.log(x / y), Math.hypot(halfA, halfB), df, 'intervals-of-rows', rounds);
}

/** Half width on the log scale of a figure that has its interval in the row. */
function halfOfRow(column: ColumnName, row: MeasuredCell['row']): number | null {
  const speed = SPEEDS.find((name) => name === column);
  const [low, high] = speed === undefined ? [null, null] : [row[`${speed}_ci_low`], row[`${speed}_ci_high`]];
  return low === null || high === null || low <= 0 ? null : Math.log(high / low) / 2;
}

function finish(log: number, half: number, df: number, how: Ratio['how'], rounds: readonly [number, number]): Ratio {
  // Scaled so that p is 0.05 exactly where the interval touches 1.
  const t = half === 0 ? Number.POSITIVE_INFINITY : (Math.abs(log) / half) * studentCritical(df, CONFIDENCE);
  const p = log === 0 ? 1 : t === Number.POSITIVE_INFINITY ? 0 : studentTwoSidedP(t, df);
  return {ratio: Math.exp(log), low: Math.exp(log - half), high: Math.exp(log + half), p, how, rounds};
}

/** Degrees of freedom of a difference of two means (Welch 1947, Satterthwaite 1946). */
function welch(varianceA: number, dfA: number, varianceB: number, dfB: number): number {
  const sum = varianceA + varianceB;
  return sum === 0 ? Math.min(dfA, dfB) : sum ** 2 / (varianceA ** 2 / dfA + varianceB ** 2 / dfB);
}

function logOfMedian(values: readonly number[] | undefined): number {
  return Math.log(median(values ?? []) ?? Number.NaN);
}
