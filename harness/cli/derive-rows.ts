import type {RequestRow, ResultRow} from '../contract/columns.ts';
import type {JournalRecord, Manifest} from '../contract/journal.ts';
import {cellRecords} from '../derive/cell-records.ts';
import {requestRows} from '../derive/request-rows.ts';
import {resultRows} from '../derive/row.ts';

/** The two tables of a run, from its journal alone: what is committed can be made again at any time. */
export function deriveRows(
  records: readonly JournalRecord[],
  manifest: Manifest,
): {readonly results: readonly ResultRow[]; readonly requests: readonly RequestRow[]} {
  return {
    results: resultRows(records, manifest),
    requests: cellRecords(records).flatMap((record) => requestRows(record, manifest.runId)),
  };
}
