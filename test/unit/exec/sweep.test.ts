import {type ChildProcess, spawn} from 'node:child_process';
import {mkdtemp, readdir, readFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {beforeEach, describe, expect, test} from 'vitest';
import type {JournalRecord} from '../../../harness/contract/journal.ts';
import type {Runner} from '../../../harness/contract/runner.ts';
import type {Sampler} from '../../../harness/contract/sampler.ts';
import {WORKER_MARK} from '../../../harness/exec/process-tree.ts';
import {runSweep} from '../../../harness/exec/sweep.ts';
import {Journal, readJournal} from '../../../harness/store/journal.ts';
import {readManifest} from '../../../harness/store/manifest.ts';
import {readRequestsCsv} from '../../../harness/store/requests-csv.ts';
import {readResultsCsv} from '../../../harness/store/results-csv.ts';
import type {RunFolder} from '../../../harness/store/run-folder.ts';
import {fixtureInput, fixturePlan, fixtureWeights, modeCell, planned} from './fixture-sweep.ts';

let out = '';
beforeEach(async () => {
  out = join(await mkdtemp(join(tmpdir(), 'bench-sweep-')), 'results');
});

const rounds = (records: readonly JournalRecord[], type: 'round_started' | 'round_finished') =>
  records.flatMap((record) =>
    record.type === type ? [`${record.cellId.at(-1)}/${record.round}${record.canary ? ' canary' : ''}`] : [],
  );
async function statuses(folder: RunFolder): Promise<string[]> {
  return (await readResultsCsv(folder.resultsPath)).map(({cell_id, status}) => `${cell_id?.at(-1)} ${status}`);
}
async function requestKeys(folder: RunFolder): Promise<string[]> {
  const keys: string[] = [];
  for await (const {cell_id, round, request} of readRequestsCsv(folder.requestsPath)) {
    keys.push(`${cell_id}/${round}/${request}`);
  }
  return keys;
}

describe('a sweep', () => {
  test('runs rounds interleaved, then the canary, and writes tables and manifest', async () => {
    const input = await fixtureInput(out, fixturePlan([1, 2].map((index) => planned(modeCell(index, 'happy')))));
    const outcome = await runSweep(input);
    expect(outcome).toMatchObject({ok: 2, failed: 0, refused: 0, waiting: 0, continuable: false});
    const records = await readJournal(input.folder.journalPath);
    expect(rounds(records, 'round_finished')).toEqual(['1/0', '2/0', '2/1', '1/1', '1/2 canary']);
    expect(records.filter(({type}) => type === 'bandwidth')).toHaveLength(1);
    expect(records.filter(({type}) => type === 'weights')).toHaveLength(2);
    expect(records.at(-1)?.type).toBe('run_finished');
    expect(await statuses(input.folder)).toEqual(['1 ok', '2 ok']);
    expect(await requestKeys(input.folder)).toHaveLength(12);
    expect((await readManifest(input.folder.manifestPath)).finishedAt).not.toBeNull();
    expect(input.events.map(({type}) => type)).toContain('cell_progress');
    expect(input.events.at(-1)).toMatchObject({type: 'sweep_finished', ok: 2});
  });

  test('goes on after cells that fail, records why, and does not repeat them', async () => {
    const cells = [
      planned(modeCell(1, 'abort')),
      planned(modeCell(2, 'happy')),
      planned(modeCell(3, 'happy', {source: 'missing'})),
      planned(modeCell(4, 'happy', {runner: {id: 'nobody'}})),
      planned(modeCell(5, 'happy'), {estimate: {seconds: 1, weightsBytes: 1, memoryBytes: 1e15, diskBytes: 0}}),
      planned(modeCell(6, 'happy'), {verdict: 'refused', reason: 'refused: no', refusedAs: 'unsupported'}),
      planned(modeCell(7, 'happy'), {verdict: 'waiting', reason: 'waits for a t4'}),
    ];
    const input = await fixtureInput(out, fixturePlan(cells));
    expect(await runSweep(input)).toMatchObject({ok: 1, failed: 4, refused: 1, waiting: 1});
    expect(await statuses(input.folder)).toEqual([
      '1 crashed',
      '2 ok',
      '3 unsupported',
      '4 unsupported',
      '5 does-not-fit',
      '6 unsupported',
      '7 waiting',
    ]);
    const done = rounds(await readJournal(input.folder.journalPath), 'round_finished');
    expect(done.toSorted()).toEqual(['1/0', '2/0', '2/1', '2/2 canary', '3/0', '4/0', '5/0']);
    const reasons = (await readResultsCsv(input.folder.resultsPath)).map(({status_reason}) => status_reason);
    expect(reasons[0]).toContain('GGML_ASSERT(n_head > 0) failed');
    expect(reasons[4]).toContain('of memory are free');
    expect(await readFile(input.folder.logPath(modeCell(1, '').id), 'utf8')).toContain('GGML_ASSERT');
  });

  test('that is continued skips what is finished and repeats what was cut off', async () => {
    const plan = fixturePlan([1, 2].map((index) => planned(modeCell(index, 'happy'))));
    const controller = new AbortController();
    const first = await fixtureInput(out, plan, {signal: controller.signal});
    const interrupted = runSweep({
      ...first,
      onEvent(event) {
        if (event.type === 'cell_phase' && event.phase === 'load' && event.cell.id.endsWith('2')) controller.abort();
      },
    });
    await expect(interrupted).rejects.toMatchObject({code: 'INTERRUPTED'});
    expect(await statuses(first.folder)).toEqual(['1 ok', '2 waiting']);
    const second = await fixtureInput(out, plan);
    expect(second.folder.path).toBe(first.folder.path);
    await runSweep(second);
    const records = await readJournal(second.folder.journalPath);
    expect(rounds(records, 'round_started')).toEqual(['1/0', '2/0', '2/0', '2/1', '1/1', '1/2 canary']);
    expect(rounds(records, 'round_finished')).toEqual(['1/0', '2/0', '2/1', '1/1', '1/2 canary']);
    expect(records.filter(({type}) => type === 'cell_planned')).toHaveLength(2);
    expect(await statuses(second.folder)).toEqual(['1 ok', '2 ok']);
  });

  test('whose network was down stays unfinished and is completed later', async () => {
    const plan = fixturePlan([planned(modeCell(1, 'happy', {source: 'away'})), planned(modeCell(2, 'happy'))]);
    const network = {up: false};
    const first = await fixtureInput(out, plan, {weights: fixtureWeights(network)});
    expect(await runSweep(first)).toMatchObject({ok: 1, failed: 1, continuable: true});
    network.up = true;
    const second = await fixtureInput(out, plan, {weights: fixtureWeights(network)});
    expect(second.folder.path).toBe(first.folder.path);
    expect(await runSweep(second)).toMatchObject({ok: 2, failed: 0, continuable: false});
    expect(await statuses(second.folder)).toEqual(['1 ok', '2 ok']);
  });

  test('runs failed cells again only when told to', async () => {
    const plan = fixturePlan([planned(modeCell(1, 'exit3'))]);
    const input = await fixtureInput(out, plan);
    await runSweep(input);
    await runSweep(input);
    expect(rounds(await readJournal(input.folder.journalPath), 'round_finished')).toEqual(['1/0']);
    await runSweep({...input, retry: true});
    expect(rounds(await readJournal(input.folder.journalPath), 'round_finished')).toEqual(['1/0', '1/0']);
  });

  test('keeps the telemetry of its samplers, and their statistics in the journal', async () => {
    const edges: string[] = [];
    const sampler: Sampler = {
      id: 'made-up',
      available: async () => ({ok: true, detail: ''}),
      start: async ({nowMs, pid}) => {
        const tMs: number[] = [];
        return {
          edge(phase) {
            edges.push(phase);
            tMs.push(nowMs());
          },
          stop: async () => ({
            series: [{channel: 'pid', unit: 'ratio', tMs, values: tMs.map(() => pid), periodMs: 0, gaps: 0}],
            caveats: [{code: 'sampler-gaps', value: '0.5'}],
          }),
        };
      },
    };
    const missing: Sampler = {...sampler, id: 'x', available: async () => ({ok: false, reason: 'no', fix: null})};
    const plan = fixturePlan([planned(modeCell(1, 'happy', {rounds: 1}))], {canary: false, rounds: 1});
    const input = await fixtureInput(out, plan, {samplers: [sampler, missing]});
    await runSweep(input);
    expect(edges).toEqual(['baseline', 'load', 'warmup', 'measure', 'end']);
    const end = (await readJournal(input.folder.journalPath)).find(({type}) => type === 'round_finished');
    expect(end).toMatchObject({caveats: [{code: 'sampler-gaps'}]});
    expect(end?.type === 'round_finished' ? end.stats.map(({phase}) => phase) : []).toContain('measure');
    expect((await readFile(input.folder.telemetryPath, 'utf8')).split('\n')).toHaveLength(5 + 2);
  });

  test('stops the samplers of a worker that died before they had started', async () => {
    let running = 0;
    const slow: Sampler = {
      id: 'slow',
      available: async () => ({ok: true, detail: ''}),
      async start() {
        await delay(400);
        running++;
        return {
          edge: () => undefined,
          async stop() {
            running--;
            return {series: [], caveats: []};
          },
        };
      },
    };
    const dead: Runner = {
      id: 'fixture',
      doc: 'dies at once',
      needsWeights: true,
      supports: () => ({ok: true}),
      launch: () => ({file: process.execPath, args: ['-e', 'process.exit(7)'], env: {}}),
    };
    const plan = fixturePlan([planned(modeCell(1, 'happy', {rounds: 1}))], {canary: false, rounds: 1});
    const input = await fixtureInput(out, plan, {samplers: [slow], runners: new Map([['fixture', dead]])});
    expect(await runSweep(input)).toMatchObject({ok: 0, failed: 1});
    expect(running).toBe(0);
  });

  test('with a damaged journal is refused before anything is measured', async () => {
    const input = await fixtureInput(out, fixturePlan([planned(modeCell(1, 'happy'))]));
    const journal = Journal.open(input.folder.journalPath);
    // The second line is not a record of this version.
    journal.append({type: 'run_started', schema: 2 as 1, runId: 'x', at: ''});
    journal.close();
    await expect(runSweep(input)).rejects.toMatchObject({code: 'RESULTS_INVALID'});
  });
});

describe('a sweep that is killed with -9 at any moment', () => {
  test('leaves no worker behind, loses nothing and measures nothing twice', async () => {
    const locks = join(out, '..', 'locks');
    // From the moment at which its first worker exists: while it waits for its order, loads, measures, between rounds.
    for (const afterMs of [0, 60, 180, 400, 900]) {
      const child = start(locks);
      await expect.poll(() => fixtureWorkers(out), {timeout: 10_000, interval: 5}).not.toEqual([]);
      await delay(afterMs);
      expect(child.exitCode).toBeNull();
      child.kill('SIGKILL');
      await ended(child);
      await expect.poll(() => fixtureWorkers(out), {timeout: 5_000}).toEqual([]);
    }
    const last = start(locks);
    let said = '';
    last.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    await ended(last);
    expect(said).toBe('finished\n');
    const [name = ''] = (await readdir(out)).filter((one) => one.startsWith('fixture--'));
    expect((await readdir(out)).filter((one) => one.startsWith('fixture--'))).toHaveLength(1);
    const records = await readJournal(join(out, name, 'journal.jsonl'));
    const done = rounds(records, 'round_finished');
    expect(done.toSorted()).toEqual(['1/0', '1/1', '1/2 canary', '2/0', '2/1', '3/0', '3/1']);
    const keys: string[] = [];
    for await (const {cell_id, round, request} of readRequestsCsv(join(out, name, 'requests.csv'))) {
      keys.push(`${cell_id}/${round}/${request}`);
    }
    expect(keys).toHaveLength(3 * 2 * 30);
    expect(new Set(keys).size).toBe(keys.length);
  }, 60_000);

  test('at the hang of its worker leaves no process of it', async () => {
    const script = fileURLToPath(new URL('./hang-child.ts', import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', script, out], {stdio: ['ignore', 'pipe', 'inherit']});
    const mark = await new Promise<string>((resolve) => {
      child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
    });
    await expect.poll(() => marked(mark), {timeout: 10_000}).not.toEqual([]);
    child.kill('SIGKILL');
    await expect.poll(() => marked(mark), {timeout: 5_000}).toEqual([]);
  }, 30_000);
});

function start(locks: string): ChildProcess {
  const script = fileURLToPath(new URL('./sweep-child.ts', import.meta.url));
  return spawn(process.execPath, ['--import', 'tsx', script, out, locks], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {...process.env, BENCH_TEST_OUT: out},
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise((resolve) => child.once('exit', resolve));
}

const fixtureWorkers = (folder: string) =>
  withEnvironment((env) => env.includes(`BENCH_TEST_OUT=${folder}`) && hasMark(env));
const marked = (mark: string) => withEnvironment((env) => env.includes(`${WORKER_MARK}=${mark}`));
const hasMark = (env: readonly string[]) => env.some((one) => one.startsWith(`${WORKER_MARK}=`));

/** Live processes by their environment; of a zombie it cannot be read. */
async function withEnvironment(is: (env: readonly string[]) => boolean): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const text = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
    if (is(text.split('\0'))) found.push(pid);
  }
  return found;
}
