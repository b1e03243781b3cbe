import type {ColumnName, ResultRow} from '../contract/columns.ts';
import {BenchError} from '../contract/errors.ts';
import {normalQuantile, studentCritical} from '../derive/special.ts';
import {CONFIDENCE, RUN_DRIFT, SMALLEST_EFFECT, TRIMMED, TRIMMED_FROM} from '../derive/thresholds.ts';
import {holm} from './holm.ts';
import {isaCap, type MeasuredCell, type Speed, valuesByRound} from './measured-cell.ts';
import {type Ratio, ratioOf, ratioOfRounds, ratioOfRuns} from './ratio.ts';

/** What must be equal for two rows to be compared: else the difference has another cause than the one looked for. */
const MUST_EQUAL = [
  'model',
  'architecture',
  'parameters',
  'weights_sha256',
  'format',
  'runner',
  'device',
  'device_name',
  'workload',
  'prompt_tokens',
  'generated_tokens',
  'batch',
  'concurrency',
  'prefix_cache',
  'threads',
  'gpu_layers',
  'driver',
] as const satisfies readonly ColumnName[];

/** What may differ, and is said: it may be what is being compared. */
const MAY_DIFFER = [
  'runner_version',
  'engine_build',
  'kernel',
  'dtype',
  'isa',
  'host',
  'cuda',
  'os',
  'kernel_release',
  'node',
  'git_commit',
] as const satisfies readonly ColumnName[];

export type Change = 'faster' | 'slower' | 'same' | 'ambiguous';

export interface Comparison {
  readonly cellId: string;
  readonly metric: Speed;
  /** Of several runs the one that started last. */
  readonly base: ResultRow;
  readonly now: ResultRow;
  /** Runs of the first and the second that the ratio rests on. */
  readonly runs: readonly [number, number];
  /** Speed now ÷ before. */
  readonly ratio: Ratio;
  /** Adjusted for the number of comparisons (Holm); null without an interval. */
  readonly adjustedP: number | null;
  readonly change: Change;
  /** Why, in words, when ambiguous. */
  readonly reason: string;
  /** How much faster or slower the host may have been, for one run each: its interval allows for it. null: it is measured. */
  readonly drift: number | null;
  /** Rounds that would narrow the interval to the smallest effect, where rounds are paired and it is wider. */
  readonly roundsWanted: number | null;
  /** Columns that differ although the cell is the same: `runner_version 3.22.1 → 3.23.0`. */
  readonly changed: readonly string[];
}

export interface NotCompared {
  readonly cellId: string;
  readonly reason: string;
}

export interface ComparisonReport {
  readonly comparisons: readonly Comparison[];
  readonly notCompared: readonly NotCompared[];
}

const METRICS = [
  'prefill_tokens_per_s',
  'decode_tokens_per_s',
  'output_tokens_per_s',
] as const satisfies readonly Speed[];

/** Two sides of one comparison; each holds one cell, as measured in one or more runs, the latest first. */
interface Pair {
  readonly base: readonly [MeasuredCell, ...MeasuredCell[]];
  readonly now: readonly [MeasuredCell, ...MeasuredCell[]];
}

export interface CompareOptions {
  readonly smallestEffect?: number;
  /**
   * Of one run each: how much faster or slower the host may have been in one of them, as a ratio. 0 for a host that is
   * known to be as fast during one run as during another. Nothing in two runs can show how much it is.
   */
  readonly drift?: number;
  /** The same as `drift: 0`. */
  readonly steadyHost?: boolean;
}

/**
 * Cell by cell, whether `now` is faster than `base`. Cells are matched by id, which is made of all that must be equal.
 * Either may hold several runs of a cell.
 *
 * `faster` or `slower`: the difference is significant among all comparisons, and at least `smallestEffect`. `same`:
 * the whole interval lies within it. Everything else is `ambiguous`: measure longer. With one run each, the interval is
 * widened by what a host may differ from run to run (`drift`), which no number of rounds shows: only more than that is
 * faster or slower, and nothing is the same.
 *
 * @throws {BenchError} NOT_COMPARABLE when no cell of the two can be compared; the message names what differs.
 */
