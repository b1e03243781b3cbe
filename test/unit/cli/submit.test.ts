import {mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {parse} from 'yaml';
import {submit} from '../../../harness/cli/submit.ts';
import type {Plan} from '../../../harness/contract/plan.ts';
import type {Call} from '../../../harness/engines/call.ts';
import {makePlan} from '../../../harness/plan/plan.ts';
import {writeAttempt} from '../../support/attempts.ts';
import {loadText, matrixText} from '../../support/matrix-file.ts';
import {PLAN_CATALOGUE, planEstimate, planHost, planRunners} from '../../support/plan-hosts.ts';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "bench-submit it's 100%-"));
  await writeFile(join(root, 'engines.yaml'), ENGINES);
});
afterEach(() => rm(root, {recursive: true}));

const ENGINES = `slurm:
  max_array_size: 1
  devices: {t4: {gres: "gpu:t4:1"}, h200: {gres: "gpu:h200:1"}}
skypilot:
  devices: {t4: {accelerators: "T4:1", max_hourly_cost: 1}}
`;

async function planOf(lines: Readonly<Record<string, string>>): Promise<Plan> {
  return await makePlan({
    loaded: await loadText(matrixText(lines)),
    host: planHost(),
    catalogue: PLAN_CATALOGUE,
    runners: planRunners(),
    estimate: planEstimate(),
    harness: '0.1.0',
  });
}

/** A Slurm that takes what it is given, but for what a test makes it refuse; every call of it is kept. */
class FakeSlurm {
  readonly calls: string[][] = [];
  jobs: object[] = [];
  refuse: (words: readonly string[]) => string | null = () => null;
  #id = 100;

  readonly call: Call = async (program, args) => {
    this.calls.push([program, ...args]);
    const refusal = this.refuse([program, ...args]);
    if (refusal !== null) return {status: 1, stdout: '', stderr: `sbatch: error: ${refusal}\n`};
    if (program === 'squeue') return {status: 0, stdout: JSON.stringify({jobs: this.jobs}), stderr: ''};
    return {status: 0, stdout: args.includes('--parsable') ? `${this.#id++}\n` : '', stderr: ''};
  };

  /** Arguments of the jobs that were taken. */
  get submitted(): string[][] {
    return this.calls.filter((words) => words.includes('--parsable'));
  }
}

interface Told {
  readonly out: string;
  readonly err: string;
}

async function give(engine: string, plan: Plan, slurm = new FakeSlurm()): Promise<Told> {
  let [out, err] = ['', ''];
  await submit({
    engine,
    plan,
    matrixText: '',
    enginesFile: join(root, 'engines.yaml'),
    out: join(root, 'results'),
    context: {
      env: {},
      stdout: {write: (text) => (out += text)},
      stderr: {write: (text) => (err += text)},
      signal: new AbortController().signal,
      exit: () => {},
    },
    prices: new Map(),
    call: slurm.call,
  });
  return {out, err};
}

const planFolder = async (): Promise<string> => {
  const plans = join(root, 'results', 'plans');
  return join(plans, (await readdir(plans))[0] ?? '');
};

