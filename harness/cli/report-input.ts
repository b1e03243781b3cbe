import {join} from 'node:path';
import {compareRows} from '../../reports/cell.ts';
import {attribute} from '../claims/attribution.ts';
import {measuredCells} from '../claims/measured-cell.ts';
import {claimsLedger} from '../claims/verdict.ts';
import type {ClaimsFile} from '../contract/claim.ts';
import type {RequestRow, ResultRow} from '../contract/columns.ts';
import {BenchError} from '../contract/errors.ts';
import type {ReportDevice} from '../contract/report-data.ts';
import type {ReportInput, RunData} from '../contract/reporter.ts';
import {loadCatalogue} from '../device/catalogue.ts';
import {findRequests} from '../store/find-requests.ts';
import {readManifest} from '../store/manifest.ts';
import {readResultsCsv} from '../store/results-csv.ts';
import type {RunFolder} from '../store/run-folder.ts';
import {PACKAGE_ROOT} from './package-root.ts';
import {readOneTelemetry} from './report-telemetry.ts';

/** Requests that a report reads at most; beyond that, cells whose rounds differ come first. */
const MOST_REQUESTS = 200_000;
/** Attribution sets each cell against its siblings: more cells than this are for `bench claims`. */
const MOST_ATTRIBUTED = 5000;
/** Cells whose requests are read where only the chart of request times looks at them; it draws far fewer. */
const MOST_DRAWN = 200;

/** Everything that a report shows, read from the committed files of the runs. */
export async function readReportInput(
  folders: readonly RunFolder[],
  title: string,
  claimsFiles: readonly ClaimsFile[] = [],
): Promise<ReportInput> {
  const runs: RunData[] = [];
  for (const folder of folders) {
    const manifest = await readManifest(folder.manifestPath);
    runs.push({manifest, rows: await readResultsCsv(folder.resultsPath)});
  }
  // In the order of the report: everything that sorts them once more finds them sorted.
  const rows = withoutRepeats(runs.flatMap((run) => run.rows).sort(compareRows));
  const attributes = rows.length <= MOST_ATTRIBUTED;
  const wantedByRun = wantedCells(runs, attributes || claimsFiles.length > 0 ? rows.length : MOST_DRAWN);
  const requests: RequestRow[] = [];
  for (const [index, folder] of folders.entries()) {
    const wanted = wantedByRun[index] ?? new Map<string, number>();
    if (wanted.size === 0) continue;
    // A run without requests.csv is told by its rows alone.
    const found = await findRequests(folder.requestsPath, wanted).catch((error: unknown) => {
      if (error instanceof BenchError && error.code === 'FILE_UNREADABLE') return new Map<string, RequestRow[]>();
      throw error;
    });
    for (const cell of found.values()) {
      for (const request of cell) requests.push(request);
    }
  }
  const cells = measuredCells(rows, requests);
  const total = rows.reduce((sum, row) => sum + (row.requests ?? 0), 0);
  const attributed = attributes ? attribute(cells) : null;
  const telemetry = await readOneTelemetry(folders, runs);
  return {
    title,
    runs,
    rows,
    requests,
    requestsTotal: total,
    devices: await devicesOf(runs),
    ...(attributed === null ? {} : {attributions: attributed}),
    ...(telemetry === null ? {} : {telemetry}),
    claims: claimsFiles.flatMap((claims) => claimsLedger(claims, cells)),
  };
}

/**
 * Without cells that wait in one run and were measured, or wait as well, in another: each host that runs a matrix writes
 * down what it leaves to the others, and a report of all of them would count that once a host.
 */
function withoutRepeats(rows: ResultRow[]): ResultRow[] {
  if (!rows.some(({status}) => status === 'waiting')) return rows;
  const idOf = ({cell_id: cell, device}: ResultRow): string => JSON.stringify([cell, device]);
  const known = new Set(rows.filter(({status}) => status !== 'waiting').map(idOf));
  return rows.filter((row) => {
    if (row.status !== 'waiting') return true;
    const isNew = !known.has(idOf(row));
    known.add(idOf(row));
    return isNew;
  });
}

/** Requests to read of each run, by cell: at most of so many cells, those whose rounds differ first. */
function wantedCells(runs: readonly RunData[], mostCells: number): Map<string, number>[] {
  const wanted = runs.map(() => new Map<string, number>());
  let [left, cells] = [MOST_REQUESTS, mostCells];
  const choose = (drifting: boolean): void => {
    for (const [index, {rows}] of runs.entries()) {
      for (const {cell_id: cell, requests, caveats} of rows) {
        if (cells <= 0 || cell === null || requests === null || requests === 0 || requests > left) continue;
        if (/(?:^| )rounds-differ/.test(caveats ?? '') !== drifting) continue;
        wanted[index]?.set(cell, requests);
        left -= requests;
        cells--;
      }
    }
  };
  choose(true);
  choose(false);
  return wanted;
}

async function devicesOf(runs: readonly RunData[]): Promise<ReportDevice[]> {
  const catalogue = await loadCatalogue(join(PACKAGE_ROOT, 'matrices', 'devices.yaml'));
  const devices = new Map<string, ReportDevice>(
    catalogue
      .filter(({kind}) => kind === 'cuda')
      .map(({name, kind, memory_bytes: memoryBytes}) => [name, {name, kind, memoryBytes}]),
  );
  for (const {manifest} of runs) {
    const {ramBytes, cgroupLimitBytes, devices: found} = manifest.host;
    for (const {name, kind} of found) {
      if (kind === 'cpu')
        devices.set(name, {name, kind, memoryBytes: Math.min(ramBytes, cgroupLimitBytes ?? ramBytes)});
    }
  }
  return [...devices.values()];
}
