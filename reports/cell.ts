import type {ResultRow} from '../harness/contract/columns.ts';
import {FORMATS, type Format} from '../harness/contract/format.ts';
import {clean, shellQuote} from './text.ts';

/** What every mark of every chart carries: to filter, to point at its row, and to tell how far to trust it. */
export interface CellDatum {
  /** Of {@link rowKey}. */
  readonly key: string;
  readonly model: string;
  readonly device: string;
  readonly format: string;
  readonly runner: string;
  readonly kernel: string;
  readonly workload: string;
  readonly status: string;
  /** Where cells stand together: device, model and workload. */
  readonly panel: string;
  /** What differs within a panel: format, runner, kernel. */
  readonly label: string;
  /** Position within all cells. */
  readonly order: number;
  readonly requests: number | null;
  readonly rounds: number | null;
  readonly caveats: string;
  /** Empty for a measured cell, else how it ended. */
  readonly ended: string;
}

/** Name of a row within a report. */
export function rowKey(row: {readonly run_id: string | null; readonly cell_id: string | null}): string {
  return `${row.run_id ?? ''}/${row.cell_id ?? ''}`;
}

/** Widest format first, so that the control stands on top; unknown formats last. */
function bitsOf(row: ResultRow): number {
  const format = row.format ?? '';
  return row.bits_per_weight ?? (Object.hasOwn(FORMATS, format) ? FORMATS[format as Format].nominalBits : 0); // looked up just before
}

const compareText = (a: string | null, b: string | null): number => {
  const [x, y] = [a ?? '', b ?? ''];
  return x === y ? 0 : x < y ? -1 : 1;
};

/** The same order of whatever device. */
export function compareWays(a: ResultRow, b: ResultRow): number {
  return (
    compareText(a.model, b.model) ||
    compareText(a.workload, b.workload) ||
    bitsOf(b) - bitsOf(a) ||
    compareText(a.format, b.format) ||
    compareText(a.runner, b.runner) ||
    compareText(a.kernel, b.kernel)
  );
}

/** One order of cells for all charts and tables: device, model, workload, bits, runner, kernel, host, then ids. */
export function compareRows(a: ResultRow, b: ResultRow): number {
  return (
    compareText(a.device, b.device) ||
    compareWays(a, b) ||
    compareText(a.host, b.host) ||
    compareText(a.run_id, b.run_id) ||
    compareText(a.cell_id, b.cell_id)
  );
}

const parts = (...texts: readonly (string | null)[]): string =>
  texts
    .filter((text) => text !== null && text !== '')
    .map((text) => clean(text, 60))
    .join(' · ');

/** Differences that a label of format, runner and kernel does not show. */
const FURTHER = ['isa', 'threads', 'gpu_layers', 'engine_build', 'host', 'run_id', 'cell_id'] as const;

export type Cell = CellDatum & {readonly row: ResultRow};

/** Every chart asks for the cells of the same rows: sorting 100 000 of them fifteen times is most of a report. */
const remembered = new WeakMap<readonly ResultRow[], readonly Cell[]>();

/** The rows in order, each with what a chart needs beside figures. Labels are unique within a panel. */
export function cellData(rows: readonly ResultRow[]): readonly Cell[] {
  const cells = remembered.get(rows) ?? cellsOf(rows);
  remembered.set(rows, cells);
  return cells;
}

function cellsOf(rows: readonly ResultRow[]): Cell[] {
  const ordered = [...rows].sort(compareRows);
  const groups = new Map<string, ResultRow[]>();
  const idOf = (row: ResultRow): string => JSON.stringify([panelOf(row), labelOf(row)]);
  for (const row of ordered) {
    const known = groups.get(idOf(row));
    if (known === undefined) groups.set(idOf(row), [row]);
    else known.push(row);
  }
  const differences = new Map([...groups].map(([id, alike]) => [id, differenceOf(alike)]));
  return ordered.map((row, order) => ({
    key: rowKey(row),
    model: clean(row.model, 80),
    device: clean(row.device, 80),
    format: clean(row.format, 80),
    runner: clean(row.runner, 80),
    kernel: clean(row.kernel, 80),
    workload: clean(row.workload, 80),
    status: clean(row.status, 40),
    panel: panelOf(row),
    label: labelOf(row) + distinction(row, differences.get(idOf(row)) ?? null),
    order,
    requests: row.requests,
    rounds: row.rounds,
    caveats: clean(row.caveats),
    ended: row.status === 'ok' ? '' : parts(`${row.status ?? 'no status'}`, row.status_reason),
    row,
  }));
}

function panelOf(row: ResultRow): string {
  return parts(row.device, row.model, row.workload);
}

function labelOf(row: ResultRow): string {
  return parts(row.format, row.runner, row.kernel);
}

type Difference = (typeof FURTHER)[number] | 'row';

/** What tells cells of one label apart; null for one alone. */
function differenceOf(alike: readonly ResultRow[]): Difference | null {
  if (alike.length < 2) return null;
  return FURTHER.find((name) => new Set(alike.map((one) => one[name])).size === alike.length) ?? 'row';
}

function distinction(row: ResultRow, difference: Difference | null): string {
  if (difference === null) return '';
  const value = difference === 'row' ? rowKey(row) : row[difference];
  const name = difference === 'host' || difference === 'isa' ? '' : `${difference} `;
  return ` · ${name}${clean(String(value ?? '–'), 60)}`;
}

/** The command that measures this very cell again. */
export function commandOf(row: ResultRow): string {
  const keys = ['model', 'format', 'runner', 'device', 'workload'] as const;
  const only = keys.flatMap((key) => {
    const value = row[key];
    return value === null ? [] : [`--only ${shellQuote(`${key}=${value}`)}`];
  });
  return ['bench matrix', shellQuote(`matrices/${row.matrix ?? ''}.yaml`), ...only].join(' ');
}