export function compareCells(
  base: readonly MeasuredCell[],
  now: readonly MeasuredCell[],
  options: CompareOptions = {},
): ComparisonReport {
  const notCompared: NotCompared[] = [];
  const pairs: Pair[] = [];
  const fresh = new Set(now.map(({row}) => row.run_id));
  for (const [cellId, cells] of byCellId(now.filter(({row}) => row.status !== 'waiting'))) {
    const after = ofOneKind(cells);
    const all = base.filter(({row}) => row.cell_id === cellId);
    // A folder of all runs as the base of the newest of them: a run is no base of its own, where there is another.
    const earlier = all.filter(({row}) => !fresh.has(row.run_id));
    const same = earlier.length === 0 ? all : earlier;
    const before = same.length === 0 ? null : ofOneKind(same);
    const row = after[0].row;
    const refusal = before === null ? nearestDifference(base, row) : refusalOf(before[0].row, row);
    if (before === null || refusal !== null) notCompared.push({cellId, reason: refusal ?? 'not in the base'});
    else pairs.push({base: before, now: after});
  }
  return reported(pairs, notCompared, options, base.length === 0);
}

/**
 * Within runs: every cell that `pick` calls the base against the one that it calls new, the same in all else. Both were
 * measured in turn, round by round, hence drift of the host hits both alike and cancels: the way to tell 5 %.
 *
 * @param pick Which side a cell is on; null: none.
 * @param mayDiffer Columns besides those that may always differ: what is being compared, and what follows from it.
 * @throws {BenchError} NOT_COMPARABLE
 */
export function compareWithin(
  cells: readonly MeasuredCell[],
  pick: (row: ResultRow) => 'base' | 'now' | null,
  mayDiffer: readonly ColumnName[],
  options: CompareOptions = {},
): ComparisonReport {
  const equal = MUST_EQUAL.filter((name) => !mayDiffer.includes(name));
  const capped = mayDiffer.includes('isa') ? () => 'any' : isaCap;
  const on = (side: 'base' | 'now') => cells.filter(({row}) => row.status !== 'waiting' && pick(row) === side);
  const bases = on('base');
  const notCompared: NotCompared[] = [];
  const found = new Map<string, {base: MeasuredCell[]; now: MeasuredCell[]}>();
  for (const after of on('now')) {
    const {row} = after;
    const cellId = row.cell_id ?? '';
    const own = bases.filter((one) => one.row.run_id === row.run_id && capped(one.row) === capped(row));
    const fitting = own.filter((one) => equal.every((name) => one.row[name] === row[name]));
    const [before] = fitting;
    const refusal =
      before === undefined
        ? (nearestDifference(own, row, equal) ?? 'its run has no such base')
        : fitting.length > 1
          ? `${fitting.length} cells of its run would be its base: ${fitting.map((one) => one.row.cell_id).join(', ')}; tell them apart by cell_id`
          : statusOf(before.row, row);
    if (before === undefined || refusal !== null) {
      notCompared.push({cellId, reason: refusal ?? 'its run has no such base'});
      continue;
    }
    const key = `${before.row.cell_id} ${cellId}`;
    const known = found.get(key) ?? {base: [], now: []};
    known.base.push(before);
    known.now.push(after);
    found.set(key, known);
  }
  const pairs = [...found.values()].flatMap(({base, now}): Pair[] => {
    const [before, after] = [base.at(-1), now.at(-1)];
    return before === undefined || after === undefined
      ? []
      : [{base: [before, ...base.slice(0, -1)], now: [after, ...now.slice(0, -1)]}];
  });
  return reported(pairs, notCompared, options, bases.length === 0);
}

