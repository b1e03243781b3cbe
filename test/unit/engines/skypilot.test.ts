import {execFileSync, spawnSync} from 'node:child_process';
import {chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {parse} from 'yaml';
import {SkyPilotSiteSchema} from '../../../harness/contract/engines.ts';
import type {Plan} from '../../../harness/contract/plan.ts';
import {type SkyPilotJob, skyPilotJobs} from '../../../harness/engines/skypilot.ts';
import {SkyPilotTaskSchema} from '../../../harness/engines/skypilot-task.ts';
import {makePlan} from '../../../harness/plan/plan.ts';
import {loadText, matrixText} from '../../support/matrix-file.ts';
import {find} from '../../support/needs.ts';
import {PLAN_CATALOGUE, planEstimate, planHost, planRunners} from '../../support/plan-hosts.ts';

const python = find('skypilot');
const root = mkdtempSync(join(tmpdir(), 'bench-sky-'));
afterAll(() => rmSync(root, {recursive: true, force: true}));

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
  let hub: SkyPilotJob[] = [];
  beforeAll(async () => {
    const plan = await planOf('[t4]');
    const input = {plan, folder: '/plans/small', workdir: '/bench', installs: () => []};
    jobs = skyPilotJobs({...input, site: site('s3://bucket/bench')});
    fetched = skyPilotJobs({...input, site: site()});
    const cells = plan.cells.map((planned) => ({...planned, cell: {...planned.cell, source: 'hf:org/model'}}));
    hub = skyPilotJobs({...input, plan: {...plan, cells}, site: site('s3://bucket/bench')});
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

  test('ask for a token only where a model comes from the hub, and write none down', () => {
    expect(jobs[0]?.task.secrets).toBeUndefined();
    expect(hub[0]?.task.secrets).toEqual({HF_TOKEN: null});
    expect(hub[0]?.commands[0]).toMatch(/^HF_TOKEN="\$\{HF_TOKEN-\}" sky jobs launch .*t4\.yaml --secret HF_TOKEN$/);
  });

  test('prompts beside the matrix are found in the checkout that is sent along, or sent as well', async () => {
    const plan = await planOf('[t4]');
    const cells = plan.cells.map(({cell, ...rest}) => ({
      ...rest,
      cell: {...cell, workload: {...cell.workload, prompts: 'workloads/p.jsonl'}},
    }));
    const task = (matrixDir: string) => {
      const input = {folder: '/plans/small', workdir: '/bench', site: site(), installs: () => []};
      return skyPilotJobs({...input, plan: {...plan, matrixDir, cells}})[0]?.task;
    };
    expect(task('/bench/matrices')?.run).toContain(`--class t4 --matrix-dir matrices --task "$task"`);
    expect(Object.keys(task('/bench/matrices')?.file_mounts ?? {})).toEqual(['~/bench-plan/plan.json']);
    expect(task('/home/me/own')?.run).toContain('--matrix-dir ~/bench-plan/matrix --task');
    expect(task('/home/me/own')?.file_mounts).toMatchObject({'~/bench-plan/matrix': '/home/me/own'});
    expect(jobs[0]?.task.run).not.toContain('--matrix-dir');
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
    expect(() => skyPilotJobs({plan, folder: '/p', workdir: '/b', site: site(), installs: () => []})).toThrow(
      /no entry for ryzen-7-5800hs: .*cannot be asked for a CPU model \(ryzen-7-5800hs\): give an instance_type .* infra: ssh\/<pool>/,
    );
  });

  test('results in a bucket are fetched with the tool of its store; a host that may be taken away needs a bucket', () => {
    expect(jobs[0]?.commands[1]).toMatch(/^aws s3 sync s3:\/\/bucket\/bench\/\w+\/attempts \/plans\/small\/attempts$/);
    const spot = {t4: {accelerators: 'T4:1', max_hourly_cost: 1, use_spot: true}};
    expect(SkyPilotSiteSchema.safeParse({devices: spot}).error?.issues[0]?.message).toContain(
      'use_spot needs a bucket',
    );
    expect(SkyPilotSiteSchema.safeParse({bucket: 's3://b', devices: spot}).success).toBe(true);
  });

  test.skipIf(python === null)(
    "pass SkyPilot's own Task.from_yaml, and the commands its own command line",
    () => {
      const home = mkdtempSync(join(root, 'home-'));
      writeFileSync(join(home, 'plan.json'), '{}');
      const all = [...jobs, ...fetched];
      const paths = all.map(({yaml}, index) => {
        const path = join(home, `${index}.yaml`);
        // Only paths that are there are accepted; buckets are looked at only when something is launched.
        writeFileSync(path, yaml.replaceAll('/plans/small', home).replace('workdir: /bench', `workdir: ${home}`));
        return path;
      });
      const strange = join(home, 'strange.yaml');
      writeFileSync(strange, 'resources: {acelerators: "T4:1"}\nrun: "true"\n');
      const env = {...process.env, HOME: home, SKYPILOT_DISABLE_USAGE_COLLECTION: '1', HF_TOKEN: ''};
      const read = (...files: string[]) =>
        spawnSync(python ?? '', ['-c', READ, ...files], {encoding: 'utf8', env, timeout: 300_000});
      const {stdout, stderr, status} = read(...paths);
      expect([status, status === 0 ? '' : stderr]).toEqual([0, '']);
      expect(stdout.trim().split('\n')).toEqual(
        all.map(({task}, index) => `${task.name} T4 ${index < jobs.length ? '/bench-results' : ''}`.trim()),
      );
      // It does look: a key that it has not is refused.
      const refused = read(strange);
      expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining("Instead of 'acelerators'")]);

      const commands = (...lines: readonly string[]) =>
        spawnSync(python ?? '', ['-c', COMMANDS, ...lines], {encoding: 'utf8', env, timeout: 300_000});
      const lines = [...jobs, ...fetched, ...hub]
        .flatMap((job) => job.commands)
        .filter((line) => line.includes('sky '));
      expect(
        commands(...lines)
          .stdout.trim()
          .split('\n'),
      ).toEqual(['launch', 'launch', 'down', 'launch HF_TOKEN']);
      expect(commands('sky launch --cluster-of-mine x y.yaml').stderr).toContain('No such option: --cluster-of-mine');
    },
    400_000,
  );
});

