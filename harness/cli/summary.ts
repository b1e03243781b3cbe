import type {ResultRow} from '../contract/columns.ts';
import {controlFormat, FORMAT_NAMES, type Format} from '../contract/format.ts';
import {formatBytes, formatSignificant} from '../contract/units.ts';
import {fitTable, type TableColumn} from './table.ts';
import {plain} from './terminal.ts';

/**
 * Heads of two lines: the table is to be read on 80 columns, too. What has a rank is left out there, lowest first; it all
 * stands in results.csv.
 */
const COLUMNS = [
  {title: 'cell', align: 'left'},
  {title: 'isa', align: 'left'},
  {title: 'model', align: 'left'},
  {title: 'format', align: 'left'},
  {title: 'runner', align: 'left'},
  {title: 'kernel', align: 'left'},
  {title: 'device', align: 'left'},
  {title: 'workload', align: 'left'},
  {title: 'threads', align: 'right'},
  {title: 'build', align: 'left'},
  {title: 'size', align: 'right', rank: 1},
  {title: 'prefill\nt/s', align: 'right', rank: 8},
  {title: 'decode\nt/s', align: 'right'},
  {title: '± %', align: 'right', rank: 7},
  {title: '×\n16 bit', align: 'right', rank: 9},
  {title: 'TTFT\np50 ms', align: 'right', rank: 4},
  {title: 'latency\np90 ms', align: 'right', rank: 6},
  {title: 'RAM\npeak', align: 'right', rank: 5},
  {title: 'VRAM\npeak', align: 'right', rank: 5},
  {title: '% of\nbandwidth', align: 'right', rank: 2},
  {title: 'n', align: 'right', rank: 3},
  {title: 'status', align: 'left'},
] as const satisfies readonly TableColumn[];

/** Columns that are dropped from the table when every row says the same, and named above it instead. */
const CONSTANT: readonly string[] = ['model', 'runner', 'kernel', 'device', 'workload', 'threads', 'build', 'status'];

/**
 * The result rows of one run as a table for people, with ratios to the 16-bit control of each format. Why a cell failed
 * stands below it.
 *
 * @param width Columns of the terminal; a pipe and a file take the whole table.
 */
export function summaryTable(rows: readonly ResultRow[], width?: number): string {
  const measured = rows.filter((row) => row.status !== 'waiting').sort(byPlace);
  if (measured.length === 0) return 'Nothing was measured here.';
  const cells = measured.map((row) => cellsOf(row, measured));
  const constant = COLUMNS.flatMap(({title}, index) => {
    // A cell that did not run has no kernel to differ in.
    const values = new Set(cells.map((line) => line[index] ?? '').filter((value) => value !== ''));
    const [value] = values;
    if (!CONSTANT.includes(title) || value === undefined || values.size > 1) return [];
    return title === 'status' && value !== 'ok' ? [] : [{index, text: plain(`${title} ${value}`)}];
  });
  const heading = wrapped(
    constant.map(({text}) => text),
    width,
  );
  const dropped = new Set(constant.map(({index}) => index));
  for (const index of spare(cells)) dropped.add(index);
  const {text, leftOut} = fitTable(
    COLUMNS.filter((_, index) => !dropped.has(index)),
    cells.map((line) => line.filter((_, index) => !dropped.has(index))),
    width,
  );
  const failed = measured.filter((row) => row.status !== 'ok');
  return [
    ...(heading === '' ? [] : [heading, '']),
    text,
    ...(leftOut.length === 0 ? [] : [`no room here for: ${leftOut.join(', ')}`]),
    ...(failed.length === 0 ? [] : ['', ...reasons(failed)]),
  ].join('\n');
}

/** Parts with a dot between them, in as many lines as it takes. */
function wrapped(parts: readonly string[], width = Number.POSITIVE_INFINITY): string {
  let lines = '';
  let length = 0;
  for (const part of parts) {
    const fits = length > 0 && length + ' · '.length + part.length <= width;
    lines += fits ? ` · ${part}` : `${lines === '' ? '' : '\n'}${part}`;
    length = fits ? length + ' · '.length + part.length : part.length;
  }
  return lines;
}

/** One line a reason, with the cells that have it: rounds of formats often fail for the same one. */
function reasons(failed: readonly ResultRow[]): string[] {
  const byReason = new Map<string, string[]>();
  for (const row of failed) {
    const reason = `${row.status ?? ''}: ${row.status_reason ?? ''}`;
    const name = [row.model, row.format, row.runner, row.kernel, row.device, row.workload].filter(Boolean).join(' ');
    byReason.set(reason, [...(byReason.get(reason) ?? []), name]);
  }
  return [...byReason].map(([reason, names]) => {
    const shown = names.slice(0, MOST_NAMES).join(', ');
    const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
    return plain(`${shown}${more}: ${reason}`);
  });
}

const MOST_NAMES = 3;

