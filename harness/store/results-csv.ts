import {COLUMN_NAMES, COLUMNS, type ResultRow} from '../contract/columns.ts';
import type {OpenFile} from './atomic-file.ts';
import {writeTable} from './csv-table.ts';
import {readResultColumns} from './result-columns.ts';

/**
 * Writes results.csv: one row a cell, sorted by cell id, so that the diff of two commits is the diff of two results. An
 * empty text is written as "not measured".
 *
 * @throws {BenchError} `DISK_FULL`, `FILE_UNREADABLE`; the old file stays whole.
 */
export async function writeResultsCsv(path: string, rows: readonly ResultRow[], openFile?: OpenFile): Promise<void> {
  const sorted = [...rows].sort((a, b) => compare(a.cell_id ?? '', b.cell_id ?? ''));
  await writeTable(path, COLUMNS, sorted, openFile);
}

/**
 * All columns; see {@link readResultColumns} on files of other versions of bench.
 *
 * @throws {BenchError} `RESULTS_INVALID` naming file, line and column; `FILE_UNREADABLE`.
 */
export async function readResultsCsv(path: string): Promise<ResultRow[]> {
  return await readResultColumns(path, COLUMN_NAMES);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
