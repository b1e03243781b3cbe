import {stringify} from 'yaml';
import type {SkyPilotDevice, SkyPilotSite} from '../contract/engines.ts';
import {BenchError} from '../contract/errors.ts';
import type {Plan} from '../contract/plan.ts';
import {firstIssue} from '../store/invalid.ts';
import {quoted} from './shell.ts';
import {type SkyPilotTask, SkyPilotTaskSchema} from './skypilot-task.ts';
import {taskDevices, tasksOf} from './tasks.ts';

const SETUP = `command -v node >/dev/null || { curl -fsSL https://deb.nodesource.com/setup_22.x | sudo -E bash - && sudo apt-get install -y nodejs; }
npm ci
`;

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
}

/**
 * One task YAML per device class. Pure.
 *
 * @throws {BenchError} `ENGINES_INVALID` for a device without an entry: for a CPU with what to do instead.
 */
export function skyPilotJobs(input: SkyPilotInput): SkyPilotJob[] {
  return taskDevices(input.plan).map((device) => {
    const entry = input.site.devices[device];
    if (entry === undefined) throw new BenchError('ENGINES_INVALID', noEntry(device, input));
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

function noEntry(device: string, {plan}: SkyPilotInput): string {
  const kind = plan.cells.find(({cell}) => cell.device === device)?.cell.deviceKind;
  const text = `engines.yaml: skypilot.devices has no entry for ${device}`;
  if (kind !== 'cpu') return text;
  return `${text}. SkyPilot cannot be asked for a CPU model: give an instance_type that is known to have it, or infra: ssh/<pool> of hosts you own, or leave these cells out with --only device=… and run them there with \`bench matrix\``;
}

function skyPilotTask(
  device: string,
  entry: SkyPilotDevice,
  {plan, folder, workdir, site}: SkyPilotInput,
): SkyPilotTask {
  const {disk_gb, max_hourly_cost, use_spot, ...place} = entry;
  const tokens = plan.cells.some(({cell}) => cell.device === device && cell.source.startsWith('hf:'));
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
      ...(site.bucket === undefined ? {} : {'/bench-results': {source: site.bucket, mode: 'MOUNT'}}),
    },
    ...(tokens ? {secrets: {HF_TOKEN: null}} : {}),
    setup: site.setup ?? SETUP,
    run: runScript(device, tasksOf(plan, device, 'none').length, plan.planId, site.bucket !== undefined),
  };
}

/** Attempts are made on the host's own disk and copied whole: a mounted bucket knows no links. */
function runScript(device: string, tasks: number, planId: string, bucket: boolean): string {
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
    `  node dist/harness/cli/bin.js cell --plan "$out/plan.json" --class ${quoted(device)} --task "$task"`,
    '  code=$?',
    ...(bucket ? [`  ${copy('$out/attempts', kept)}`] : []),
    '  if [ "$code" = 78 ]; then exit 78; fi',
    '  if [ "$code" != 0 ]; then status=$code; fi',
    'done',
    'exit "$status"',
    '',
  ].join('\n');
}

function commandsOf(device: string, {name, secrets}: SkyPilotTask, {plan, folder, site}: SkyPilotInput): string[] {
  // Without a value of ours SkyPilot asks its secret store. An empty token is none, and does for open models; words of a
  // command line can be read by everybody on the machine.
  const names = Object.keys(secrets ?? {});
  const before = names.map((secret) => `${secret}="\${${secret}-}" `).join('');
  const yaml = [quoted(`${folder}/skypilot/${device}.yaml`), ...names.map((secret) => `--secret ${secret}`)].join(' ');
  if (site.bucket !== undefined) return [`${before}sky jobs launch -y -n ${name} ${yaml}`];
  const cluster = `bench-${device.replaceAll('.', '-')}-${plan.planId.slice(0, 6)}`;
  return [
    `${before}sky launch -y -c ${cluster} ${yaml}`,
    `rsync -a ${cluster}:bench-plan/attempts ${quoted(`${folder}/`)}`,
    `sky down -y ${cluster}`,
  ];
}
