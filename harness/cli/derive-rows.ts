import type {RequestRow, ResultRow} from '../contract/columns.ts';
import type {JournalRecord, Manifest} from '../contract/journal.ts';
import {cellRecords} from '../derive/cell-records.ts';
import {requestRows} from '../derive/request-rows.ts';
import {type Prices, resultRows} from '../derive/row.ts';
import {shippedDevicePrices} from './shipped-prices.ts';

/**
 * The two tables of a run, from its journal and the prices: what is committed can be made again at any time. Requests are
 * sorted by cell id, so that those of one cell can be found without reading all.
 *
 * @throws {BenchError} PRICES_INVALID, FILE_UNREADABLE
 */
export function deriveRows(
  records: readonly JournalRecord[],
  manifest: Manifest,
  prices: Prices = shippedDevicePrices(),
): {readonly results: readonly ResultRow[]; readonly requests: readonly RequestRow[]} {
  const cells = cellRecords(records).toSorted((a, b) => (a.cell.id < b.cell.id ? -1 : a.cell.id > b.cell.id ? 1 : 0));
  return {
    results: resultRows(records, manifest, prices, cells),
    requests: cells.flatMap((record) => requestRows(record, manifest.runId)),
  };
}
