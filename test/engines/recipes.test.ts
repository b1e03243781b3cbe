import {execFile, execFileSync} from 'node:child_process';
import {chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {parse} from 'yaml';
import {z} from 'zod';
import {HARNESS_VERSION, PACKAGE_ROOT} from '../../harness/cli/package-root.ts';
import {AttemptHeadSchema} from '../../harness/contract/attempt.ts';
import {type Plan, PlanSchema} from '../../harness/contract/plan.ts';
import {loadEngines} from '../../harness/engines/load-engines.ts';
import {skyPilotJobs} from '../../harness/engines/skypilot.ts';
import {slurmJobs} from '../../harness/engines/slurm-jobs.ts';
import {makePlan} from '../../harness/plan/plan.ts';
import {readResultsCsv} from '../../harness/store/results-csv.ts';
import {BENCH, type CliResult} from '../support/bench-cli.ts';
import {loadText, matrixText} from '../support/matrix-file.ts';
import {find} from '../support/needs.ts';
import {PLAN_CATALOGUE, planEstimate, planHost, planRunners} from '../support/plan-hosts.ts';

const RECIPES = join(PACKAGE_ROOT, 'matrices', 'recipes');
const MATRIX = `matrix: recipe
models: [{name: m, source: "synthetic:bench-tiny"}]
formats: [gguf-f16, gguf-q4_k_m]
runners: [simulated]
devices: [host-cpu, h200]
workloads: [{name: w, prompt_tokens: 8, generated_tokens: 4}]
settings: {threads: 1}
rounds: 1
requests: {min: 4, max: 4, warmup_min: 0, warmup_max: 0}
canary: false
`;

const root = mkdtempSync(join(tmpdir(), 'bench-recipes-'));
const place = (...parts: string[]) => join(root, ...parts);
let plan: Plan;

/** With a `bench` on the PATH, as the recipes want it, in the folder of the plan. */
async function shell(command: string, env: Readonly<Record<string, string>> = {}): Promise<CliResult> {
  const all = {
    ...process.env,
    HOME: root,
    BENCH_CACHE: place('cache'),
    PATH: `${place('bin')}:${process.env['PATH'] ?? ''}`,
    ...env,
  };
  return await new Promise((resolve) => {
    const child = execFile('sh', ['-c', command], {cwd: root, env: all}, (_, stdout, stderr) =>
      resolve({status: child.exitCode ?? -1, stdout, stderr}),
    );
    child.stdin?.end();
  });
}

beforeAll(async () => {
  mkdirSync(place('bin'));
  writeFileSync(place('bin', 'bench'), `#!/bin/sh\nexec ${BENCH.join(' ')} "$@"\n`);
  chmodSync(place('bin', 'bench'), 0o755);
  writeFileSync(place('m.yaml'), MATRIX);
  const {stdout} = await shell('bench matrix m.yaml --plan --json');
  writeFileSync(place('plan.json'), stdout);
  plan = PlanSchema.parse(JSON.parse(stdout));
});
afterAll(() => rmSync(root, {recursive: true, force: true}));

test('engines.yaml is one that Slurm and SkyPilot jobs can be made from, for each device that it names', async () => {
  const {slurm, skypilot} = await loadEngines(join(RECIPES, 'engines.yaml'));
  if (slurm === undefined || skypilot === undefined) throw new Error('a part is missing');
  const devices = ['t4', 'a100-80gb', 'ryzen-7-5800hs'];
  const spread = await makePlan({
    loaded: await loadText(matrixText({devices: `[${devices.join(', ')}]`})),
    host: planHost(),
    catalogue: PLAN_CATALOGUE,
    runners: planRunners(),
    estimate: planEstimate(),
    harness: '0.1.0',
  });
  const input = {plan: spread, folder: '/shared/plan', finished: new Set<string>()};
  expect(slurmJobs({...input, site: slurm, command: ['bench']}).map(({device}) => device)).toEqual(devices);
  expect(
    skyPilotJobs({...input, site: skypilot, workdir: '/bench', installs: () => []}).map(({device}) => device),
  ).toEqual(devices);
});

/** Of SkyPilot's catalogue (catalogs/v8/common/accelerators.csv, commit 001ca549): the NVIDIA GPUs that devices.yaml has. */
const CATALOGUE = [
  'T4',
  'L4',
  'A10G',
  'L40S',
  'A100',
  'A100-80GB',
  'H100',
  'H200',
  'V100',
  'V100-32GB',
  'RTX3090',
  'RTX4090',
];

test('engines.yaml names the accelerator of each GPU that bench knows, as SkyPilot does, or says why it does not', async () => {
  const {skypilot} = await loadEngines(join(RECIPES, 'engines.yaml'));
  const comments = readFileSync(join(RECIPES, 'engines.yaml'), 'utf8').match(/#.*/g)?.join('\n') ?? '';
  const {devices}: {devices: {name: string; kind: string}[]} = parse(
    readFileSync(join(PACKAGE_ROOT, 'matrices', 'devices.yaml'), 'utf8'),
  );
  const gpus = devices.filter(({kind}) => kind === 'cuda').map(({name}) => name);
  expect(gpus.length).toBeGreaterThan(10);
  for (const name of gpus) {
    const entry = skypilot?.devices[name];
    if (entry === undefined) expect(comments).toMatch(new RegExp(`\\b${name}[,:]`));
    else if (entry.accelerators !== undefined) expect(CATALOGUE).toContain(entry.accelerators.replace(/:1$/, ''));
    else expect([name, entry.instance_type]).toEqual([name, expect.any(String)]);
  }
  for (const name of Object.keys(skypilot?.devices ?? {})) expect(devices.map((one) => one.name)).toContain(name);
});

describe('the Kubernetes job', () => {
  const exitRule = z.strictObject({
    action: z.enum(['FailJob', 'FailIndex', 'Ignore', 'Count']),
    onExitCodes: z.strictObject({
      containerName: z.string(),
      operator: z.enum(['In', 'NotIn']),
      // The API server wants them in order, each once; 0 cannot be asked for.
      values: z.array(z.int().min(1).max(255)).min(1).max(255),
    }),
  });
  const conditionRule = z.strictObject({
    action: z.enum(['FailJob', 'FailIndex', 'Ignore', 'Count']),
    onPodConditions: z.array(z.strictObject({type: z.string()})).min(1),
  });
  const volume = z
    .strictObject({
      name: z.string(),
      configMap: z.strictObject({name: z.string()}),
      persistentVolumeClaim: z.strictObject({claimName: z.string()}),
      emptyDir: z.strictObject({}),
      hostPath: z.strictObject({path: z.string(), type: z.string()}),
    })
    .partial()
    .required({name: true});
  const envEntry = z.union([
    z.strictObject({name: z.string(), value: z.string()}),
    z.strictObject({
      name: z.string(),
      valueFrom: z.strictObject({fieldRef: z.strictObject({fieldPath: z.string()})}),
    }),
  ]);
  /** The part of batch/v1 that the recipe uses; strict, so that a key with a typing mistake is found. */
  const JobSchema = z.strictObject({
    apiVersion: z.literal('batch/v1'),
    kind: z.literal('Job'),
    metadata: z.strictObject({name: z.string().regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)}),
    spec: z.strictObject({
      completionMode: z.literal('Indexed'),
      completions: z.int().positive(),
      parallelism: z.int().positive(),
      backoffLimitPerIndex: z.int().nonnegative(),
      podFailurePolicy: z.strictObject({rules: z.array(z.union([exitRule, conditionRule])).max(20)}),
      template: z.strictObject({
        metadata: z.strictObject({labels: z.record(z.string(), z.string())}),
        spec: z.strictObject({
          // podFailurePolicy and backoffLimitPerIndex both ask for it.
          restartPolicy: z.literal('Never'),
          activeDeadlineSeconds: z.int().positive(),
          nodeSelector: z.record(z.string(), z.string()),
          affinity: z.strictObject({
            podAntiAffinity: z.strictObject({
              requiredDuringSchedulingIgnoredDuringExecution: z.array(
                z.strictObject({
                  topologyKey: z.literal('kubernetes.io/hostname'),
                  labelSelector: z.strictObject({matchLabels: z.record(z.string(), z.string())}),
                }),
              ),
            }),
          }),
          containers: z.tuple([
            z.strictObject({
              name: z.string(),
              image: z.string(),
              command: z.array(z.string()).min(1),
              env: z.array(envEntry),
              resources: z.strictObject({limits: z.record(z.string(), z.union([z.string(), z.number()]))}),
              volumeMounts: z.array(z.strictObject({name: z.string(), mountPath: z.string().startsWith('/')})),
            }),
          ]),
          volumes: z.array(volume),
        }),
      }),
    }),
  });
  const text = readFileSync(join(RECIPES, 'kubernetes-job.yaml'), 'utf8');
  const {spec} = JobSchema.parse(parse(text));
  const pod = spec.template.spec;
  const [cell] = pod.containers;

  test('mounts what it names, keeps cells apart, and its rules are about its own container', () => {
    expect(cell.volumeMounts.map(({name}) => name)).toEqual(pod.volumes.map(({name}) => name));
    for (const one of pod.volumes) expect(Object.keys(one)).toHaveLength(2);
    const [apart] = pod.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution;
    expect(apart?.labelSelector.matchLabels).toEqual(spec.template.metadata.labels);
    for (const rule of spec.podFailurePolicy.rules) {
      if (!('onExitCodes' in rule)) continue;
      const {containerName, values} = rule.onExitCodes;
      expect(containerName).toBe(cell.name);
      expect(values).toEqual([...new Set(values)].sort((a, b) => a - b));
    }
  });

  /** As the Job controller does: the first rule that fits; without one the try counts. */
  const actionFor = (status: number): string => {
    for (const rule of spec.podFailurePolicy.rules) {
      if (!('onExitCodes' in rule)) continue;
      const {operator, values} = rule.onExitCodes;
      if (values.includes(status) === (operator === 'In')) return rule.action;
    }
    return 'Count';
  };
  const containerCommand = () =>
    cell.command
      .map(
        (word) =>
          `'${word.replace('/plan/plan.json', place('plan.json')).replaceAll(/ \/(results|scratch)/g, ` ${root}/k8s/$1`)}'`,
      )
      .join(' ');

  test('has an index for every cell, and each index runs the cell of that place in the plan', async () => {
    // As the head of the recipe says: completions are the cells of the plan.
    const job = JobSchema.parse(parse(text.replace(/completions: \d+/, `completions: ${plan.cells.length}`)));
    expect(job.spec.completions).toBe(plan.cells.length);
    for (let index = 0; index < job.spec.completions; index++) {
      const {status, stderr} = await shell(containerCommand(), {
        JOB_COMPLETION_INDEX: String(index),
        NODE_NAME: 'node-1',
      });
      const {id, device} = plan.cells[index]?.cell ?? {id: '', device: ''};
      expect([index, status, stderr]).toEqual([index, device === 'h200' ? 78 : 0, expect.stringContaining(id)]);
      if (status === 0) {
        const [name = ''] = readdirSync(place('k8s', 'results', 'attempts', id)).filter((one) =>
          one.endsWith('.jsonl'),
        );
        expect(name).toMatch(new RegExp(`^kubernetes-${index}-[0-9a-f]{16}\\.jsonl$`));
        const [head = ''] = readFileSync(place('k8s', 'results', 'attempts', id, name), 'utf8').split('\n');
        expect(JSON.parse(head)).toMatchObject({cellId: id, engine: 'kubernetes', engineNode: 'node-1'});
      }
    }
    // An index that the plan has not is bad input, which ends the job: `completions` is wrong.
    expect((await shell(containerCommand(), {JOB_COMPLETION_INDEX: '99'})).status).toBe(2);
    expect(actionFor(2)).toBe('FailJob');
  }, 240_000);

  test('tries again what asks for it, ends where the label lies, and repeats nothing that would end the same', () => {
    expect([75, 78, 2, 3, 130, 137].map(actionFor)).toEqual([
      'Count',
      'FailJob',
      'FailJob',
      'FailIndex',
      'FailIndex',
      'FailIndex',
    ]);
    const [first] = spec.podFailurePolicy.rules;
    expect(first).toEqual({action: 'Ignore', onPodConditions: [{type: 'DisruptionTarget'}]});
  });
});

const parallel = find('parallel');

describe.skipIf(parallel === null)('GNU parallel, with this one host', () => {
  const recipe = async (device: string) =>
    await shell(`${join(RECIPES, 'parallel.sh')} plan.json ${device} : results`, {
      BENCH: 'bench',
      BENCH_DIR: root,
      BENCH_RUNS: place('runs'),
    });
  const attempts = () =>
    readdirSync(place(`bench-${plan.planId}`, 'attempts'), {recursive: true})
      .map(String)
      .filter((name) => name.endsWith('.jsonl'));

  test('runs every cell of a device once, merges them, and has nothing to do the second time', async () => {
    const device = plan.cells[0]?.cell.device ?? '';
    const {status, stderr, stdout} = await recipe(device);
    // The cells of the other device are missing; that is what the merge says, and its exit status.
    expect([status, stderr]).toEqual([1, expect.stringContaining('missing: 2 cells have no whole attempt')]);
    const [name = ''] = readdirSync(place('results')).filter((one) => one.startsWith('recipe--'));
    expect(stdout).toContain(name);
    const rows = await readResultsCsv(place('results', name, 'results.csv'));
    expect(rows.map((row) => row.status)).toEqual(['ok', 'ok']);
    expect(
      attempts()
        .map((path) => /parallel-\d+/.exec(path)?.[0])
        .sort(),
    ).toEqual(['parallel-1', 'parallel-2']);

    const before = attempts();
    expect((await recipe(device)).status).toBe(1);
    expect(attempts()).toEqual(before);
    const progress = await shell(`bench status bench-${plan.planId} --json`);
    expect(JSON.parse(progress.stdout).devices[0]).toMatchObject({device, cells: 2, finished: 2, partial: 0});
  }, 240_000);

  test('names the job log where a host is not the device, and merges nothing from it', async () => {
    const {status, stderr} = await recipe('h200');
    expect(stderr).toMatch(/2 tasks failed: see \S+h200\.joblog/);
    expect(status).toBe(1);
    const log = readFileSync(place(`bench-${plan.planId}`, 'h200.joblog'), 'utf8')
      .trim()
      .split('\n')
      .slice(1);
    expect(log.map((line) => line.split('\t')[6])).toEqual(['78', '78']);
    expect((await recipe('t4')).stderr).toContain('plan.json has no cells to run on t4');
  }, 240_000);
});

const sshd = parallel === null ? null : find('sshd');

describe.skipIf(sshd === null)('GNU parallel, with two hosts behind ssh', () => {
  /** Both are this machine, each with a cache and a folder of attempts of its own; ssh starts its server itself. */
  const HOSTS = ['box-1', 'box-2'];
  beforeAll(async () => {
    for (const key of ['host-key', 'key']) {
      const {status, stderr} = await shell(`ssh-keygen -q -t ed25519 -N '' -f ${place(key)}`);
      if (status !== 0) throw new Error(stderr);
    }
    for (const host of HOSTS) {
      const lines = [
        `HostKey ${place('host-key')}`,
        `AuthorizedKeysFile ${place('key.pub')}`,
        'PidFile none',
        'UsePAM no',
        'StrictModes no',
        'PermitRootLogin yes',
        'PasswordAuthentication no',
        `SetEnv BENCH_CACHE=${place('cache', host)} HOST_RUNS=${place('runs', host)}`,
      ];
      writeFileSync(place(`${host}.conf`), `${lines.join('\n')}\n`);
    }
    const client = [
      ...HOSTS.map((host) => `Host ${host}\n  ProxyCommand ${sshd} -i -f ${place(`${host}.conf`)}\n`),
      'Host *',
      `  IdentityFile ${place('key')}`,
      '  IdentitiesOnly yes',
      '  BatchMode yes',
      '  StrictHostKeyChecking no',
      '  UserKnownHostsFile /dev/null',
      '  LogLevel ERROR',
    ];
    writeFileSync(place('ssh.conf'), `${client.join('\n')}\n`);
    writeFileSync(
      place('bin', 'ssh'),
      `#!/bin/sh\nexec ${execFileSync('sh', ['-c', 'command -v ssh'], {encoding: 'utf8'}).trim()} -F ${place('ssh.conf')} "$@"\n`,
    );
    chmodSync(place('bin', 'ssh'), 0o755);
  });

  test('each host runs its share, and the attempts of both are fetched and merged', async () => {
    const device = plan.cells[0]?.cell.device ?? '';
    // Of a plan of its own: what is finished in another folder is not fetched again.
    writeFileSync(place('spread.yaml'), MATRIX.replace('matrix: recipe', 'matrix: spread'));
    const {stdout: text} = await shell('bench matrix spread.yaml --plan --json');
    writeFileSync(place('spread.json'), text);
    const {planId} = PlanSchema.parse(JSON.parse(text));
    const {status, stderr} = await shell(
      `${join(RECIPES, 'parallel.sh')} spread.json ${device} ${HOSTS.join(',')} results`,
      // Words of the hosts' own: the last one means another folder on each.
      {BENCH: place('bin', 'bench'), BENCH_DIR: root, BENCH_RUNS: '$HOST_RUNS'},
    );
    expect([status, stderr]).toEqual([1, expect.stringContaining('missing: 2 cells have no whole attempt')]);
    const heads = HOSTS.flatMap((host) =>
      readdirSync(place('runs', host, planId, 'attempts'), {recursive: true})
        .map(String)
        .filter((name) => name.endsWith('.jsonl'))
        .map((name) => {
          const [head = ''] = readFileSync(place(`bench-${planId}`, 'attempts', name), 'utf8').split('\n');
          const {engine, engineNode} = AttemptHeadSchema.parse(JSON.parse(head));
          return {host, engine, engineNode};
        }),
    );
    expect(heads).toEqual(HOSTS.map((host) => ({host, engine: 'parallel', engineNode: host})));
  }, 240_000);
});

test('recipes are made for this version', () => {
  const text = readFileSync(join(RECIPES, 'kubernetes-job.yaml'), 'utf8');
  expect(/image: \S+:(\S+)/.exec(text)?.[1]).toBe(HARNESS_VERSION);
});
