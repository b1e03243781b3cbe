import {COLUMNS, type ColumnName, type ResultRow} from '../../harness/contract/columns.ts';
import {formatBytes, formatSignificant} from '../../harness/contract/units.ts';
import {axisTitle} from '../text.ts';
import {html, type Markup} from './markup.ts';

/** Rows that are shown at once: as many as a browser lays out without a pause. */
export const PAGE_ROWS = 100;

/** Columns that the table on the page shows; a row's own view and the copied CSV have all. */
const SHOWN = [
  'device',
  'model',
  'workload',
  'format',
  'runner',
  'kernel',
  'isa',
  'status',
  'decode_tokens_per_s',
  'prefill_tokens_per_s',
  'latency_ms_p50',
  'latency_ms_p90',
  'ttft_ms_p90',
  'ram_peak_bytes',
  'vram_peak_bytes',
  'bandwidth_ratio',
  'energy_j_per_token',
  'quality_value',
  'usd_per_1m_output_tokens',
  'requests',
  'caveats',
] as const satisfies readonly ColumnName[];
type Shown = (typeof SHOWN)[number];

/** Columns of the interval of a figure. */
const INTERVALS: Readonly<Partial<Record<Shown, readonly [low: ColumnName, high: ColumnName]>>> = {
  decode_tokens_per_s: ['decode_tokens_per_s_ci_low', 'decode_tokens_per_s_ci_high'],
  prefill_tokens_per_s: ['prefill_tokens_per_s_ci_low', 'prefill_tokens_per_s_ci_high'],
  latency_ms_p90: ['latency_ms_p90_ci_low', 'latency_ms_p90_ci_high'],
  quality_value: ['quality_ci_low', 'quality_ci_high'],
};

export interface ShownColumn {
  readonly name: Shown;
  readonly shows: 'text' | 'integer' | 'number' | 'bytes';
  readonly interval: readonly [low: ColumnName, high: ColumnName] | null;
}

/** A column that nobody has measured is left out. */
export function shownColumns(rows: readonly ResultRow[]): ShownColumn[] {
  return SHOWN.filter((name) => COLUMNS[name].kind === 'text' || rows.some((row) => row[name] !== null)).map(
    (name) => ({
      name,
      shows: COLUMNS[name].unit === 'bytes' ? 'bytes' : COLUMNS[name].kind,
      interval: INTERVALS[name] ?? null,
    }),
  );
}

/** The table with its first rows: what a reader without scripts sees, and what the script of the page takes over. */
export function cellTable(
  rows: readonly ResultRow[],
  columns: readonly ShownColumn[],
  anchors: readonly string[],
): Markup {
  const heads = columns.map(({name, shows}) => {
    const title = shows === 'bytes' ? axisTitle(name, 'binary') : axisTitle(name);
    return html`<th scope="col" data-name="${name}"${shows === 'text' ? '' : html` class="n"`} title="${COLUMNS[name].doc}"><button type="button">${title}</button></th>`;
  });
  const lines = rows.slice(0, PAGE_ROWS).map((row, index) => {
    const bad = row.status === 'ok' ? html`` : html` class="bad"`;
    return html`<tr id="${anchors[index] ?? ''}" data-row="${index}"${bad}><th scope="row"><button type="button" aria-label="Row ${index + 1}: all figures and the command">${index + 1}</button></th>${columns.map((column) => cell(row, column))}</tr>`;
  });
  return html`<table id="cells"><caption>One row a cell; an empty field was not measured. Small print: the 95 % interval. A row’s number opens all of its figures and the command that measures it again.</caption><thead><tr><th scope="col"><abbr title="number of the row">#</abbr></th>${heads}</tr></thead><tbody>${lines}</tbody></table>`;
}

function cell(row: ResultRow, {name, shows, interval}: ShownColumn): Markup {
  if (name === 'status') {
    const text = [row.status, row.status_reason].filter((part) => part !== null && part !== '').join(': ');
    return html`<td${text === row.status ? '' : html` class="long"`}>${text}</td>`;
  }
  const value = row[name];
  if (typeof value !== 'number') {
    return html`<td${name === 'caveats' && value !== null ? html` class="long caveats"` : ''}>${value ?? ''}</td>`;
  }
  const [low, high] = interval === null ? [null, null] : [row[interval[0]], row[interval[1]]];
  const between =
    typeof low === 'number' && typeof high === 'number'
      ? html` <small>${figure(low, shows)}–${figure(high, shows)}</small>`
      : '';
  return html`<td class="n">${figure(value, shows)}${between}</td>`;
}

function figure(value: number, shows: ShownColumn['shows']): string {
  if (shows === 'bytes') return formatBytes(value);
  return shows === 'integer' ? String(value) : formatSignificant(value);
}
