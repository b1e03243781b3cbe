import {relative} from 'node:path';
import {stringify} from 'yaml';
import type {Cell} from '../contract/cell.ts';
import type {SkyPilotDevice, SkyPilotSite} from '../contract/engines.ts';
import {BenchError} from '../contract/errors.ts';
import type {Plan} from '../contract/plan.ts';
import {filesBeside} from '../plan/files-beside.ts';
import {firstIssue} from '../store/invalid.ts';
import {quoted} from './shell.ts';
import {type SkyPilotTask, SkyPilotTaskSchema} from './skypilot-task.ts';
import {taskDevices, tasksOf} from './tasks.ts';

const SETUP = `set -e
if [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -lt 20 ]; then
  curl -fsSL https://deb.nodesource.com/setup_22.x | sudo -E bash -
  sudo apt-get install -y nodejs
fi
npm ci
`;
const BENCH = 'node dist/harness/cli/bin.js';

export interface SkyPilotJob {
  readonly device: string;
  readonly cells: number;
  readonly task: SkyPilotTask;
  readonly yaml: string;
  /** What a person gives to have it run, in this order. */
  readonly commands: readonly string[];
}

export interface SkyPilotInput {
  readonly plan: Plan;
  /** Folder of the plan; absolute, on this machine. */
  readonly folder: string;
  /** The checkout of bench, which is sent to the hosts. */
  readonly workdir: string;
  readonly site: SkyPilotSite;
  /** What cells of one device need on a new host besides `npm ci`, as arguments of bench. */
  readonly installs: (cells: readonly Cell[]) => readonly string[];
}

/**
 * One task YAML per device class. Pure.
 *
 * @throws {BenchError} `ENGINES_INVALID` naming the devices without an entry: of CPUs with what to do instead.
 */
export function skyPilotJobs(input: SkyPilotInput): SkyPilotJob[] {
  const devices = taskDevices(input.plan);
  const missing = devices.filter((device) => input.site.devices[device] === undefined);
  if (missing.length > 0) throw new BenchError('ENGINES_INVALID', noEntry(missing, input));
  return devices.map((device) => {
    const entry = input.site.devices[device];
    if (entry === undefined) throw new BenchError('INTERNAL', `${device} has no entry`);
    const task = skyPilotTask(device, entry, input);
    const checked = SkyPilotTaskSchema.safeParse(task);
    if (!checked.success)
      throw new BenchError('ENGINES_INVALID', `engines.yaml: skypilot.devices.${device}: ${firstIssue(checked.error)}`);
    // Long lines stay whole: a folded shell line is another line.
    const yaml = stringify(task, {lineWidth: 0});
    const cells = tasksOf(input.plan, device, 'none').length;
    return {device, cells, task, yaml, commands: commandsOf(device, task, input)};
  });
}

function noEntry(devices: readonly string[], {plan, site}: SkyPilotInput): string {
  const known = Object.keys(site.devices);
  const text = `engines.yaml: skypilot.devices has no entry for ${devices.join(', ')}: add one, or choose cells with --only device=${known[0] ?? '…'}`;
  const isCpu = (device: string) => plan.cells.some(({cell}) => cell.device === device && cell.deviceKind === 'cpu');
  const cpus = devices.filter(isCpu);
  if (cpus.length === 0) return text;
  return `${text}. SkyPilot cannot be asked for a CPU model (${cpus.join(', ')}): give an instance_type that is known to have it, or infra: ssh/<pool> of hosts you own, or run these cells there with \`bench matrix\``;
}

function skyPilotTask(
  device: string,
  entry: SkyPilotDevice,
  {plan, folder, workdir, site, installs}: SkyPilotInput,
): SkyPilotTask {
  const {disk_gb, max_hourly_cost, use_spot, ...place} = entry;
  const cells = plan.cells.flatMap(({cell}) => (cell.device === device ? [cell] : []));
  const beside = matrixFolder(cells, plan.matrixDir, workdir);
  const tokens = cells.some(({source}) => source.startsWith('hf:'));
  const installed = installs(cells)
    .map((words) => `${BENCH} ${words}\n`)
    .join('');
  return {
    name: `bench-${plan.planId}-${device}`,
    workdir,
    num_nodes: 1,
    resources: {
      ...place,
      use_spot,
      disk_size: disk_gb,
      max_hourly_cost,
      autostop: {
        idle_minutes: site.idle_minutes,
        // Without a bucket the results are on the host's disk: it is stopped, and goes after they were fetched.
        down: site.bucket !== undefined,
        wait_for: 'jobs',
      },
      job_recovery: {max_restarts_on_errors: 1, recover_on_exit_codes: [75]},
      labels: {bench_plan: plan.planId},
    },
    file_mounts: {
      '~/bench-plan/plan.json': `${folder}/plan.json`,
      ...beside.mounts,
      ...(site.bucket === undefined ? {} : {'/bench-results': {source: site.bucket, mode: 'MOUNT'}}),
    },
    ...(tokens ? {secrets: {HF_TOKEN: null}} : {}),
    setup: site.setup ?? `${SETUP}${installed}`,
    run: runScript({
      cell: `${BENCH} cell --plan "$out/plan.json" --class ${quoted(device)}${beside.option}`,
      tasks: tasksOf(plan, device, 'none').length,
      planId: plan.planId,
      bucket: site.bucket !== undefined,
    }),
  };
}

