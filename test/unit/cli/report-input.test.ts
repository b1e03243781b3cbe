import {mkdir, mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {runFolders} from '../../../harness/cli/read-runs.ts';
import {readReportInput} from '../../../harness/cli/report-input.ts';
import type {ResultRow} from '../../../harness/contract/columns.ts';
import {writeManifest} from '../../../harness/store/manifest.ts';
import {writeResultsCsv} from '../../../harness/store/results-csv.ts';
import {buildMeasured} from '../claims/build.ts';
import {buildManifest} from '../derive/build.ts';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'bench-report-input-'));
  const row = (run: string, cell: string, device: string, status: string): ResultRow =>
    buildMeasured({run_id: run, cell_id: cell, device, status, host: run}).row;
  await write('a', [
    row('a', '00000000000a', 'cpu-a', 'ok'),
    row('a', '00000000000b', 'cpu-b', 'waiting'),
    row('a', '00000000000c', 't4', 'waiting'),
  ]);
  await write('b', [
    row('b', '00000000000a', 'cpu-a', 'waiting'),
    row('b', '00000000000b', 'cpu-b', 'crashed'),
    row('b', '00000000000c', 't4', 'waiting'),
  ]);
});
afterAll(() => rm(root, {recursive: true}));

async function write(runId: string, rows: readonly ResultRow[]): Promise<void> {
  const folder = join(root, runId);
  await mkdir(folder);
  await writeManifest(join(folder, 'manifest.json'), buildManifest({runId}));
  await writeResultsCsv(join(folder, 'results.csv'), rows);
}

test('a cell that waits on one host and ran on another is told once, and so is one that waits on both', async () => {
  const {rows, runs} = await readReportInput(await runFolders([root]), 'two hosts');
  expect(rows.map(({run_id, device, status}) => [run_id, device, status])).toEqual([
    ['a', 'cpu-a', 'ok'],
    ['b', 'cpu-b', 'crashed'],
    ['a', 't4', 'waiting'],
  ]);
  // What each run says of itself stays whole.
  expect(runs.map((run) => run.rows.length)).toEqual([3, 3]);
});