/** Prints what SkyPilot made of each task: its name, the accelerators that it knows by that name, its buckets. */
const READ = `import sys, sky
for path in sys.argv[1:]:
    task = sky.Task.from_yaml(path)
    [resources] = task.resources
    print(task.name, *(resources.accelerators or {}), *task.storage_mounts)
`;

/** Has SkyPilot's own command line read each command, and runs none: prints its last word, and the secrets it was given. */
const COMMANDS = `import sys, shlex
from sky.client.cli.command import cli
for line in sys.argv[1:]:
    words = shlex.split(line[line.index('sky '):])[1:]
    command = cli
    while hasattr(command, 'commands'):
        command = command.commands[words.pop(0)]
    given = command.make_context('sky', words).params
    print(command.name, *(name for name, _ in given.get('secret') or ()))
`;

/** In place of node and bench: ends as EXITS says, task by task; leaves a torn attempt, and a whole one when all is well. */
const FAKE_NODE = `#!/bin/bash
task=\${@: -1}
exits=($EXITS)
cell=$HOME/bench-plan/attempts/cell-$task
[ -e "$cell/done.jsonl" ] && exit 0
mkdir -p "$cell/torn.partial"
echo torn >"$cell/torn.partial/journal.jsonl"
[ "\${exits[task]}" = 0 ] && echo whole >"$cell/done.jsonl"
exit "\${exits[task]}"
`;

describe('the script on a host, with a bucket', () => {
  async function bucket() {
    const plan = await planOf('[t4]');
    const bucketSite = site('s3://bucket/bench');
    const [job] = skyPilotJobs({plan, folder: '/plans/small', workdir: '/bench', site: bucketSite, installs: () => []});
    const kept = mkdtempSync(join(root, 'bucket-'));
    return {
      /** On a new host. @returns Exit status. */
      run(...exits: number[]): number | null {
        const home = mkdtempSync(join(root, 'home-'));
        mkdirSync(join(home, 'bin'));
        writeFileSync(join(home, 'bin', 'node'), FAKE_NODE);
        chmodSync(join(home, 'bin', 'node'), 0o755);
        const path = `${join(home, 'bin')}:${process.env['PATH'] ?? ''}`;
        const script = job?.task.run.replaceAll('/bench-results', kept) ?? '';
        return spawnSync('bash', ['-c', script], {env: {HOME: home, PATH: path, EXITS: exits.join(' ')}}).status;
      },
      files(): string[] {
        const folder = join(kept, plan.planId, 'attempts');
        return existsSync(folder) ? readdirSync(folder, {recursive: true}).map(String).sort() : [];
      },
    };
  }

  test('runs every task, keeps what is whole, and asks to be tried again for the rest', async () => {
    const {run, files} = await bucket();
    expect(run(75, 0)).toBe(75);
    expect(files()).toEqual(['cell-1', 'cell-1/done.jsonl']);
    // The second task would fail on the next host; it is finished, and not run again.
    expect(run(0, 3)).toBe(0);
    expect(files()).toEqual(['cell-0', 'cell-0/done.jsonl', 'cell-1', 'cell-1/done.jsonl']);
  });

  test('ends at once where the device is another one', async () => {
    const {run, files} = await bucket();
    expect(run(78, 0)).toBe(78);
    expect(files()).toEqual([]);
  });
});