function reported(
  pairs: readonly Pair[],
  notCompared: readonly NotCompared[],
  {smallestEffect = SMALLEST_EFFECT, steadyHost = false, drift = steadyHost ? 0 : RUN_DRIFT}: CompareOptions,
  noBase: boolean,
): ComparisonReport {
  const refused = [...notCompared];
  const measured = pairs.flatMap((pair) => {
    const ratios = METRICS.flatMap((metric) => {
      const ratio = ratioOfPair(metric, pair, drift);
      return ratio === null ? [] : [{...pair, metric, ratio}];
    });
    if (ratios.length === 0) refused.push({cellId: pair.now[0].row.cell_id ?? '', reason: 'no speed in both'});
    return ratios;
  });
  if (measured.length === 0) throw notComparable(noBase, refused);

  const tested = measured.filter(({ratio}) => ratio.p !== null);
  const adjusted = holm(tested.map(({ratio}) => ratio.p ?? 1));
  const comparisons = measured.map(({base, now, metric, ratio}): Comparison => {
    const at = tested.findIndex((pair) => pair.ratio === ratio);
    const adjustedP = at < 0 ? null : (adjusted[at] ?? null);
    const allowed = base.length + now.length === 2 && !inOneRun(base, now) ? drift : null;
    const {change, reason} = judge(ratio, adjustedP, smallestEffect, allowed ?? 0);
    const [before, after] = [base[0].row, now[0].row];
    return {
      cellId: after.cell_id ?? '',
      metric,
      base: before,
      now: after,
      runs: [base.length, now.length],
      ratio,
      adjustedP,
      change,
      reason,
      drift: allowed,
      roundsWanted: change === 'ambiguous' ? roundsWanted(ratio, Math.log1p(smallestEffect)) : null,
      changed: [...MUST_EQUAL, ...MAY_DIFFER]
        .filter((name) => before[name] !== after[name])
        .map((name) => `${name} ${valueText(name, before)} → ${valueText(name, after)}`),
    };
  });
  return {comparisons, notCompared: refused};
}

function ratioOfPair(metric: Speed, {base, now}: Pair, drift: number): Ratio | null {
  if (inOneRun(base, now)) return pairedRatio(metric, base, now);
  const rounds = (cells: readonly MeasuredCell[]) => cells.map((cell) => valuesByRound(cell, metric));
  const replicated = base.length + now.length > 2 ? ratioOfRuns(rounds(now), rounds(base)) : null;
  return replicated ?? ratioOf(metric, now[0], base[0], {drift});
}

/** Rounds of several runs are told apart, and each is paired within its run. */
function pairedRatio(metric: Speed, base: Pair['base'], now: Pair['now']): Ratio | null {
  if (base.length === 1) return ratioOf(metric, now[0], base[0], {trimmed: true});
  const [a, b] = [now, base].map(
    (cells) =>
      new Map(
        cells.flatMap((cell, run) => {
          const rounds = [...valuesByRound(cell, metric)];
          return rounds.map(([round, values]) => [run * MOST_ROUNDS + round, values] as const);
        }),
      ),
  );
  return a === undefined || b === undefined ? null : ratioOfRounds(a, b, true, {trimmed: true});
}

const MOST_ROUNDS = 1e6;

/** Whether the i-th of both sides were measured in turn. */
function inOneRun(base: readonly MeasuredCell[], now: readonly MeasuredCell[]): boolean {
  return base.length === now.length && base.every(({row}, index) => row.run_id === now[index]?.row.run_id);
}

function judge(
  {ratio, low, high}: Ratio,
  adjustedP: number | null,
  smallest: number,
  drift: number,
): {change: Change; reason: string} {
  const [lowest, highest] = [1 / (1 + smallest), 1 + smallest];
  if (low === null || high === null || adjustedP === null) {
    return {change: 'ambiguous', reason: 'one round only: what differs between rounds is not known'};
  }
  if (low >= lowest && high <= highest) return {change: 'same', reason: ''};
  const significant = adjustedP < 1 - CONFIDENCE;
  if (significant && ratio >= highest) return {change: 'faster', reason: ''};
  if (significant && ratio <= lowest) return {change: 'slower', reason: ''};
  const reason = significant
    ? 'the difference may be too small to matter'
    : low > 1 || high < 1
      ? 'not significant among so many comparisons'
      : drift > 0
        ? 'one run each: no more than the host may differ from run to run'
        : 'the interval holds both a difference and none';
  return {change: 'ambiguous', reason};
}

/** Nobody measures more than this many rounds to learn of one cell. */
const MOST_ROUNDS_WANTED = 1000;

/**
 * How many rounds would narrow an interval of paired rounds to ± `half` on the log scale, if they vary as those that were
 * measured. Whoever measures until an interval is narrow enough looks at its width and not at the verdict: that
 * leaves its coverage nearly as it is, which looking at the verdict would not.
 *
 * @returns null where rounds are not paired, or more than a thousand would be needed.
 */
