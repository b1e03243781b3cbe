import {mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {readJournal} from '../../harness/store/journal.ts';
import {readResultsCsv} from '../../harness/store/results-csv.ts';
import {bench} from '../support/bench-cli.ts';
import {find} from '../support/needs.ts';

const program = find('llama-server');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bench-server-'));
});
afterAll(() => rm(folder, {recursive: true, force: true}));

async function run(name: string, text: string) {
  await writeFile(join(folder, `${name}.yaml`), `matrix: ${name}\n${text}`);
  const result = await bench(['matrix', `${name}.yaml`, '--out', name], {cwd: folder});
  const run = (await readdir(join(folder, name))).find((one) => one.includes('--')) ?? '';
  const rows = await readResultsCsv(join(folder, name, run, 'results.csv'));
  return {...result, rows, run: join(folder, name, run)};
}

const COMMON = `
models: [{name: m, source: "synthetic:bench-tiny"}]
formats: [gguf-f16]
devices: [host-cpu]
rounds: 1
requests: {min: 8, max: 8, warmup_min: 1, warmup_max: 1}
budget_seconds: 60
canary: false
`;
const command = (...more: string[]) =>
  JSON.stringify([
    program,
    '-m',
    '{model}',
    '--port',
    '{port}',
    '-c',
    '{context_total}',
    '-np',
    '{concurrency}',
    '-t',
    '{threads}',
    ...more,
  ]);

describe.skipIf(program === null)('a real llama-server', () => {
  test('is started for each cell with our weights, alone and under load, measured with its memory, and gone at the end', async () => {
    const {
      status,
      rows,
      run: path,
    } = await run(
      'served',
      `${COMMON}
runners: [{name: llama-server, server: {command: ${command()}}}]
workloads:
  - {name: one, prompt_tokens: 32, generated_tokens: 8}
  - {name: four, prompt_tokens: 32, generated_tokens: 8, concurrency: 4}
  - {name: shared, prompt_tokens: 32, generated_tokens: 8, prefix_cache: "shared:16"}
settings: {threads: 1}
`,
    );
    expect({
      status,
      outcomes: rows.map(({workload, status: how, status_reason}) => [workload, how, status_reason]),
    }).toEqual({
      status: 0,
      outcomes: expect.arrayContaining([
        ['one', 'ok', null],
        ['four', 'ok', null],
        ['shared', 'ok', null],
      ]),
    });
    for (const row of rows) {
      expect(row).toMatchObject({
        runner: 'llama-server',
        threads: 1,
        gpu_layers: null,
        prompt_tokens: 32,
        generated_tokens: 8,
      });
      expect(row.kernel).toMatch(/^cpu-/);
      expect(row.engine_build).toMatch(/^llama-server /);
      expect(row.weights_sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(row.load_ms).toBeGreaterThan(0);
      // The server and the client: one process of Node alone has less anonymous memory than both.
      expect(row.ram_peak_bytes).toBeGreaterThan(30e6);
      expect(row.caveats?.split(' ')).not.toContain('unverified-server');
    }
    const cached = new Set<string>();
    for (const record of await readJournal(join(path, 'journal.jsonl'))) {
      if (record.type === 'event' && record.event.type === 'request') cached.add(`${record.event.cachedTokens}`);
    }
    expect([...cached].sort()).toEqual(['0', '16']);
    const left = await processesWith(folder);
    expect(left).toEqual([]);
  });

  test('that cannot start, or does not know an option, is a row with its own words', async () => {
    const {status, rows} = await run(
      'broken',
      `${COMMON}
runners:
  - {name: strange, server: {command: ${command('--no-such-option')}}}
  - {name: absent, server: {command: ["./no-such-server", "{port}"]}}
workloads: [{name: one, prompt_tokens: 32, generated_tokens: 8}]
`,
    );
    expect(status).toBe(1);
    const reasons = Object.fromEntries(
      rows.map(({runner, status: how, status_reason}) => [runner, `${how} ${status_reason}`]),
    );
    expect(reasons['strange']).toMatch(
      /^crashed WORKER_CRASHED: the server llama-server ended with exit code 1: .*no-such-option/,
    );
    expect(reasons['absent']).toMatch(/^unsupported ENGINE_UNAVAILABLE: cannot start no-such-server: .*ENOENT/);
  });
});

/** Processes whose command line names the folder: a server that was left behind would. */
async function processesWith(text: string): Promise<string[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(names.map((name) => readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => line.includes(text) && line.includes('llama-server'));
}
