import {REQUEST_COLUMNS, type RequestRow} from '../contract/columns.ts';
import type {OpenFile} from './atomic-file.ts';
import {readTable, writeTable} from './csv-table.ts';

/**
 * Writes requests.csv, in the order given, which is to be by cell id, round and request: the rows may be more than fit
 * into memory.
 *
 * @throws {BenchError} `DISK_FULL`, `FILE_UNREADABLE`; the old file stays whole.
 */
export async function writeRequestsCsv(
  path: string,
  rows: Iterable<RequestRow> | AsyncIterable<RequestRow>,
  openFile?: OpenFile,
): Promise<void> {
  await writeTable(path, REQUEST_COLUMNS, rows, openFile);
}

/**
 * The rows of requests.csv one by one, in bounded memory.
 *
 * @throws {BenchError} `RESULTS_INVALID` naming file, line and column; `FILE_UNREADABLE`.
 */
export async function* readRequestsCsv(path: string): AsyncGenerator<RequestRow> {
  // readTable has checked that every column is there and of its kind.
  for await (const {row} of readTable(path, REQUEST_COLUMNS)) yield row as RequestRow;
}