/** Prompts and the like lie in the checkout that is sent along, or have to be sent, too. */
function matrixFolder(
  cells: readonly Cell[],
  matrixDir: string,
  workdir: string,
): {readonly mounts: Readonly<Record<string, string>>; readonly option: string} {
  if (cells.every((cell) => filesBeside(cell).length === 0)) return {mounts: {}, option: ''};
  const inside = relative(workdir, matrixDir);
  if (!inside.startsWith('..')) return {mounts: {}, option: ` --matrix-dir ${quoted(inside === '' ? '.' : inside)}`};
  return {mounts: {'~/bench-plan/matrix': matrixDir}, option: ' --matrix-dir ~/bench-plan/matrix'};
}

interface RunScript {
  /** The call of bench, but for the number of the task. */
  readonly cell: string;
  readonly tasks: number;
  readonly planId: string;
  readonly bucket: boolean;
}

/** Attempts are made on the host's own disk and copied whole: a mounted bucket knows no links. */
function runScript({cell, tasks, planId, bucket}: RunScript): string {
  const kept = `/bench-results/${planId}/attempts`;
  const copy = (from: string, to: string) =>
    `(cd ${from} 2>/dev/null && find . -name '*.jsonl' -not -path '*.partial/*' | while read -r file; do mkdir -p "${to}/$(dirname "$file")"; cp -n "$file" "${to}/$file"; done)`;
  return [
    'status=0',
    'out=~/bench-plan',
    'mkdir -p "$out/attempts"',
    ...(bucket
      ? [
          `mkdir -p ${kept}`,
          '# What an earlier try of this job has finished is not measured again.',
          `${copy(kept, '$out/attempts')}`,
        ]
      : []),
    `for task in $(seq 0 ${tasks - 1}); do`,
    `  ${cell} --task "$task"`,
    '  code=$?',
    ...(bucket ? [`  ${copy('$out/attempts', kept)}`] : []),
    '  if [ "$code" = 78 ]; then exit 78; fi',
    '  if [ "$code" != 0 ]; then status=$code; fi',
    'done',
    'exit "$status"',
    '',
  ].join('\n');
}

/** With the tool of the store itself; of other stores every site has its own. */
function fetched(from: string, to: string): string[] {
  if (from.startsWith('s3:')) return [`aws s3 sync ${quoted(from)} ${quoted(to)}`];
  if (from.startsWith('gs:')) return [`gcloud storage rsync --recursive ${quoted(from)} ${quoted(to)}`];
  return [];
}

function commandsOf(device: string, {name, secrets}: SkyPilotTask, {plan, folder, site}: SkyPilotInput): string[] {
  // Without a value of ours SkyPilot asks its secret store. An empty token is none, and does for open models; words of a
  // command line can be read by everybody on the machine.
  const names = Object.keys(secrets ?? {});
  const before = names.map((secret) => `${secret}="\${${secret}-}" `).join('');
  const yaml = [quoted(`${folder}/skypilot/${device}.yaml`), ...names.map((secret) => `--secret ${secret}`)].join(' ');
  if (site.bucket !== undefined) {
    const launch = `${before}sky jobs launch -y -n ${name} ${yaml}`;
    return [launch, ...fetched(`${site.bucket}/${plan.planId}/attempts`, `${folder}/attempts`)];
  }
  const cluster = `bench-${device.replaceAll('.', '-')}-${plan.planId.slice(0, 6)}`;
  return [
    `${before}sky launch -y -c ${cluster} ${yaml}`,
    `rsync -a ${cluster}:bench-plan/attempts ${quoted(`${folder}/`)}`,
    `sky down -y ${cluster}`,
  ];
}
