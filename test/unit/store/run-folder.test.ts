import {mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {beforeEach, describe, expect, test} from 'vitest';
import type {Manifest} from '../../../harness/contract/journal.ts';
import type {Series} from '../../../harness/contract/sampler.ts';
import {Journal} from '../../../harness/store/journal.ts';
import {readManifest, writeManifest} from '../../../harness/store/manifest.ts';
import {RunFolder} from '../../../harness/store/run-folder.ts';
import {writeTelemetry} from '../../../harness/store/telemetry.ts';
import {fixtureManifest} from '../exec/fixture-sweep.ts';

const NAME = {matrix: 'quick', device: 't4', host: 'box'};
const at = '2026-11-23T21:00:00.000Z';
const now = new Date('2026-11-23T21:00:00.750Z');

let out = '';
beforeEach(async () => {
  out = join(await mkdtemp(join(tmpdir(), 'bench-store-')), 'results');
});

async function run(planId: string, finished: boolean, start = now): Promise<RunFolder> {
  const folder = await RunFolder.create(out, NAME, start);
  const manifest: Manifest = {...fixtureManifest(folder.runId), planId};
  await writeManifest(folder.manifestPath, manifest);
  const journal = Journal.open(folder.journalPath);
  journal.append({type: 'run_started', schema: 1, runId: folder.runId, at});
  if (finished) journal.append({type: 'run_finished', at});
  journal.close();
  return folder;
}
const later = new Date(now.getTime() + 60_000);

describe('a run folder', () => {
  test('is named by matrix, device, host and start, and keeps local files out of git', async () => {
    const folder = await RunFolder.create(out, NAME, now);
    expect(folder.runId).toBe('quick--t4--box--20261123T210000Z');
    expect(await readFile(join(out, '.gitignore'), 'utf8')).toContain(
      '\njournal.jsonl\ntelemetry.csv\nlogs/\nreport/\n',
    );
  });

  test('that begins in the same second as another takes the next', async () => {
    const folders = await Promise.all([1, 2, 3].map(() => RunFolder.create(out, NAME, now)));
    expect(folders.map(({runId}) => runId).sort()).toEqual([
      'quick--t4--box--20261123T210000Z',
      'quick--t4--box--20261123T210001Z',
      'quick--t4--box--20261123T210002Z',
    ]);
  });

  test('leaves a .gitignore of the user alone', async () => {
    await RunFolder.create(out, NAME, now);
    await writeFile(join(out, '.gitignore'), 'mine');
    await RunFolder.create(out, NAME, now);
    expect(await readFile(join(out, '.gitignore'), 'utf8')).toBe('mine');
  });

  test('cannot be made where nothing can be written', async () => {
    await writeFile(out, 'a file');
    await expect(RunFolder.create(out, NAME, now)).rejects.toMatchObject({code: 'FILE_UNREADABLE'});
    await expect(RunFolder.create('/proc/results', NAME, now)).rejects.toMatchObject({code: 'FILE_UNREADABLE'});
  });

  test('that is none is refused', async () => {
    await expect(RunFolder.open(join(out, 'nothing'))).rejects.toMatchObject({code: 'RESULTS_INVALID'});
  });
});

describe('an unfinished run', () => {
  const wanted = {...NAME, planId: 'p1'};

  test('is found again, and only for the same plan, device and host', async () => {
    const folder = await run('p1', false);
    expect((await RunFolder.findUnfinished(out, wanted))?.path).toBe(folder.path);
    expect(await RunFolder.findUnfinished(out, {...wanted, planId: 'p2'})).toBeNull();
    expect(await RunFolder.findUnfinished(out, {...wanted, host: 'other'})).toBeNull();
  });

  test('is the latest one', async () => {
    await run('p1', false);
    const second = await run('p1', false, later);
    await run('p2', true, new Date(later.getTime() + 60_000));
    expect((await RunFolder.findUnfinished(out, wanted))?.path).toBe(second.path);
  });

  test('that a finished one has followed is left alone', async () => {
    await run('p1', false);
    await run('p1', true, later);
    expect(await RunFolder.findUnfinished(out, wanted)).toBeNull();
  });

  test('is not a folder without a manifest, nor with a damaged one', async () => {
    const folder = await run('p1', false);
    await writeFile(folder.manifestPath, '{');
    expect(await RunFolder.findUnfinished(out, wanted)).toBeNull();
    await rm(folder.manifestPath);
    expect(await RunFolder.findUnfinished(out, wanted)).toBeNull();
    expect(await RunFolder.findUnfinished(join(out, 'nowhere'), wanted)).toBeNull();
  });
});

describe('a manifest', () => {
  test('reads back what was written and replaces the old one whole', async () => {
    const folder = await run('p1', false);
    const manifest = {...fixtureManifest(folder.runId), finishedAt: at};
    await writeManifest(folder.manifestPath, manifest);
    expect(await readManifest(folder.manifestPath)).toEqual(manifest);
    expect((await readdir(folder.path)).sort()).toEqual(['journal.jsonl', 'logs', 'manifest.json']);
  });

  test('that is damaged is refused with its key', async () => {
    const folder = await run('p1', false);
    await writeFile(folder.manifestPath, JSON.stringify({...fixtureManifest('x'), planId: 3}));
    await expect(readManifest(folder.manifestPath)).rejects.toThrow(`${folder.manifestPath}: planId: `);
  });
});

test('telemetry is appended under one header, and a torn row does not swallow the next', async () => {
  const folder = await RunFolder.create(out, NAME, now);
  const series: Series[] = [
    {channel: 'ram_pss_bytes', unit: 'bytes', tMs: [0, 50.1234], values: [1e9, null], periodMs: 50, gaps: 1},
  ];
  await writeTelemetry(folder.telemetryPath, {cellId: 'a', round: 0, series});
  const whole = await readFile(folder.telemetryPath, 'utf8');
  expect(whole).toBe(
    't_ms,cell_id,round,channel,value\n0.000,a,0,ram_pss_bytes,1000000000\n50.123,a,0,ram_pss_bytes,\n',
  );
  await writeFile(folder.telemetryPath, `${whole}51.1,a,0,ram`);
  await writeTelemetry(folder.telemetryPath, {cellId: 'b', round: 1, series});
  const lines = (await readFile(folder.telemetryPath, 'utf8')).split('\n');
  expect(lines.slice(3, 5)).toEqual(['51.1,a,0,ram', '0.000,b,1,ram_pss_bytes,1000000000']);
});