function roundsWanted({how, ratio, high, rounds: [rounds]}: Ratio, half: number): number | null {
  if (how !== 'paired-rounds' || high === null) return null;
  const t = (n: number): number =>
    studentCritical((n < TRIMMED_FROM ? n : n - 2 * Math.floor(TRIMMED * n)) - 1, CONFIDENCE);
  const spread = (Math.log(high / ratio) * Math.sqrt(rounds)) / t(rounds);
  // Student's t is a little more than the normal quantile: the search begins close below its end.
  let wanted = Math.max(rounds + 1, Math.ceil(((normalQuantile((1 + CONFIDENCE) / 2) * spread) / half) ** 2));
  while (wanted <= MOST_ROUNDS_WANTED) {
    if ((t(wanted) * spread) / Math.sqrt(wanted) <= half) return wanted;
    wanted++;
  }
  return null;
}

/** Why two rows of one cell id cannot be compared; null when they can. */
function refusalOf(before: ResultRow, after: ResultRow): string | null {
  const status = statusOf(before, after);
  if (status !== null) return status;
  const differing = MUST_EQUAL.filter((name) => before[name] !== after[name]);
  return differing.length === 0 ? null : `${differing.map((name) => differenceText(name, before, after)).join(', ')}`;
}

function statusOf(before: ResultRow, after: ResultRow): string | null {
  if (before.status === 'ok' && after.status === 'ok') return null;
  return `status ${before.status ?? 'unknown'} → ${after.status ?? 'unknown'}`;
}

/** The cell that differs least, and in what. */
function nearestDifference(
  base: readonly MeasuredCell[],
  row: ResultRow,
  names: readonly ColumnName[] = [...MUST_EQUAL, 'kernel', 'isa'],
): string | null {
  const candidates = base
    .map(({row: other}) => ({other, differing: names.filter((name) => other[name] !== row[name])}))
    .sort((a, b) => a.differing.length - b.differing.length);
  const [nearest] = candidates;
  if (nearest === undefined) return null;
  const what = nearest.differing.map((name) => differenceText(name, nearest.other, row)).join(', ');
  return `not in the base; the nearest cell there differs in ${what === '' ? 'a setting of the engine' : what}`;
}

function differenceText(name: ColumnName, before: ResultRow, after: ResultRow): string {
  return `${name} (${valueText(name, before)} → ${valueText(name, after)})`;
}

/** Of a hash, as much as tells two apart. */
function valueText(name: ColumnName, row: ResultRow): string {
  const text = String(row[name] ?? 'unknown');
  return name.endsWith('_sha256') ? text.slice(0, 12) : text;
}

function byCellId(cells: readonly MeasuredCell[]): Map<string, [MeasuredCell, ...MeasuredCell[]]> {
  const found = new Map<string, [MeasuredCell, ...MeasuredCell[]]>();
  for (const cell of cells) {
    const id = cell.row.cell_id ?? '';
    const known = found.get(id);
    if (known === undefined) found.set(id, [cell]);
    else known.push(cell);
  }
  return found;
}

/**
 * Of several runs of a cell the one that started last, and those that are the same in every column that might explain a
 * difference: other versions and hosts are not repetitions. The commit of the folder that a run started in is none of them.
 */
function ofOneKind(cells: readonly MeasuredCell[]): [MeasuredCell, ...MeasuredCell[]] {
  const [latest, ...earlier] = cells.toSorted((a, b) => ((a.row.started_at ?? '') > (b.row.started_at ?? '') ? -1 : 1));
  if (latest === undefined) throw new Error('there is a cell of every id');
  const alike = [...MUST_EQUAL, ...MAY_DIFFER, 'status' as const].filter((name) => name !== 'git_commit');
  return [latest, ...earlier.filter(({row}) => alike.every((name) => row[name] === latest.row[name]))];
}

function notComparable(noBase: boolean, notCompared: readonly NotCompared[]): BenchError {
  const [first] = notCompared;
  const why = noBase
    ? 'the base has no cells'
    : first === undefined
      ? 'there is nothing to compare with it'
      : `cell ${first.cellId}: ${first.reason}`;
  return new BenchError('NOT_COMPARABLE', `No cell of the two can be compared: ${why}`);
}
