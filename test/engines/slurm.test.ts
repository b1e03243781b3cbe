import {spawnSync} from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {execa} from 'execa';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi} from 'vitest';
import {HARNESS_VERSION} from '../../harness/cli/package-root.ts';
import type {ResultRow} from '../../harness/contract/columns.ts';
import {callProgram} from '../../harness/engines/call.ts';
import type {PlanProgress} from '../../harness/engines/progress.ts';
import {Slurm} from '../../harness/engines/slurm.ts';
import {jobName} from '../../harness/engines/slurm-state.ts';
import {ranges} from '../../harness/engines/tasks.ts';
import {readResultsCsv} from '../../harness/store/results-csv.ts';
import {BENCH, type CliResult} from '../support/bench-cli.ts';
import {find, isRequired} from '../support/needs.ts';
import {until, type VirtualNode, VirtualSlurm, whyNoCluster} from '../support/virtual-slurm.ts';

/**
 * Eight cells: four for two "t4", two for one "a100", two for one "ryzen". All are this machine under other names. The
 * limits are far away: a cell that is put to sleep is to end well when it is woken.
 */
const MATRIX = `matrix: spread
models: [{name: m, source: "synthetic:bench-tiny"}]
formats: [gguf-f16, gguf-q4_k_m]
runners: [simulated]
devices: [virtual-t4, virtual-a100, ryzen-7-5800hs]
workloads:
  - {name: a, prompt_tokens: 16, generated_tokens: 4}
  - {name: b, prompt_tokens: 32, generated_tokens: 4}
exclude:
  - {device: virtual-a100, workload: b}
  - {device: ryzen-7-5800hs, workload: b}
settings: {threads: 1, simulate: {jitter_ratio: 0.1, scale_by_bits: 1}}
rounds: 2
requests: {min: 32, max: 32, warmup_min: 1, warmup_max: 1}
limits: {load_seconds: 3600, idle_seconds: 3600}
canary: false
`;
const DEVICES = ['virtual-t4', 'virtual-a100', 'ryzen-7-5800hs'];
const CELLS = 8;

/** Measured on this machine, or naming the moment: everything else must be equal to the byte. */
const VOLATILE: readonly (keyof ResultRow)[] = [
  'run_id',
  'started_at',
  'ended_at',
  'git_commit',
  'memory_bandwidth_bytes_per_s',
  'ram_peak_bytes',
  'ram_rss_peak_bytes',
  'ram_anonymous_peak_bytes',
  'ram_file_peak_bytes',
  'ram_load_peak_bytes',
  'cpu_steal_ratio',
  'sm_clock_hz_median',
  'throttled_ratio',
  'temperature_c_max',
  'energy_j',
  'power_w_mean',
  'energy_j_per_token',
  'energy_source',
];
/** Caveats that the load of the test machine decides. */
const WEATHER =
  /^(not-quiet|foreign-cpu|cpu-steal|sampler-gaps|sampler-lost|swapped|clocks-spread|short-for-energy|hot|throttled)\b/;

/** The reader of `bench status` looks this often. */
const LOOK_EVERY_MS = 8_000;
const PART_MS = 900_000;

const missing = find('slurm') === null ? 'no slurmctld' : whyNoCluster();
if (missing !== null) {
  if (isRequired('slurm')) throw new Error(`slurm is required here: ${missing}`);
  process.stderr.write(`skipping the Slurm integration test: ${missing}\n`);
}
const faketime = spawnSync('faketime', ['--version']).error === undefined;
if (!faketime) process.stderr.write('the node with a wrong clock has a right one: install the package faketime\n');
const tiny = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', tmpdir()]).status === 0;
if (!tiny) process.stderr.write('no host has a full disk: user namespaces are not allowed here\n');

