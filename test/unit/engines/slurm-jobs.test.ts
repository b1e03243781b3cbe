import {execFileSync} from 'node:child_process';
import {beforeAll, describe, expect, test} from 'vitest';
import {SlurmSiteSchema} from '../../../harness/contract/engines.ts';
import type {Plan} from '../../../harness/contract/plan.ts';
import type {Call} from '../../../harness/engines/call.ts';
import {Slurm} from '../../../harness/engines/slurm.ts';
import {slurmJobs, slurmMergeJob, walltimeMinutes} from '../../../harness/engines/slurm-jobs.ts';
import {ranges, tasksOf} from '../../../harness/engines/tasks.ts';
import {makePlan} from '../../../harness/plan/plan.ts';
import {loadText, matrixText} from '../../support/matrix-file.ts';
import {PLAN_CATALOGUE, planEstimate, planHost, planRunners} from '../../support/plan-hosts.ts';

const devices = {t4: {gres: 'gpu:t4:1'}, 'ryzen-7-5800hs': {constraint: 'ryzen'}};
const site = (more: object = {}) => SlurmSiteSchema.parse({devices, ...more});
let plan: Plan;
beforeAll(async () => {
  const models = '[{name: m, source: "synthetic:bench-tiny"}, {name: n, source: "synthetic:bench-tiny", seed: 2}]';
  plan = await makePlan({
    loaded: await loadText(matrixText({models, devices: '[t4, ryzen-7-5800hs]', budget_seconds: '60', rounds: '2'})),
    host: planHost(),
    catalogue: PLAN_CATALOGUE,
    runners: planRunners(),
    estimate: planEstimate(),
    harness: '0.1.0',
  });
});
const input = (more: object = {}) => ({
  plan,
  folder: '/shared/a plan',
  command: ['bench'],
  finished: new Set<string>(),
  site: site(more),
});

