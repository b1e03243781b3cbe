import {join} from 'node:path';
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

/** Everything that a report shows, read from the committed files of the runs. */
export async function readReportInput(
  folders: readonly RunFolder[],
  title: string,
  claimsFiles: readonly ClaimsFile[] = [],
): Promise<ReportInput> {
  const runs: RunData[] = [];
  const requests: RequestRow[] = [];
  let left = MOST_REQUESTS;
  for (const folder of folders) {
    const manifest = await readManifest(folder.manifestPath);
    const rows = await readResultsCsv(folder.resultsPath);
    runs.push({manifest, rows});
    const wanted = wantedCells(rows, left);
    if (wanted.size === 0) continue;
    // A run without requests.csv is told by its rows alone.
    const found = await findRequests(folder.requestsPath, wanted).catch((error: unknown) => {
      if (error instanceof BenchError && error.code === 'FILE_UNREADABLE') return new Map<string, RequestRow[]>();
      throw error;
    });
    for (const cell of found.values()) {
      for (const request of cell) requests.push(request);
      left -= cell.length;
    }
  }
  const rows = runs.flatMap((run) => run.rows);
  const cells = measuredCells(rows, requests);
  const total = rows.reduce((sum, row) => sum + (row.requests ?? 0), 0);
  const attributed = rows.length <= MOST_ATTRIBUTED ? attribute(cells) : null;
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

function wantedCells(rows: readonly ResultRow[], most: number): Map<string, number> {
  const drifts = (row: ResultRow): number => (/(?:^| )rounds-differ/.test(row.caveats ?? '') ? 0 : 1);
  const wanted = new Map<string, number>();
  let left = most;
  for (const row of [...rows].sort((a, b) => drifts(a) - drifts(b))) {
    if (row.cell_id === null || row.requests === null || row.requests === 0 || row.requests > left) continue;
    wanted.set(row.cell_id, row.requests);
    left -= row.requests;
  }
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
