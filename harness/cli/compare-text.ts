import {compareRows} from '../../reports/cell.ts';
import type {Change, Comparison, ComparisonReport} from '../claims/compare.ts';
import type {ResultRow} from '../contract/columns.ts';
import {formatSignificant} from '../contract/units.ts';
import {placeOf, renderTables, type TableColumn} from './table.ts';
import {plain} from './terminal.ts';

const COLUMNS: readonly TableColumn[] = [
  {title: 'verdict', align: 'left'},
  {title: 'format', align: 'left'},
  {title: 'runner', align: 'left'},
  {title: 'kernel', align: 'left'},
  {title: 'tokens/s', align: 'left'},
  {title: 'base', align: 'right'},
  {title: 'new', align: 'right'},
  {title: 'new ÷ base', align: 'right'},
  {title: '95 %', align: 'left'},
  {title: 'p (Holm)', align: 'right'},
  {title: 'rests on', align: 'left'},
  {title: 'why', align: 'left'},
];

const FIGURES: Readonly<Record<Comparison['metric'], string>> = {
  prefill_tokens_per_s: 'prefill',
  decode_tokens_per_s: 'decode',
  output_tokens_per_s: 'whole request',
  requests_per_s: 'requests',
};

const CHANGES: readonly Change[] = ['same', 'faster', 'slower', 'ambiguous'];

/** What was compared, device by device; below it what else differs, and what would settle the ambiguous. */
export function comparisonText({comparisons}: ComparisonReport, effect: number): string {
  const inOrder = comparisons.toSorted((a, b) => compareRows(a.now, b.now));
  const tables = renderTables(
    COLUMNS,
    inOrder.map((one) => ({place: placeOf(one.now), cells: lineOf(one)})),
  );
  return [tables, '', countsText(comparisons, effect), ...wantedText(comparisons, effect), ...notes(comparisons)].join(
    '\n',
  );
}

function lineOf(comparison: Comparison): string[] {
  const {metric, base, now, ratio, adjustedP, change, reason} = comparison;
  return [
    change,
    now.format ?? '',
    now.runner ?? '',
    now.kernel ?? '',
    FIGURES[metric],
    figure(base[metric]),
    figure(now[metric]),
    `× ${ratio.ratio.toFixed(3)}`,
    ratio.low === null || ratio.high === null ? '' : `${ratio.low.toFixed(3)} … ${ratio.high.toFixed(3)}`,
    adjustedP === null ? '' : adjustedP < 0.001 ? '< 0.001' : adjustedP.toFixed(3),
    basisOf(comparison),
    reason,
  ];
}

function figure(value: number | null): string {
  return value === null ? '' : formatSignificant(value);
}

function basisOf({base, now, ratio, drift, runs: [before, after]}: Comparison): string {
  if (ratio.how === 'paired-rounds') return `${ratio.rounds[0]} rounds, in turn`;
  if (ratio.how === 'repeated-runs') return `${before} + ${after} runs`;
  if (base.run_id === now.run_id) return 'one run';
  return drift === null || drift === 0 ? 'one run each' : `one run each, ± ${percent(drift)} host`;
}

function countsText(comparisons: readonly Comparison[], effect: number): string {
  const counts = CHANGES.map((change) => `${comparisons.filter((one) => one.change === change).length} ${change}`);
  return `${counts.join(' · ')} (what matters: from ${percent(effect)} on)`;
}

/** How many rounds the ambiguous ones would take, where rounds can settle them. */
function wantedText(comparisons: readonly Comparison[], effect: number): string[] {
  const paired = comparisons.filter(({change, ratio}) => change === 'ambiguous' && ratio.how === 'paired-rounds');
  const rounds = paired.map(({ratio}) => ratio.rounds[0]);
  const wanted = paired.map(({roundsWanted}) => roundsWanted ?? Number.POSITIVE_INFINITY);
  if (paired.length === 0) return [];
  const most = Math.max(...wanted);
  const text = most === Number.POSITIVE_INFINITY ? 'more than 1000' : `about ${most}`;
  return [`± ${percent(effect)} would take ${text} rounds as these were; there are ${Math.max(...rounds)}`];
}

/** What differs although the cells are the same, once for all of them; and what the host did, as far as it was probed. */
function notes(comparisons: readonly Comparison[]): string[] {
  const changed = [...new Set(comparisons.flatMap((one) => one.changed))].sort();
  const hosts = [...new Set(comparisons.flatMap(({base, now}) => bandwidthText(base, now) ?? []))].sort();
  return [
    ...(changed.length === 0 ? [] : ['', 'changed between the two:', ...changed.map((text) => `  ${plain(text)}`)]),
    ...(hosts.length === 0
      ? []
      : ['', 'the hosts themselves, by one probe a run:', ...hosts.map((text) => `  ${text}`)]),
  ];
}

/** The read bandwidth of two runs: bench's own code, hence a sign of the host and not of the engine. */
function bandwidthText(base: ResultRow, now: ResultRow): string | null {
  const [before, after] = [base.memory_bandwidth_bytes_per_s, now.memory_bandwidth_bytes_per_s];
  if (base.run_id === now.run_id || before === null || after === null || before <= 0) return null;
  const gigabytes = (value: number): string => formatSignificant(value / 1e9);
  return plain(
    `memory bandwidth of ${now.device}, ${now.threads} threads: ${gigabytes(before)} → ${gigabytes(after)} GB/s (× ${(after / before).toFixed(3)})`,
  );
}

function percent(ratio: number): string {
  return `${Number((100 * ratio).toPrecision(3))} %`;
}
