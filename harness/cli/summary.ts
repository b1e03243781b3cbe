import type {ResultRow} from '../contract/columns.ts';
import {controlFormat, FORMAT_NAMES, type Format} from '../contract/format.ts';
import {formatBytes, formatSignificant} from '../contract/units.ts';
import {renderTable, type TableColumn} from './table.ts';

const COLUMNS: readonly TableColumn[] = [
  {title: 'model', align: 'left'},
  {title: 'format', align: 'left'},
  {title: 'runner', align: 'left'},
  {title: 'kernel', align: 'left'},
  {title: 'device', align: 'left'},
  {title: 'workload', align: 'left'},
  {title: 'threads', align: 'right'},
  {title: 'build', align: 'left'},
  {title: 'size', align: 'right'},
  {title: 'prefill t/s', align: 'right'},
  {title: 'decode t/s', align: 'right'},
  {title: '± %', align: 'right'},
  {title: '× 16 bit', align: 'right'},
  {title: 'TTFT p50 ms', align: 'right'},
  {title: 'latency p90 ms', align: 'right'},
  {title: 'RAM peak', align: 'right'},
  {title: 'VRAM peak', align: 'right'},
  {title: 'of bandwidth', align: 'right'},
  {title: 'n', align: 'right'},
  {title: 'status', align: 'left'},
];

/** Columns that are dropped from the table when every row says the same, and named above it instead. */
const CONSTANT = ['model', 'runner', 'kernel', 'device', 'workload', 'threads', 'build'];

/** The result rows of one run as a table for people, with ratios to the 16-bit control of each format. */
export function summaryTable(rows: readonly ResultRow[]): string {
  const measured = rows.filter((row) => row.status !== 'waiting');
  if (measured.length === 0) return 'Nothing was measured here.';
  const cells = [...measured].sort(byPlace).map((row) => cellsOf(row, measured));
  const constant = COLUMNS.map((column, index) => ({column, index})).filter(
    ({column, index}) =>
      CONSTANT.includes(column.title) &&
      new Set(cells.map((line) => line[index])).size === 1 &&
      (cells[0]?.[index] ?? '') !== '',
  );
  const heading = constant.map(({column, index}) => `${column.title} ${cells[0]?.[index] ?? ''}`).join(' · ');
  const dropped = new Set(constant.map(({index}) => index));
  const table = renderTable(
    COLUMNS.filter((_, index) => !dropped.has(index)),
    cells.map((line) => line.filter((_, index) => !dropped.has(index))),
  );
  return heading === '' ? table : `${heading}\n\n${table}`;
}

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
    row.status === 'ok' ? 'ok' : `${row.status ?? ''}: ${(row.status_reason ?? '').slice(0, 100)}`,
  ];
}

/** A share of the memory bandwidth says nothing of a model that lies in the cache. */
function bandwidthText({bandwidth_ratio: ratio, caveats}: ResultRow): string {
  if (ratio === null) return '';
  return /(?:^| )in-cache(?:=| |$)/.test(caveats ?? '') ? 'in cache' : `${Math.round(ratio * 100)} %`;
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
