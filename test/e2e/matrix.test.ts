import {mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {execa} from 'execa';
import {afterAll, beforeAll, expect, test} from 'vitest';
import type {ResultRow} from '../../harness/contract/columns.ts';
import {readJournal} from '../../harness/store/journal.ts';
import {readRequestsCsv} from '../../harness/store/requests-csv.ts';
import {readResultsCsv} from '../../harness/store/results-csv.ts';
import {BENCH, bench} from '../support/bench-cli.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bench-e2e-'));
});
afterAll(async () => {
  await rm(folder, {recursive: true, force: true});
});

const MODEL = 'models: [{name: m, source: "synthetic:bench-tiny"}]\ndevices: [host-cpu]\ncanary: false\n';
const WORKLOAD = 'workloads: [{name: w, prompt_tokens: 16, generated_tokens: 8}]\n';

async function matrix(name: string, text: string): Promise<string> {
  await writeFile(join(folder, `${name}.yaml`), `matrix: ${name}\n${MODEL}${text}`);
  return `${name}.yaml`;
}

async function rowsOf(out: string): Promise<{run: string; rows: ResultRow[]}> {
  const names = (await readdir(join(folder, out))).filter((name) => name.includes('--'));
  expect(names).toHaveLength(1);
  const run = join(folder, out, names[0] ?? '');
  return {run, rows: await readResultsCsv(join(run, 'results.csv'))};
}

test('simulated cells give the numbers they were told to, with a p90, and say that they are simulated', async () => {
  const file = await matrix(
    'exact',
    `formats: [gguf-f16, gguf-q4_k_m]\nrunners: [simulated]\n${WORKLOAD}rounds: 2\nrequests: {min: 64, max: 64}\nsettings: {simulate: {prefill_us_per_token: 1000, decode_us_per_token: 10000, load_ms: 250}}\n`,
  );
  const {status, stdout, stderr} = await bench(['matrix', file, '--out', 'exact'], {cwd: folder});
  expect({status, stderr: stderr.includes('bug')}).toEqual({status: 0, stderr: false});
  expect(stdout).toContain('simulated');
  const {run, rows} = await rowsOf('exact');
  expect(rows).toHaveLength(2);
  for (const row of rows) {
    expect(row).toMatchObject({
      status: 'ok',
      requests: 64,
      rounds: 2,
      kernel: 'simulated',
      decode_tokens_per_s: 100,
      load_ms: 250,
      prompt_tokens: 16,
      vram_peak_bytes: null,
    });
    expect(row.caveats?.split(' ')).toContain('simulated');
    expect(row.latency_ms_p90).toBeCloseTo(row.latency_ms_p50 ?? Number.NaN, 9);
    expect(row.latency_ms_p99).toBeNull();
    expect(row.ram_peak_bytes).toBeGreaterThan(1e6);
  }
  let requests = 0;
  for await (const request of readRequestsCsv(join(run, 'requests.csv'))) {
    requests++;
    expect(request.token_us?.split(' ')).toHaveLength(8);
  }
  expect(requests).toBe(128);
  expect((await readdir(run)).sort()).toEqual([
    'journal.jsonl',
    'logs',
    'manifest.json',
    'requests.csv',
    'results.csv',
    'telemetry.csv',
  ]);
});

test('one cell that crashes keeps its row with the reason, the rest is measured, and the exit status is 1', async () => {
  const file = await matrix(
    'crash',
    `formats: [gguf-f16, gguf-q8_0]\nrunners: [simulated]\n${WORKLOAD}rounds: 1\nrequests: {min: 5, max: 5}\noverride: [{when: {format: gguf-q8_0}, settings: {simulate: {fail_at: 2, signal: 6}}}]\n`,
  );
  const {status, stdout} = await bench(['matrix', file, '--out', 'crash'], {cwd: folder});
  expect(status).toBe(1);
  expect(stdout).toContain('crashed');
  const {rows} = await rowsOf('crash');
  expect(rows.map(({format, status: how}) => [format, how]).sort()).toEqual([
    ['gguf-f16', 'ok'],
    ['gguf-q8_0', 'crashed'],
  ]);
  expect(rows.find(({format}) => format === 'gguf-q8_0')?.status_reason).toMatch(/SIGABRT/);
});

test('the plan is the same bytes twice, runs nothing, and tells why a cell waits', async () => {
  const file = await matrix('waits', `formats: [gguf-f16]\nrunners: [simulated]\n${WORKLOAD}`);
  await writeFile(
    join(folder, file),
    (await readFile(join(folder, file), 'utf8')).replace('devices: [host-cpu]', 'devices: [host-cpu, t4]'),
  );
  const first = await bench(['matrix', file, '--plan', '--json'], {cwd: folder});
  const second = await bench(['matrix', file, '--plan', '--json'], {cwd: folder});
  expect(first.status).toBe(0);
  expect(second.stdout).toBe(first.stdout);
  const text = await bench(['matrix', file, '--plan'], {cwd: folder});
  expect(text.stdout).toMatch(/^waits for t4: 1 cell /m);
});

