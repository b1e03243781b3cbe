import {stat} from 'node:fs/promises';
import {type RequestFacts, requestFacts} from '../claims/candidate.ts';
import {type Decision, decide, factsKey, type Shortlist, shortlist} from '../claims/decide.ts';
import {DECISION_COLUMNS, type DecisionRow} from '../claims/screen.ts';
import type {DeviceEntry} from '../contract/device.ts';
import type {Need} from '../contract/need.ts';
import type {PricesFile} from '../contract/prices.ts';
import {findRequests} from '../store/find-requests.ts';
import {readResultColumns} from '../store/result-columns.ts';
import type {RunFolder} from '../store/run-folder.ts';

/** Rows of several runs, and the folder that each run's requests lie in. */
export interface DecisionRows {
  readonly rows: readonly DecisionRow[];
  readonly folders: ReadonlyMap<string, RunFolder>;
}

/**
 * The columns that decisions look at, of all runs.
 *
 * @throws {BenchError} RESULTS_INVALID, FILE_UNREADABLE
 */
export async function readDecisionRows(folders: readonly RunFolder[]): Promise<DecisionRows> {
  const rows: DecisionRow[] = [];
  const byRun = new Map<string, RunFolder>();
  for (const folder of folders) {
    for (const row of await readResultColumns(folder.resultsPath, DECISION_COLUMNS)) {
      rows.push(row);
      if (row.run_id !== null) byRun.set(row.run_id, folder);
    }
  }
  return {rows, folders: byRun};
}

/**
 * The answer to a need from committed files: requests are read of those cells only whose price makes them a candidate.
 *
 * @throws {BenchError} NEED_INVALID, RESULTS_INVALID, FILE_UNREADABLE
 */
export async function decideRuns(
  {rows, folders}: DecisionRows,
  need: Need,
  book: {readonly prices: PricesFile; readonly devices: readonly DeviceEntry[]},
): Promise<Decision> {
  const list = shortlist({rows, need, prices: book.prices});
  return decide(list, await factsOf(list, folders), book);
}

async function factsOf(
  {priced, need}: Shortlist,
  folders: ReadonlyMap<string, RunFolder>,
): Promise<Map<string, RequestFacts>> {
  const facts = new Map<string, RequestFacts>();
  if (need.p90_ms === undefined && need.ttft_ms === undefined) return facts;
  const byRun = new Map<string, Map<string, number>>();
  for (const {row} of priced) {
    if (row === null || row.run_id === null || row.cell_id === null) continue;
    const cells = byRun.get(row.run_id) ?? new Map<string, number>();
    cells.set(row.cell_id, row.requests ?? 0);
    byRun.set(row.run_id, cells);
  }
  for (const [run, cells] of byRun) {
    const path = folders.get(run)?.requestsPath;
    if (path === undefined || (await stat(path).catch(() => null)) === null) continue;
    for (const [cell, requests] of await findRequests(path, cells)) {
      facts.set(factsKey({run_id: run, cell_id: cell}), requestFacts(requests, need));
    }
  }
  return facts;
}