describe('job arrays of a plan', () => {
  test('there is one per device, alone on its node, requeued when a node dies', () => {
    const [t4, ryzen] = slurmJobs(input());
    expect(t4?.tasks).toEqual([0, 1, 2, 3]);
    expect(t4?.arguments).toEqual(
      expect.arrayContaining(['--array=0-3', '--gres=gpu:t4:1', '--exclusive', '--mem=0', '--requeue']),
    );
    expect(ryzen?.arguments).toContain('--constraint=ryzen');
    expect(ryzen?.arguments.some((one) => one.startsWith('--gres'))).toBe(false);
  });

  test('the script is readable by a shell, quotes its paths, and asks again by the place in the array', () => {
    const script = slurmJobs(input({setup: 'module load nodejs', scratch: '/tmp/$USER'}))[0]?.script ?? '';
    execFileSync('bash', ['-n'], {input: script});
    expect(script.replace(plan.planId, 'ID')).toMatchInlineSnapshot(`
      "#!/bin/bash
      # bench plan ID, device t4: written by bench matrix --engine slurm
      module load nodejs
      # bench ends its worker before it ends itself: the script stays until then, whatever Slurm tells it.
      bench cell --plan '/shared/a plan/plan.json' --class t4 --scratch '/tmp/$USER' --task "$((SLURM_ARRAY_TASK_ID + 0))" &
      bench=$!
      trap 'kill -TERM "$bench" 2>/dev/null' TERM
      wait "$bench"
      status=$?
      while kill -0 "$bench" 2>/dev/null; do
        wait "$bench"
        status=$?
      done
      # 75: try again. Whatever else it was, another try would end the same.
      if [ "$status" = 75 ] && [ "\${SLURM_RESTART_COUNT:-0}" -lt 2 ]; then
        # By its place: the id of the last element is that of the whole array.
        scontrol requeue "\${SLURM_ARRAY_JOB_ID}_\${SLURM_ARRAY_TASK_ID}"
      fi
      exit "$status"
      "
    `);
  });

  test('finished and queued cells are left out', () => {
    const finished = new Set([plan.cells.find(({cell}) => cell.device === 't4')?.cell.id ?? '']);
    const [t4] = slurmJobs({...input(), finished, live: new Set(['t4 2'])});
    expect(t4?.tasks).toEqual([1, 3]);
    const all = new Set(plan.cells.map(({cell}) => cell.id));
    expect(slurmJobs({...input(), finished: all})).toEqual([]);
  });

  test('no index of an array reaches MaxArraySize', () => {
    const jobs = slurmJobs(input({max_array_size: 3, max_parallel: 2})).filter(({device}) => device === 't4');
    expect(jobs.map(({arguments: args}) => args.find((one) => one.startsWith('--array')))).toEqual([
      '--array=0-2%2',
      '--array=0%2',
    ]);
    expect(jobs[1]?.script).toContain('"$((SLURM_ARRAY_TASK_ID + 3))"');
  });

  test('formats of a model can be one task, whose walltime is for all of them', () => {
    expect(tasksOf(plan, 't4', 'model').map(({indices}) => indices)).toEqual([
      [0, 1],
      [4, 5],
    ]);
    const each = tasksOf(plan, 't4', 'none').map(({seconds}) => seconds);
    expect(tasksOf(plan, 't4', 'model')[0]?.seconds).toBe((each[0] ?? 0) + (each[1] ?? 0));
    expect(walltimeMinutes(60, site())).toBe(15);
    expect(walltimeMinutes(3600, site())).toBe(180);
  });

  test('a device without an entry is told with those that have one; an entry that could land anywhere is refused', () => {
    expect(() => slurmJobs({...input(), site: SlurmSiteSchema.parse({devices: {t4: devices.t4}})})).toThrow(
      'slurm.devices has no entry for ryzen-7-5800hs (it has t4): add',
    );
    expect(SlurmSiteSchema.safeParse({devices: {t4: {}}}).success).toBe(false);
  });

  test('the merge waits for the end of all, however they end, and holds no device', () => {
    const {arguments: args} = slurmMergeJob({...input(), out: '/shared/results', after: ['7', '8']});
    expect(args).toContain('--dependency=afterany:7:8');
    expect(args.some((one) => one.startsWith('--gres') || one === '--exclusive')).toBe(false);
    // Asked about before there is anything to wait for.
    const {arguments: asked} = slurmMergeJob({...input(), out: '/shared/results', after: []});
    expect(asked.some((one) => one.startsWith('--dependency'))).toBe(false);
  });

  test('a cell that only lacks software where it was planned has a task; one refused for good has none', () => {
    const [first] = plan.cells;
    if (first === undefined) throw new Error('no cell');
    const refused = {...first, verdict: 'refused', refusedAs: 'unsupported'} as const;
    const tasks = (planned: typeof first) => tasksOf({...plan, cells: [planned]}, first.cell.device, 'none');
    expect(tasks({...refused, missing: true})).toHaveLength(1);
    expect(tasks(refused)).toEqual([]);
  });

  test('places are written as ranges', () => {
    expect(ranges([0, 1, 2, 5, 7, 8])).toBe('0-2,5,7-8');
    expect(ranges([])).toBe('');
  });
});

describe('the programs of Slurm', () => {
  const answer =
    (status: number, stdout: string, stderr = ''): Call =>
    async () => ({status, stdout, stderr});
  const job = {arguments: ['--array=0'], script: '#!/bin/bash\n'};

  test('a refusal is told in the words of Slurm', async () => {
    const slurm = new Slurm(answer(1, '', 'allocation failure: Requested node configuration is not available\n'));
    await expect(slurm.check(job, '4 tasks for t4')).rejects.toThrow(
      'Slurm cannot run 4 tasks for t4: allocation failure: Requested node configuration is not available; nothing was submitted',
    );
  });

  test('a job id may come with the name of its cluster; anything else is no id', async () => {
    expect(await new Slurm(answer(0, '123;main\n')).submit(job)).toBe('123');
    await expect(new Slurm(answer(0, 'Submitted batch job\n')).submit(job)).rejects.toThrow('sbatch');
  });

  test('squeue is asked for what has ended, too: from 24.05 on it is silent about it otherwise', async () => {
    let asked: readonly string[] = [];
    const slurm = new Slurm(async (_program, args) => {
      asked = args;
      return {status: 0, stdout: '{"jobs": []}', stderr: ''};
    });
    expect(await slurm.tasks('p', ['1'])).toEqual([]);
    expect(asked).toEqual(['--json', '--states=all']);
  });

  test('an answer that is not understood is no empty queue', async () => {
    await expect(new Slurm(answer(0, 'slurm_load_jobs error')).tasks('p', ['1'])).rejects.toThrow('not understood');
  });
});