describe('a plan given to Slurm', () => {
  test('is asked about as a whole, the merge included, before anything is submitted', async () => {
    const slurm = new FakeSlurm();
    slurm.refuse = (words) =>
      words.some((word) => word.endsWith('-merge')) ? 'invalid partition specified: cpus' : null;
    await expect(give('slurm', await planOf({devices: '[t4]'}), slurm)).rejects.toThrow(
      'Slurm cannot run the merge at the end (merge in engines.yaml): sbatch: error: invalid partition specified: cpus; nothing was submitted',
    );
    expect(slurm.submitted).toEqual([]);
    expect(await readdir(root)).toEqual(['engines.yaml']);
  });

  test('has a merge that waits for all of its arrays, and commands that a shell can read', async () => {
    const slurm = new FakeSlurm();
    const {out} = await give('slurm', await planOf({devices: '[t4]'}), slurm);
    expect(slurm.submitted.at(-1)).toContain('--dependency=afterany:100:101');
    expect(out).toContain(`bench cancel '${(await planFolder()).replace("'", `'\\''`)}'\n`);
    // Slurm reads % as the beginning of a word of its own.
    expect(slurm.submitted[0]?.find((word) => word.startsWith('--output='))).toMatch(/100%%-.*slurm-%A_%a\.log$/);
  });

  test('of which one array is refused keeps those that were taken, says so, and submits the rest later', async () => {
    const slurm = new FakeSlurm();
    const plan = await planOf({devices: '[t4]'});
    slurm.refuse = (words) =>
      slurm.submitted.length > 1 && words.includes('--parsable') ? 'Job violates accounting/QOS policy' : null;
    await expect(give('slurm', plan, slurm)).rejects.toThrow(
      /Job violates accounting\/QOS policy; 1 array is submitted and will run \(bench status .*: later, the same command submits the rest/,
    );
    slurm.refuse = () => null;
    slurm.jobs = [queued(plan, 100, '0')];
    slurm.calls.length = 0;
    await give('slurm', plan, slurm);
    expect(slurm.submitted.map((words) => words.find((word) => /^--(array|dep)/.test(word)))).toEqual([
      '--array=0',
      '--dependency=afterany:100:101',
    ]);
  });

  test('is submitted once: neither finished cells nor queued ones again', async () => {
    const slurm = new FakeSlurm();
    const plan = await planOf({devices: '[t4]'});
    await give('slurm', plan, slurm);
    const [first] = plan.cells;
    if (first === undefined) throw new Error('no cell');
    await writeAttempt(await planFolder(), plan, first);
    slurm.jobs = [queued(plan, 101, '0')];
    slurm.calls.length = 0;
    expect((await give('slurm', plan, slurm)).out).toContain(
      'nothing to submit: 1 cells are finished, the rest is queued',
    );
    expect(slurm.submitted).toEqual([]);
  });

  test('with devices that engines.yaml does not name is refused with all of them, and how to go on', async () => {
    await expect(give('slurm', await planOf({devices: '[t4, a100-80gb, ryzen-7-5800hs]'}))).rejects.toThrow(
      'slurm.devices has no entry for a100-80gb, ryzen-7-5800hs (it has t4, h200): add what your site calls it, or choose cells with --only device=t4',
    );
  });
});

/** A pending part of an array, as squeue --json has it. */
function queued({planId}: Plan, id: number, places: string): object {
  return {
    job_id: id,
    name: `bench-${planId}-t4`,
    array_job_id: id,
    array_task_id: null,
    array_task_string: places,
    job_state: ['PENDING'],
    state_reason: 'Resources',
  };
}

describe('a plan written for SkyPilot', () => {
  test('installs on a new host what its cells need, and launches nothing', async () => {
    const plan = await planOf({
      devices: '[t4]',
      formats: '[fp16, gptq-4bit, gguf-q4_k_m]',
      kernels: '[auto, marlin]',
      runners: '[transformers, llama-cpp]',
      sweep: '{engine_build: [prebuilt, native]}',
    });
    const slurm = new FakeSlurm();
    const {out, err} = await give('skypilot', plan, slurm);
    expect(slurm.calls).toEqual([]);
    const folder = await planFolder();
    const {setup}: {setup: string} = parse(await readFile(join(folder, 'skypilot', 't4.yaml'), 'utf8'));
    expect(setup.trim().split('\n').slice(-3)).toEqual([
      'npm ci',
      'node dist/harness/cli/bin.js setup python --cuda --gptqmodel',
      'node dist/harness/cli/bin.js setup llama-cpp --native',
    ]);
    expect(out.split('\n').map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      'sky launch',
      'rsync -a',
      'sky down',
      'bench merge',
      '',
    ]);
    expect(err).toContain('Nothing was launched');
    expect(err).toContain('A host that has stopped by itself still costs its disk');
  });

  test('says where the attempts have to lie when they are kept in a bucket', async () => {
    await writeFile(join(root, 'engines.yaml'), ENGINES.replace('skypilot:\n', 'skypilot:\n  bucket: gs://b/bench\n'));
    const plan = await planOf({devices: '[t4]'});
    const {out, err} = await give('skypilot', plan);
    expect(out.split('\n')[1]).toMatch(
      new RegExp(`^gcloud storage rsync --recursive gs://b/bench/${plan.planId}/attempts '.*/attempts'$`),
    );
    expect(err).toContain(`Before the merge, gs://b/bench/${plan.planId}/attempts has to lie in`);
  });
});