test('bad input is one line with its place, and exit status 2', async () => {
  const file = await matrix('typo', `formats: [gguf-q4km]\n${WORKLOAD}`);
  const {status, stderr} = await bench(['matrix', file], {cwd: folder});
  expect(status).toBe(2);
  expect(stderr).toContain('typo.yaml:5:11: formats[0]: "gguf-q4km" is no format; did you mean "gguf-q4_k_m"?');
  expect((await bench(['matrix', '--only', 'fromat=x'], {cwd: folder})).status).toBe(2);
  expect((await bench(['matrix', 'no-such-file.yaml'], {cwd: folder})).status).toBe(2);
  expect((await bench(['matrix', '--rounds', '0'], {cwd: folder})).status).toBe(2);
});

test('Ctrl-C ends the cell, keeps what is measured, exits with 130; the same command goes on', async () => {
  const file = await matrix(
    'interrupted',
    `formats: [gguf-f16, gguf-q8_0]\nrunners: [simulated]\n${WORKLOAD}rounds: 2\nrequests: {min: 8, max: 8}\nsettings: {simulate: {realtime: 1, decode_us_per_token: 20000, load_ms: 10}}\n`,
  );
  const [program, ...args] = BENCH;
  const child = execa(program, [...args, 'matrix', file, '--out', 'interrupted', '--json'], {
    cwd: folder,
    env: {BENCH_CACHE: join(folder, 'cache')},
    buffer: false,
    reject: false,
    stdin: 'ignore',
  });
  let told = '';
  child.stderr.on('data', (chunk: Buffer) => {
    told += chunk.toString();
  });
  for await (const line of child.iterable()) {
    if (line.includes('"cell_finished"')) child.kill('SIGINT');
  }
  expect((await child).exitCode).toBe(130);
  expect(told).toMatch(/^stopped: .*; [1-3] of 4 rounds are kept in interrupted\/interrupted--\S+$/m);
  const {run} = await rowsOf('interrupted');
  const finished = async () =>
    (await readJournal(join(run, 'journal.jsonl'))).flatMap((record) =>
      record.type === 'round_finished' ? [`${record.cellId} ${record.round} ${record.attempt}`] : [],
    );
  const before = await finished();
  expect(before.length).toBeGreaterThanOrEqual(1);
  expect(before.length).toBeLessThan(4);
  expect((await bench(['matrix', file, '--out', 'interrupted'], {cwd: folder})).status).toBe(0);
  const after = await finished();
  expect(after.slice(0, before.length)).toEqual(before);
  expect(new Set(after.map((key) => key.split(' ').slice(0, 2).join(' '))).size).toBe(4);
  expect(after).toHaveLength(4);
  await rowsOf('interrupted');
});

test('the real engine measures bench-tiny in two formats, quantized by the real quantizer', async () => {
  const file = await matrix(
    'real',
    `formats: [gguf-f16, gguf-q4_k_m]\n${WORKLOAD}rounds: 1\nrequests: {min: 30, max: 30, warmup_min: 1, warmup_max: 1}\nbudget_seconds: 60\nsettings: {threads: 1}\n`,
  );
  const {status} = await bench(['matrix', file, '--out', 'real', '--alongside'], {cwd: folder});
  expect(status).toBe(0);
  const {rows} = await rowsOf('real');
  for (const row of rows) {
    expect(row).toMatchObject({
      status: 'ok',
      runner: 'llama-cpp',
      requests: 30,
      generated_tokens: 8,
      architecture: 'bench-tiny',
    });
    expect(row.kernel).toMatch(/^cpu-/);
    expect(row.decode_tokens_per_s).toBeGreaterThan(0);
    expect(row.latency_ms_p90).toBeGreaterThanOrEqual(row.latency_ms_p50 ?? Number.POSITIVE_INFINITY);
    expect(row.caveats?.split(' ')).toContain('synthetic-weights');
    expect(row.weights_sha256).toMatch(/^[0-9a-f]{64}$/);
  }
  const [f16, q4] = ['gguf-f16', 'gguf-q4_k_m'].map((format) => rows.find((row) => row.format === format));
  expect(f16?.bits_per_weight).toBeCloseTo(16, 0);
  expect(q4?.bits_per_weight).toBeLessThan(7);
});
