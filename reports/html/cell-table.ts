import type {ColumnName, ResultRow} from '../../harness/contract/columns.ts';
import {COLUMNS} from '../../harness/contract/columns.ts';
import {formatBytes, formatSignificant} from '../../harness/contract/units.ts';
import {axisTitle} from '../text.ts';
import {html, type Markup} from './markup.ts';

/** Columns that the table on the page shows; a row's own view and the copied CSV have all. */
const SHOWN = [
  'device',
  'model',
  'workload',
  'format',
  'runner',
  'kernel',
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

export function cellTable(rows: readonly ResultRow[]): Markup {
  // A column that nobody has measured is left out; the words below the table tell that.
  const columns = SHOWN.filter((name) => COLUMNS[name].kind === 'text' || rows.some((row) => row[name] !== null));
  const heads = columns.map(
    (name) =>
      html`<th scope="col" data-kind="${COLUMNS[name].kind === 'text' ? 'text' : 'number'}" title="${COLUMNS[name].doc}"><button type="button">${COLUMNS[name].unit === 'bytes' ? axisTitle(name, 'binary') : axisTitle(name)}</button></th>`,
  );
  return html`<table id="cells"><caption class="muted">Every cell that is shown. Empty: not measured.</caption><thead><tr><th scope="col"><span>row</span></th>${heads}</tr></thead><tbody>${rows.map(
    (row, index) =>
      html`<tr id="row-${index}" data-index="${index}"${row.status === 'ok' ? html`` : html` class="bad"`}><td><button type="button" aria-label="Row ${index + 1}: all figures and the command">${index + 1}</button></td>${columns.map((name) => cell(row, name))}</tr>`,
  )}</tbody></table>`;
}

function cell(row: ResultRow, name: (typeof SHOWN)[number]): Markup {
  const value = row[name];
  if (name === 'status') {
    const text = [row.status, row.status_reason].filter((part) => part !== null && part !== '').join(': ');
    return html`<td class="reason">${text}</td>`;
  }
  if (typeof value !== 'number')
    return html`<td${name === 'caveats' ? html` class="reason"` : html``}>${value ?? ''}</td>`;
  const shown =
    COLUMNS[name].unit === 'bytes'
      ? formatBytes(value)
      : COLUMNS[name].kind === 'integer'
        ? String(value)
        : formatSignificant(value);
  return html`<td class="n" data-value="${value}">${shown}</td>`;
}