// One story in five parts, which go on from one another: a second try of a part would begin where the first has ended.
describe.skipIf(missing !== null)('a matrix on a Slurm cluster where everything goes wrong', {retry: 0}, () => {
  const root = mkdtempSync(join(tmpdir(), 'bench-slurm-'));
  const place = (...parts: string[]) => join(root, ...parts);
  let slurm: VirtualSlurm | null = null;
  let broken = false;
  const cluster = (): VirtualSlurm => {
    if (slurm === null) throw new Error('no cluster');
    return slurm;
  };

  const bench = async (...args: string[]): Promise<CliResult> => {
    const [file = '', ...rest] = [...cluster().prefix, ...BENCH, ...args];
    const env = {...cluster().env, BENCH_CACHE: place('cache', 'login'), NO_COLOR: '1'};
    const {exitCode, stdout, stderr} = await execa(file, rest, {cwd: root, env, reject: false, stdin: 'ignore'});
    return {status: exitCode ?? -1, stdout, stderr};
  };
  const submit = async (engines = 'engines.yaml') =>
    await bench('matrix', 'm.yaml', '--engine', 'slurm', '--engines', engines, '--out', 'results');
  const merge = async (out: string) => await bench('merge', planFolder(), '--out', out, '--build', BUILD);
  /** The same plan in one process per device: what the cluster is held against. */
  const alone = async (): Promise<number[]> => {
    const ends: number[] = [];
    for (const device of DEVICES) {
      ends.push((await bench('matrix', 'm.yaml', '--device', device, '--out', 'single')).status);
    }
    return ends;
  };

  const planFolder = () => place('results', 'plans', readdirSync(place('results', 'plans'))[0] ?? '');
  const plan = (): {cells: {cell: {id: string; device: string}}[]} =>
    JSON.parse(readFileSync(join(planFolder(), 'plan.json'), 'utf8'));
  const cellOf = (device: string, task: number) =>
    plan().cells.filter(({cell}) => cell.device === device)[task]?.cell.id ?? '';
  const files = (cellId: string, ending: string) => {
    const folder = join(planFolder(), 'attempts', cellId);
    return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(ending)) : [];
  };
  const sealed = (device: string, task: number) => files(cellOf(device, task), '.jsonl');
  const finished = () => plan().cells.filter(({cell}) => files(cell.id, '.jsonl').length > 0).length;

  /** Does what `bench status` says, as its reader would. */
  const recover = async (resubmits: boolean) => {
    const {stdout: text} = await bench('status', planFolder());
    for (const [, command = ''] of text.matchAll(/`(scontrol [^`]+)`/g)) {
      await cluster().text('scontrol', command.split(' ').slice(1));
    }
    if (resubmits && text.includes('give the same `bench matrix')) await submit();
  };
  const withReader = (holds: () => boolean | Promise<boolean>, {resubmits = true} = {}) => {
    let next = Date.now() + LOOK_EVERY_MS;
    return async () => {
      if (await holds()) return true;
      if (Date.now() < next) return false;
      await recover(resubmits);
      next = Date.now() + LOOK_EVERY_MS;
      return false;
    };
  };
  /** With its header: an answer that did not come is no empty queue. */
  const nothingQueued = async () => (await cluster().text('squeue', ['-o', '%i'])) === 'JOBID';

  const logs = () =>
    readdirSync(join(planFolder(), 'logs'))
      .map((name) => readFileSync(join(planFolder(), 'logs', name), 'utf8'))
      .join('\n');

  /** What is to befall one task, or the next task of one node; once. */
  const fate = (name: string) => writeFileSync(place('fate', name), '');
  const met = (name: string) => readdirSync(place('met')).find((one) => one.startsWith(`${name}@`));
  const nodeOf = (name: string): VirtualNode => (met(name) ?? '').split('@')[1] as VirtualNode; // the script wrote it
  const jobOf = (device: string): string => {
    const {jobs}: {jobs: {id: string; device: string}[]} = JSON.parse(
      readFileSync(join(planFolder(), 'jobs.json'), 'utf8'),
    );
    return jobs.findLast((job) => job.device === device)?.id ?? '';
  };

  beforeAll(async () => {
    for (const name of ['fate', 'met', 'cache', 'scratch']) mkdirSync(place(name));
    writeFileSync(place('m.yaml'), MATRIX);
    writeFileSync(place('node.sh'), nodeScript(root));
    chmodSync(place('node.sh'), 0o755);
    const engines = ({t4 = 'gpu:t4:1', a100 = ''}) => `slurm:
  command: [${place('node.sh')}]
  devices:
    virtual-t4: {gres: "${t4}"}
    virtual-a100: {gres: "gpu:a100:1", arguments: [${a100}]}
    ryzen-7-5800hs: {constraint: ryzen}
  merge: {constraint: ryzen}
`;
    // Slurm's shortest walltime is a minute.
    writeFileSync(place('short.yaml'), engines({a100: '--time=1'}));
    writeFileSync(place('engines.yaml'), engines({}));
    writeFileSync(place('impossible.yaml'), engines({t4: 'gpu:h100:1'}));
    slurm = await VirtualSlurm.make(place('slurm'));
    await slurm.up();
  });

  beforeEach(() => {
    if (broken) throw new Error('an earlier part of this story failed');
  });

  afterEach(async ({task}) => {
    if (task.result?.state !== 'fail' || broken) return;
    broken = true;
    const logs = existsSync(place('results', 'plans')) ? readdirSync(join(planFolder(), 'logs')) : [];
    const tails = logs.map(
      (name) => `== ${name}\n${readFileSync(join(planFolder(), 'logs', name), 'utf8').slice(-600)}`,
    );
    const queue = await cluster().text('squeue', ['-h', '-r', '-t', 'all', '-o', '%i|%j|%T|%r|%N']);
    const nodes = await cluster().text('sinfo', ['-h', '-N', '-o', '%N|%T|%E']);
    process.stderr.write(`${[queue, nodes, ...tails, cluster().log()].join('\n')}\n`);
  });

  afterAll(async () => {
    await slurm?.down();
    rmSync(root, {recursive: true, force: true, maxRetries: 5});
  });

  test('a device that the cluster lacks is refused before anything is submitted', async () => {
    const {status, stderr} = await submit('impossible.yaml');
    expect(stderr).toMatch(/Slurm cannot run 4 tasks for virtual-t4: .*; nothing was submitted/);
    expect(status).toBe(2);
    expect(await cluster().text('squeue', ['-t', 'all', '-o', '%i'])).toBe('JOBID');
  });

  test('of a long array every place that is queued is known, and what has ended is told as well', async () => {
    vi.stubEnv('SLURM_CONF', cluster().env['SLURM_CONF'] ?? '');
    try {
      const slurm = new Slurm(callProgram);
      // No ranges: as what is missing of an array may be.
      const numbers = Array.from({length: 200}, (_, index) => 2 * index + (index % 3 === 0 ? 1 : 0));
      const id = await slurm.submit({
        arguments: ['--hold', `--array=${ranges(numbers)}`, `--job-name=${jobName('long')}-t4`, '--output=/dev/null'],
        script: '#!/bin/bash\n',
      });
      expect((await slurm.tasks('long', [id])).flatMap(({places}) => places)).toEqual(numbers);
      await slurm.cancel([id]);
      expect(new Set((await slurm.tasks('long', [id])).map(({state}) => state))).toEqual(new Set(['CANCELLED']));
    } finally {
      vi.unstubAllEnvs();
    }
  });

  test(
    'hosts die, agents die, labels lie, disks are full, jobs are cancelled or run too long',
    async () => {
      fate('hold-virtual-t4-0.1');
      fate('hold-virtual-t4-1.1');
      fate('hold-virtual-t4-1.2');
      if (tiny) fate('full-virtual-t4-2');
      fate('lie-a100-1');
      fate('hold-virtual-a100-1.1');
      fate('hold-ryzen-7-5800hs-0.1');
      const {status, stdout, stderr} = await submit('short.yaml');
      expect(stderr).toContain('virtual-t4');
      expect(stdout).toMatch(/job \d+: 4 tasks for virtual-t4\n/);
      expect(status).toBe(0);

      await until(
        'two t4 cells under way',
        () => met('hold-virtual-t4-0.1') !== undefined && met('hold-virtual-t4-1.1') !== undefined,
      );
      const dead = nodeOf('hold-virtual-t4-0.1');
      const deaf = nodeOf('hold-virtual-t4-1.1');
      await cluster().killHost(dead);
      await cluster().killAgent(deaf);
      await until('a cell to cancel', () => met('hold-ryzen-7-5800hs-0.1') !== undefined);
      await cluster().text('scancel', [`${jobOf('ryzen-7-5800hs')}_0`]);
      await until('both nodes to be missed', async () =>
        [await cluster().nodeState(dead), await cluster().nodeState(deaf)].every((state) => state.startsWith('down')),
      );
      await cluster().startAgent(dead);
      await until('a second live attempt of one cell', () => met('hold-virtual-t4-1.2') !== undefined);
      expect(sealed('virtual-t4', 1)).toEqual([]);
      fate('release-virtual-t4-1');
      await until('both attempts to end', () => sealed('virtual-t4', 1).length === 2);
      await cluster().startAgent(deaf);
      // The walltime takes its minute.
      const ends = alone();
      await until('the end of all jobs', withReader(nothingQueued, {resubmits: false}));
      expect(await ends).toEqual([0, 0, 0]);

      if (tiny) {
        expect(met('full-virtual-t4-2')).toBeDefined();
        // Its first try was no result, and the second one is that of the job that asked to be started again.
        expect(sealed('virtual-t4', 2).map((name) => /-r0-/.test(name))).toEqual([false]);
        expect(logs()).toMatch(/try again: DISK_FULL/);
      }
      expect(new Set(sealed('virtual-t4', 1).map((name) => /-r(\d+)-/.exec(name)?.[1])).size).toBe(2);
      // What died left evidence, and no result.
      for (const [device, task] of [
        ['virtual-t4', 0],
        ['virtual-a100', 1],
        ['ryzen-7-5800hs', 0],
      ] as const) {
        const first = (ending: string) => files(cellOf(device, task), ending).filter((name) => name.includes('-r0-'));
        expect([device, first('.partial').length, first('.jsonl').length]).toEqual([device, 1, 0]);
      }
      const {devices, troubles}: PlanProgress = JSON.parse((await bench('status', planFolder(), '--json')).stdout);
      expect(devices.map(({device, finished: done, cells}) => `${device} ${done}/${cells}`)).toEqual([
        'virtual-t4 4/4',
        'virtual-a100 0/2',
        'ryzen-7-5800hs 1/2',
      ]);
      expect(troubles.join('\n')).toMatch(/found another device on a100-1 than its label says/);
      expect(troubles.join('\n')).toMatch(/ran into its walltime: raise walltime.factor/);
      expect(troubles.join('\n')).toMatch(/was cancelled/);
    },
    PART_MS,
  );

  test(
    'the same command submits what is missing, and a controller that dies loses nothing',
    async () => {
      fate('hold-ryzen-7-5800hs-0.2');
      const {stdout} = await submit();
      expect(stdout).toMatch(/job \d+: 2 tasks for virtual-a100\njob \d+: 1 tasks for ryzen-7-5800hs\n/);
      await until('a cell under way', () => met('hold-ryzen-7-5800hs-0.2') !== undefined);
      await cluster().killController();
      await cluster().startController();
      fate('release-ryzen-7-5800hs-0');
      await until(
        'all cells',
        withReader(() => finished() === CELLS),
      );
      // What the controller began twice is not waited for.
      expect((await bench('cancel', planFolder())).status).toBe(0);
      await until('an empty queue', withReader(nothingQueued, {resubmits: false}));
      expect((await bench('cancel', planFolder())).stdout).toBe('nothing is queued or running');
    },
    PART_MS,
  );

  test(
    'a truncated attempt is named, refused and measured again',
    async () => {
      const [name = ''] = sealed('virtual-t4', 3);
      truncateSync(join(planFolder(), 'attempts', cellOf('virtual-t4', 3), name), 3000);
      const {status, stderr} = await merge('first');
      expect(stderr).toMatch(new RegExp(`not merged: 1 truncated .*\n  .*${name}`));
      expect(stderr).toContain(`missing: 1 cells have no whole attempt: ${cellOf('virtual-t4', 3)}`);
      expect(status).toBe(1);
      expect((await submit()).stdout).toMatch(/job \d+: 1 tasks for virtual-t4\n/);
      await until(
        'the cell again',
        withReader(() => sealed('virtual-t4', 3).length === 2),
      );
      await until('the merge at the end', withReader(nothingQueued));
    },
    PART_MS,
  );

  test(
    'the merged result is that of one process, to the byte',
    async () => {
      const {status, stderr} = await merge('merged');
      expect(stderr).toMatch(/not merged: \d+ partial/);
      expect(stderr).toMatch(/cells were measured more than once; the first attempt by id counts/);
      expect(stderr).toContain(`${CELLS} of ${CELLS} cells merged into 3 run folders`);
      expect(status).toBe(0);
      for (const device of DEVICES) {
        const own = async (out: string) =>
          (await readResultsCsv(join(runFolder(place(out), device), 'results.csv'))).filter(
            (row) => row.device === device,
          );
        expect((await own('merged')).map(scrubbed)).toEqual((await own('single')).map(scrubbed));
        expect(requestsOf(place('merged'), device)).toBe(requestsOf(place('single'), device));
      }
      const [row] = await readResultsCsv(join(runFolder(place('merged'), 'virtual-a100'), 'results.csv'));
      if (faketime) expect(Date.parse(row?.started_at ?? '') - Date.now()).toBeGreaterThan(3_600_000);
    },
    PART_MS,
  );

  test(
    'merging again, in another order, gives the same bytes',
    async () => {
      const attempts = join(planFolder(), 'attempts');
      const folders = readdirSync(attempts)
        .map((name) => join(attempts, name))
        .reverse();
      const args = ['--plan', join(planFolder(), 'plan.json'), '--out', 'again', '--build', BUILD];
      expect((await bench('merge', ...folders, ...args)).status).toBe(0);
      const {status, stdout} = spawnSync('diff', ['-r', 'merged', 'again'], {cwd: root, encoding: 'utf8'});
      expect([status, stdout]).toEqual([0, '']);
    },
    PART_MS,
  );
});

