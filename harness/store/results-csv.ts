import {COLUMNS, RESULTS_SCHEMA_VERSION, type ResultRow} from '../contract/columns.ts';
import {BenchError} from '../contract/errors.ts';
import type {OpenFile} from './atomic-file.ts';
import {readTable, writeTable} from './csv-table.ts';

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

/** @throws {BenchError} `RESULTS_INVALID` naming file, line and column; `FILE_UNREADABLE`. */
export async function readResultsCsv(path: string): Promise<ResultRow[]> {
  const rows: ResultRow[] = [];
  for await (const {row, line} of readTable(path, COLUMNS)) {
    // readTable has checked that every column is there and of its kind.
    const result = row as ResultRow;
    if (result.schema_version !== RESULTS_SCHEMA_VERSION) {
      throw new BenchError(
        'RESULTS_INVALID',
        `${path}:${line}: schema_version ${result.schema_version}, but this bench reads ${RESULTS_SCHEMA_VERSION}`,
      );
    }
    rows.push(result);
  }
  return rows;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
