import {mkdir, mkdtemp, readdir, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {HARNESS_VERSION} from '../../harness/cli/package-root.ts';
import {PlanSchema} from '../../harness/contract/plan.ts';
import {readResultsCsv} from '../../harness/store/results-csv.ts';
import {bench} from '../support/bench-cli.ts';

const MATRIX = `matrix: real
models: [{name: tiny, source: "synthetic:bench-tiny"}]
formats: [gguf-f16, gguf-q4_k_m]
runners: [llama-cpp]
devices: [host-cpu, h200]
workloads: [{name: w, prompt_tokens: 8, generated_tokens: 4}]
settings: {threads: 1}
rounds: 1
requests: {min: 4, max: 4, warmup_min: 0, warmup_max: 0}
budget_seconds: 5
canary: false
`;

describe('a plan that is run cell by cell with the real engine', () => {
  let cwd = '';
  beforeAll(async () => {
    cwd = await mkdtemp(join(tmpdir(), 'bench-merge-'));
    await writeFile(join(cwd, 'm.yaml'), MATRIX);
    await mkdir(join(cwd, 'p'));
  });
  afterAll(() => rm(cwd, {recursive: true, force: true}));
  const rowsOf = async (out: string) => {
    const [name = ''] = (await readdir(join(cwd, out))).filter((one) => one.startsWith('real--'));
    return await readResultsCsv(join(cwd, out, name, 'results.csv'));
  };

  test('gives the cells that one process gives', async () => {
    const planned = await bench(['matrix', 'm.yaml', '--plan', '--json'], {cwd});
    expect((await bench(['matrix', 'm.yaml', '--plan', '--json'], {cwd})).stdout).toBe(planned.stdout);
    await writeFile(join(cwd, 'p', 'plan.json'), planned.stdout);
    const {cells} = PlanSchema.parse(JSON.parse(planned.stdout));
    expect((await bench(['cell', '--plan', 'p/plan.json', '--index', '0'], {cwd})).status).toBe(0);
    expect((await bench(['cell', '--plan', 'p/plan.json', '--index', '1'], {cwd})).status).toBe(0);
    const gpu = cells.findIndex(({cell}) => cell.device === 'h200');
    const wrong = await bench(['cell', '--plan', 'p/plan.json', '--index', String(gpu)], {cwd});
    expect(wrong.stderr).toMatch(/^wrong device: cell \w+ is for h200, this machine is /m);
    expect(wrong.status).toBe(78);

    const merged = await bench(['merge', 'p', '--out', 'merged', '--build', `bench ${HARNESS_VERSION}`], {cwd});
    expect(merged.stderr).toContain('missing: 2 cells have no whole attempt');
    expect(merged.status).toBe(1);
    expect((await bench(['matrix', 'm.yaml', '--out', 'single'], {cwd})).status).toBe(0);
    const cellsOf = async (out: string) =>
      (await rowsOf(out))
        .filter(({status}) => status === 'ok')
        .map(({cell_id, model, format, runner, device, status, requests, weights_sha256}) => ({
          cell_id,
          model,
          format,
          runner,
          device,
          status,
          requests,
          weights_sha256,
        }));
    expect(await cellsOf('merged')).toEqual(await cellsOf('single'));
    expect(await cellsOf('merged')).toHaveLength(2);
  }, 180_000);

  test('a host that only lacks software asks to be tried again: its want is no result of the cell', async () => {
    await writeFile(join(cwd, 'native.yaml'), MATRIX.replace('settings: {', 'settings: {engine_build: native, '));
    await mkdir(join(cwd, 'n'));
    await writeFile(
      join(cwd, 'n', 'plan.json'),
      (await bench(['matrix', 'native.yaml', '--plan', '--json'], {cwd})).stdout,
    );
    const {status, stderr} = await bench(['cell', '--plan', 'n/plan.json', '--index', '0'], {cwd});
    expect(stderr).toMatch(/^try again: no llama\.cpp is built on this host: run `bench setup llama-cpp --native`$/m);
    expect(status).toBe(75);
    expect(await readdir(join(cwd, 'n'))).toEqual(['plan.json']);
  });

  test('a place that is not in the plan, and a plan of another version, are told in one line', async () => {
    const beyond = await bench(['cell', '--plan', 'p/plan.json', '--index', '99'], {cwd});
    expect(beyond.stderr).toMatch(/--index 99: p\/plan.json has the cells 0 to 3/);
    expect(beyond.status).toBe(2);
    await writeFile(join(cwd, 'broken.json'), '{"schema": 1}');
    expect((await bench(['cell', '--plan', 'broken.json', '--index', '0'], {cwd})).status).toBe(2);
  });
});