/** Others commit to this checkout while the test runs. */
const BUILD = `bench ${HARNESS_VERSION}`;

function scrubbed(row: ResultRow): Record<string, unknown> {
  const caveats = (row.caveats ?? '').split(' ').filter((one) => !WEATHER.test(one));
  return {...row, ...Object.fromEntries(VOLATILE.map((name) => [name, null])), caveats: caveats.join(' ')};
}

function runFolder(out: string, device: string): string {
  return join(out, readdirSync(out).find((name) => name.includes(`--${device}--`)) ?? '');
}

function requestsOf(out: string, device: string): string {
  const folder = runFolder(out, device);
  const id = folder.split('/').at(-1) ?? '';
  return readFileSync(join(folder, 'requests.csv'), 'utf8').replaceAll(id, 'RUN');
}

/** What a node is, and what befalls it: files in fate/ are taken once, by one task. */
function nodeScript(root: string): string {
  return `#!/bin/bash
R=${root}
N=$SLURMD_NODENAME
case $N in t4-*) device=virtual-t4;; a100-*) device=virtual-a100;; *) device=ryzen-7-5800hs;; esac
export BENCH_CACHE=$R/cache/$N
mkdir -p "$R/scratch/$N"
bench=(${BENCH.join(' ')})
if [ "$N" = a100-1 ] && ${faketime}; then
  # By the library, not by the program, which would be the one that is put to sleep.
  bench=(env FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME=+2h LD_PRELOAD="$(faketime -f +2h printenv LD_PRELOAD)" "\${bench[@]}")
fi
[ "$1" = cell ] || exec "\${bench[@]}" "$@" --build "${BUILD}"
take() { [ -e "$R/fate/$1" ] && mv "$R/fate/$1" "$R/met/.$1" 2>/dev/null; }
tell() { mv "$R/met/.$1" "$R/met/$1@$N"; }
key=$device-\${@: -1}
if take "lie-$N"; then tell "lie-$N"; device=virtual-t4; fi
set -- "$@" --device "$device"
if take "full-$key"; then
  tell "full-$key"
  exec unshare -rm bash -c 'mount -t tmpfs -o size=16k tmpfs "$0" && exec "$@"' "$R/scratch/$N" "\${bench[@]}" "$@" --scratch "$R/scratch/$N"
fi
"\${bench[@]}" "$@" &
pid=$!
for hold in "hold-$key.1" "hold-$key.2"; do
  take "$hold" || continue
  until compgen -G "$R/results/plans/*/attempts/*/slurm-\${SLURM_ARRAY_JOB_ID}_\${SLURM_ARRAY_TASK_ID}-r\${SLURM_RESTART_COUNT:-0}-*.partial/journal.jsonl" >/dev/null; do
    kill -0 $pid 2>/dev/null || break
    sleep 0.05
  done
  # Slurm wakes what it ends: a task that is to run too long is put to sleep again.
  trap '' TERM
  kill -STOP $pid
  tell "$hold"
  until [ -e "$R/fate/release-$key" ]; do
    sleep 0.1
    kill -STOP $pid 2>/dev/null || break
  done
  kill -CONT $pid 2>/dev/null
  break
done
wait $pid
`;
}
