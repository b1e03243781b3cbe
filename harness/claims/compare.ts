import type {ColumnName, ResultRow} from '../contract/columns.ts';
import {BenchError} from '../contract/errors.ts';
import {CONFIDENCE, SMALLEST_EFFECT} from '../derive/thresholds.ts';
import {holm} from './holm.ts';
import type {MeasuredCell, Speed} from './measured-cell.ts';
import {type Ratio, ratioOf} from './ratio.ts';

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
  readonly base: ResultRow;
  readonly now: ResultRow;
  /** Speed now ÷ before. */
  readonly ratio: Ratio;
  /** Adjusted for the number of comparisons (Holm); null without an interval. */
  readonly adjustedP: number | null;
  readonly change: Change;
  /** Why, in words, when ambiguous. */
  readonly reason: string;
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

/**
 * Cell by cell, whether `now` is faster than `base`. Cells are matched by id, which is made of all that must be equal.
 *
 * `faster` or `slower`: the difference is significant among all comparisons, and at least `smallestEffect`. `same`:
 * the whole interval lies within it. Everything else is `ambiguous`: measure longer.
 *
 * @throws {BenchError} NOT_COMPARABLE when no cell of the two can be compared; the message names what differs.
 */
export function compareCells(
  base: readonly MeasuredCell[],
  now: readonly MeasuredCell[],
  {smallestEffect = SMALLEST_EFFECT}: {readonly smallestEffect?: number} = {},
): ComparisonReport {
  const notCompared: NotCompared[] = [];
  const pairs: {before: MeasuredCell; after: MeasuredCell; metric: Speed; ratio: Ratio}[] = [];
  for (const after of now) {
    const cellId = after.row.cell_id ?? '';
    const before = latest(base.filter(({row}) => row.cell_id === cellId));
    const refusal = before === null ? nearestDifference(base, after.row) : refusalOf(before.row, after.row);
    if (before === null || refusal !== null) {
      notCompared.push({cellId, reason: refusal ?? 'not in the base'});
      continue;
    }
    const ratios = METRICS.flatMap((metric) => {
      const ratio = ratioOf(metric, after, before);
      return ratio === null ? [] : [{before, after, metric, ratio}];
    });
    if (ratios.length === 0) notCompared.push({cellId, reason: 'no speed in both'});
    pairs.push(...ratios);
  }
  if (pairs.length === 0) throw notComparable(base, notCompared);

  const tested = pairs.filter(({ratio}) => ratio.p !== null);
  const adjusted = holm(tested.map(({ratio}) => ratio.p ?? 1));
  const comparisons = pairs.map(({before, after, metric, ratio}): Comparison => {
    const at = tested.findIndex((pair) => pair.ratio === ratio);
    const adjustedP = at < 0 ? null : (adjusted[at] ?? null);
    const {change, reason} = judge(ratio, adjustedP, smallestEffect);
    return {
      cellId: after.row.cell_id ?? '',
      metric,
      base: before.row,
      now: after.row,
      ratio,
      adjustedP,
      change,
      reason,
      changed: MAY_DIFFER.filter((name) => before.row[name] !== after.row[name]).map(
        (name) => `${name} ${before.row[name] ?? 'unknown'} → ${after.row[name] ?? 'unknown'}`,
      ),
    };
  });
  return {comparisons, notCompared};
}

function judge(
  {ratio, low, high}: Ratio,
  adjustedP: number | null,
  smallest: number,
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
      : 'the interval holds both a difference and none';
  return {change: 'ambiguous', reason};
}

/** Why two rows of one cell id cannot be compared; null when they can. */
function refusalOf(before: ResultRow, after: ResultRow): string | null {
  if (before.status !== 'ok' || after.status !== 'ok') {
    return `status ${before.status ?? 'unknown'} → ${after.status ?? 'unknown'}`;
  }
  const differing = MUST_EQUAL.filter((name) => before[name] !== after[name]);
  return differing.length === 0 ? null : `${differing.map((name) => differenceText(name, before, after)).join(', ')}`;
}

/** The cell that differs least, and in what. */
function nearestDifference(base: readonly MeasuredCell[], row: ResultRow): string | null {
  const names = [...MUST_EQUAL, 'kernel', 'isa'] as const;
  const candidates = base
    .map(({row: other}) => ({other, differing: names.filter((name) => other[name] !== row[name])}))
    .sort((a, b) => a.differing.length - b.differing.length);
  const [nearest] = candidates;
  if (nearest === undefined) return null;
  const what = nearest.differing.map((name) => differenceText(name, nearest.other, row)).join(', ');
  return `not in the base; the nearest cell there differs in ${what === '' ? 'a setting of the engine' : what}`;
}

function differenceText(name: ColumnName, before: ResultRow, after: ResultRow): string {
  return `${name} (${before[name] ?? 'unknown'} → ${after[name] ?? 'unknown'})`;
}

/** Of several runs of a cell the one that started last. */
function latest(cells: readonly MeasuredCell[]): MeasuredCell | null {
  return cells.toSorted((a, b) => ((a.row.started_at ?? '') < (b.row.started_at ?? '') ? -1 : 1)).at(-1) ?? null;
}

function notComparable(base: readonly MeasuredCell[], notCompared: readonly NotCompared[]): BenchError {
  const [first] = notCompared;
  const why =
    base.length === 0
      ? 'the base has no cells'
      : first === undefined
        ? 'there is nothing to compare with it'
        : `cell ${first.cellId}: ${first.reason}`;
  return new BenchError('NOT_COMPARABLE', `No cell of the two can be compared: ${why}`);
}