function byPlace(a: ResultRow, b: ResultRow): number {
  const place = (row: ResultRow) => [
    row.model ?? '',
    row.device ?? '',
    row.workload ?? '',
    row.runner ?? '',
    row.isa ?? '',
    String(FORMAT_NAMES.indexOf((row.format ?? '') as Format)).padStart(3, '0'), // safe: indexOf of a stranger is -1
    row.kernel ?? '',
    row.cell_id ?? '',
  ];
  const [left, right] = [place(a).join('\u0000'), place(b).join('\u0000')];
  return left < right ? -1 : left > right ? 1 : 0;
}

function cellsOf(row: ResultRow, rows: readonly ResultRow[]): readonly string[] {
  const {decode_tokens_per_s: rate, decode_tokens_per_s_ci_low: low, decode_tokens_per_s_ci_high: high} = row;
  const spread = rate !== null && low !== null && high !== null && rate > 0 ? ((high - low) / 2 / rate) * 100 : null;
  const ratio = ratioToControl(row, rows);
  return [
    row.cell_id ?? '',
    row.isa ?? '',
    row.model ?? '',
    row.format ?? '',
    row.runner ?? '',
    row.kernel ?? '',
    row.device ?? '',
    row.workload ?? '',
    row.threads === null ? '' : String(row.threads),
    row.engine_build ?? '',
    row.weights_bytes === null ? '' : formatBytes(row.weights_bytes),
    number(row.prefill_tokens_per_s),
    number(rate),
    spread === null ? '' : spread > 100 ? '>100' : spread.toFixed(1),
    ratio === null ? '' : ratio.toFixed(2),
    number(row.ttft_ms_p50),
    number(row.latency_ms_p90),
    row.ram_peak_bytes === null ? '' : formatBytes(row.ram_peak_bytes),
    row.vram_peak_bytes === null ? '' : formatBytes(row.vram_peak_bytes),
    bandwidthText(row),
    row.requests === null ? '' : String(row.requests),
    row.status ?? '',
  ];
}

/** A share of the memory bandwidth says nothing of a model that lies in the cache. */
function bandwidthText({bandwidth_ratio: ratio, caveats}: ResultRow): string {
  if (ratio === null) return '';
  return /(?:^| )in-cache(?:=| |$)/.test(caveats ?? '') ? 'in cache' : String(Math.round(ratio * 100));
}

/** Indices of the first two columns that the lines are told apart without; the id where nothing else differs. */
function spare(cells: readonly (readonly string[])[]): readonly number[] {
  const size = COLUMNS.findIndex(({title}) => title === 'size');
  const distinct = (from: number) => new Set(cells.map((line) => line.slice(from, size).join('\u0000'))).size;
  if (distinct(2) === cells.length) return [0, 1];
  return distinct(1) === cells.length ? [0] : distinct(1) === distinct(2) ? [1] : [];
}

const number = (value: number | null) => (value === null ? '' : formatSignificant(value));

/** Same model, runner, device, isa, threads and workload in 16 bit; null when the row is that control or it is missing. */
export function controlOf(row: ResultRow, rows: readonly ResultRow[]): ResultRow | null {
  const format = FORMAT_NAMES.find((name) => name === row.format);
  if (format === undefined) return null;
  const wanted = controlFormat(format);
  if (wanted === format) return null;
  return (
    rows.find(
      (other) =>
        other.format === wanted &&
        other.status === 'ok' &&
        SAME.every((column) => other[column] === row[column]) &&
        // GPTQ runs other kernels than its control; in GGUF the kernel is the instruction set and must be the same.
        (wanted === 'fp16' || other.kernel === row.kernel),
    ) ?? null
  );
}

const SAME = [
  'run_id',
  'model',
  'runner',
  'engine_build',
  'device',
  'isa',
  'workload',
  'threads',
  'batch',
  'concurrency',
] as const;

function ratioToControl(row: ResultRow, rows: readonly ResultRow[]): number | null {
  const control = controlOf(row, rows);
  if (control?.decode_tokens_per_s == null || row.decode_tokens_per_s === null) return null;
  return row.decode_tokens_per_s / control.decode_tokens_per_s;
}

/** Caveats in words, each once, with how many rows have it. */
export function caveatLines(
  rows: readonly ResultRow[],
  docs: Readonly<Record<string, {doc: string; fix: string}>>,
): readonly string[] {
  const seen = new Map<string, number>();
  for (const row of rows) {
    for (const text of (row.caveats ?? '').split(' ').filter((part) => part !== '')) {
      const code = text.split('=')[0] ?? text;
      seen.set(code, (seen.get(code) ?? 0) + 1);
    }
  }
  return [...seen]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, rowsWith]) => {
      const entry = docs[code];
      const scope = rowsWith === rows.length ? 'every row' : `${rowsWith} of ${rows.length} rows`;
      return entry === undefined ? `${code} (${scope})` : `${code} (${scope}): ${entry.doc} ${entry.fix}`;
    });
}
