import {execFileSync} from 'node:child_process';
import {existsSync, mkdtempSync, writeFileSync} from 'node:fs';
import {homedir, tmpdir} from 'node:os';
import {join} from 'node:path';
import {beforeAll, describe, expect, test} from 'vitest';
import {parse} from 'yaml';
import {SkyPilotSiteSchema} from '../../../harness/contract/engines.ts';
import type {Plan} from '../../../harness/contract/plan.ts';
import {type SkyPilotJob, skyPilotJobs} from '../../../harness/engines/skypilot.ts';
import {SkyPilotTaskSchema} from '../../../harness/engines/skypilot-task.ts';
import {makePlan} from '../../../harness/plan/plan.ts';
import {loadText, matrixText} from '../../support/matrix-file.ts';
import {PLAN_CATALOGUE, planEstimate, planHost, planRunners} from '../../support/plan-hosts.ts';

const cache = process.env['BENCH_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'bench');
const python = join(cache, 'skypilot', 'bin', 'python');
const skypilot = existsSync(python);
if (!skypilot) {
  process.stderr.write(
    `skipping SkyPilot's own check: python3 -m venv ${join(cache, 'skypilot')} && ${python} -m pip install skypilot\n`,
  );
}

const site = (bucket?: string) =>
  SkyPilotSiteSchema.parse({
    ...(bucket === undefined ? {} : {bucket}),
    devices: {t4: {accelerators: 'T4:1', max_hourly_cost: 0.8}},
  });

async function planOf(devices: string): Promise<Plan> {
  return await makePlan({
    loaded: await loadText(matrixText({devices})),
    host: planHost(),
    catalogue: PLAN_CATALOGUE,
    runners: planRunners(),
    estimate: planEstimate(),
    harness: '0.1.0',
  });
}

describe('task files for SkyPilot', () => {
  let jobs: SkyPilotJob[] = [];
  let fetched: SkyPilotJob[] = [];
  beforeAll(async () => {
    const plan = await planOf('[t4]');
    const input = {plan, folder: '/plans/small', workdir: '/bench'};
    jobs = skyPilotJobs({...input, site: site('s3://bucket/bench')});
    fetched = skyPilotJobs({...input, site: site()});
  });

  test('stop by themselves, have a highest price, and try again only what asks for it', () => {
    expect(parse(jobs[0]?.yaml ?? '').resources).toMatchObject({
      accelerators: 'T4:1',
      max_hourly_cost: 0.8,
      autostop: {idle_minutes: 10, down: true, wait_for: 'jobs'},
      job_recovery: {max_restarts_on_errors: 1, recover_on_exit_codes: [75]},
    });
  });

  test('a host whose disk holds the only results is stopped and not deleted, until they were fetched', () => {
    expect(fetched[0]?.task.resources.autostop.down).toBe(false);
    expect(fetched[0]?.commands.map((command) => command.split(' ').slice(0, 2).join(' '))).toEqual([
      'sky launch',
      'rsync -a',
      'sky down',
    ]);
  });

  test('read back as what was meant: no line is folded, and a key that SkyPilot has not is refused', () => {
    const [job] = jobs;
    expect(parse(job?.yaml ?? '')).toEqual(job?.task);
    expect(SkyPilotTaskSchema.safeParse({...job?.task, gpu: 'T4'}).success).toBe(false);
  });

  test('the script on the host is one that a shell can read', () => {
    for (const {task} of [...jobs, ...fetched]) execFileSync('bash', ['-n'], {input: `${task.setup}\n${task.run}`});
  });

  test('a CPU model cannot be asked for: what to do instead is said', async () => {
    const plan = await planOf('[ryzen-7-5800hs]');
    expect(() => skyPilotJobs({plan, folder: '/p', workdir: '/b', site: site()})).toThrow(
      /cannot be asked for a CPU model: give an instance_type .* infra: ssh\/<pool>/,
    );
  });

  test.skipIf(!skypilot)(
    "pass SkyPilot's own Task.from_yaml",
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'bench-sky-'));
      writeFileSync(join(folder, 'plan.json'), '{}');
      for (const [index, {task, yaml}] of [...jobs, ...fetched].entries()) {
        const path = join(folder, `${index}.yaml`);
        // Only paths that are there are accepted; buckets are looked at only when something is launched.
        writeFileSync(
          path,
          yaml
            .replaceAll('/plans/small', folder)
            .replace('workdir: /bench', `workdir: ${folder}`)
            .replace(/^ {2}\/bench-results:\n( {4}.*\n)+/m, ''),
        );
        const code = 'import sys, sky; t = sky.Task.from_yaml(sys.argv[1]); print(t.name)';
        expect(execFileSync(python, ['-c', code, path], {encoding: 'utf8'}).trim()).toBe(task.name);
      }
    },
    120_000,
  );
});
