import {join} from 'node:path';
import type {SlurmSite} from '../contract/engines.ts';
import {BenchError} from '../contract/errors.ts';
import type {Plan} from '../contract/plan.ts';
import {commandLine, quoted} from './shell.ts';
import {jobName} from './slurm-state.ts';
import {ranges, type Task, taskDevices, tasksOf} from './tasks.ts';

/** One call of sbatch: its arguments, and the script on its standard input. */
export interface SlurmJob {
  readonly device: string;
  /** Numbers of the tasks among those of the device. */
  readonly tasks: readonly number[];
  /** What is taken from a task's number to get its place in the array. */
  readonly offset: number;
  readonly arguments: readonly string[];
  readonly script: string;
}

export interface SlurmInput {
  readonly plan: Plan;
  /** Folder of the plan; absolute, and the same on every node. */
  readonly folder: string;
  readonly site: SlurmSite;
  /** How to call bench. */
  readonly command: readonly string[];
  /** Cells that need not run. */
  readonly finished: ReadonlySet<string>;
  /** Tasks that are queued or running already, as `device task`. */
  readonly live?: ReadonlySet<string>;
}

/**
 * One job array per device, or several where Slurm's MaxArraySize asks for it. Pure: the same plan gives the same text.
 *
 * @throws {BenchError} `ENGINES_INVALID` naming the devices with cells to run that have no entry.
 */
export function slurmJobs(input: SlurmInput): SlurmJob[] {
  const {plan, site, finished, live = new Set()} = input;
  const devices = taskDevices(plan).flatMap((device) => {
    const tasks = tasksOf(plan, device, site.group);
    const due = tasks.flatMap((task, number) => {
      const open = task.indices.some((index) => !finished.has(plan.cells[index]?.cell.id ?? ''));
      return open && !live.has(`${device} ${number}`) ? [number] : [];
    });
    return due.length === 0 ? [] : [{device, tasks, due}];
  });
  const missing = devices.filter(({device}) => site.devices[device] === undefined).map(({device}) => device);
  if (missing.length > 0) {
    const known = Object.keys(site.devices);
    throw new BenchError(
      'ENGINES_INVALID',
      `engines.yaml: slurm.devices has no entry for ${missing.join(', ')} (it has ${known.join(', ') || 'none'}): add what your site calls it, or choose cells with --only device=${known[0] ?? '…'}`,
    );
  }
  return devices.flatMap(({device, tasks, due}) =>
    chunks(due, site.max_array_size).map(({offset, numbers}) => job(device, numbers, offset, tasks, input)),
  );
}

/** Array indices must stay below MaxArraySize: task numbers are counted from the start of their thousand. */
function chunks(numbers: readonly number[], size: number): {offset: number; numbers: number[]}[] {
  const all = new Map<number, number[]>();
  for (const number of numbers) {
    const offset = Math.floor(number / size) * size;
    all.set(offset, [...(all.get(offset) ?? []), number]);
  }
  return [...all].map(([offset, part]) => ({offset, numbers: part}));
}

function job(
  device: string,
  numbers: readonly number[],
  offset: number,
  tasks: readonly Task[],
  input: SlurmInput,
): SlurmJob {
  const {plan, folder, site} = input;
  const entry = site.devices[device];
  if (entry === undefined) throw new BenchError('INTERNAL', `${device} has no entry`);
  const seconds = Math.max(0, ...numbers.map((number) => tasks[number]?.seconds ?? 0));
  const parallel = site.max_parallel === undefined ? '' : `%${site.max_parallel}`;
  const partition = entry.partition ?? site.partition;
  return {
    device,
    tasks: numbers,
    offset,
    arguments: [
      `--job-name=${jobName(plan.planId)}-${device}`,
      `--comment=bench:${plan.planId}`,
      `--array=${ranges(numbers.map((number) => number - offset))}${parallel}`,
      '--requeue',
      '--exclusive',
      // An exclusive job has all cores of its node, but only the default memory of the site, unless it asks for all of it.
      '--mem=0',
      '--nodes=1',
      '--ntasks=1',
      '--open-mode=append',
      `--output=${logPath(folder, 'slurm-%A_%a.log')}`,
      `--time=${walltimeMinutes(seconds, site)}`,
      ...(partition === undefined ? [] : [`--partition=${partition}`]),
      ...(site.account === undefined ? [] : [`--account=${site.account}`]),
      ...(site.qos === undefined ? [] : [`--qos=${site.qos}`]),
      ...(entry.gres === undefined ? [] : [`--gres=${entry.gres}`]),
      ...(entry.constraint === undefined ? [] : [`--constraint=${entry.constraint}`]),
      ...site.arguments,
      ...entry.arguments,
    ],
    script: cellScript(device, offset, input),
  };
}

/** `%` begins a word of Slurm's own; only that of the file is one. */
const logPath = (folder: string, file: string): string => join(folder.replaceAll('%', '%%'), 'logs', file);

/** The estimate is an upper bound of measuring, without making the weights; Slurm knows whole minutes only. */
export function walltimeMinutes(seconds: number, {walltime}: Pick<SlurmSite, 'walltime'>): number {
  return Math.max(walltime.least_minutes, Math.ceil((seconds * walltime.factor) / 60));
}

function cellScript(device: string, offset: number, {plan, folder, site, command}: SlurmInput): string {
  const words = [
    ...command,
    'cell',
    '--plan',
    join(folder, 'plan.json'),
    '--class',
    device,
    ...(site.group === 'none' ? [] : ['--group', site.group]),
    ...(site.scratch === undefined ? [] : ['--scratch', site.scratch]),
    '--task',
  ];
  return [
    '#!/bin/bash',
    `# bench plan ${plan.planId}, device ${device}: written by bench matrix --engine slurm`,
    ...setupLines(site),
    '# bench ends its worker before it ends itself: the script stays until then, whatever Slurm tells it.',
    `${commandLine(words)} "$((SLURM_ARRAY_TASK_ID + ${offset}))" &`,
    'bench=$!',
    `trap 'kill -TERM "$bench" 2>/dev/null' TERM`,
    'wait "$bench"',
    'status=$?',
    'while kill -0 "$bench" 2>/dev/null; do',
    '  wait "$bench"',
    '  status=$?',
    'done',
    '# 75: try again. Whatever else it was, another try would end the same.',
    `if [ "$status" = 75 ] && [ "\${SLURM_RESTART_COUNT:-0}" -lt ${site.tries - 1} ]; then`,
    '  # By its place: the id of the last element is that of the whole array.',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
    '  scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"',
    'fi',
    'exit "$status"',
    '',
  ].join('\n');
}

const setupLines = ({setup}: SlurmSite): string[] => (setup.trim() === '' ? [] : [setup.trimEnd()]);

export interface MergeJobInput {
  readonly plan: Plan;
  readonly folder: string;
  /** Where the run folders go; absolute. */
  readonly out: string;
  readonly site: SlurmSite;
  readonly command: readonly string[];
  /** Job ids that must have ended, however they did; none yet when Slurm is only asked whether it could run this. */
  readonly after: readonly string[];
}

/** Joins what there is once everything has ended; holds no device meanwhile. */
export function slurmMergeJob({
  plan,
  folder,
  out,
  site,
  command,
  after,
}: MergeJobInput): Omit<SlurmJob, 'device' | 'tasks' | 'offset'> {
  const partition = site.merge.partition ?? site.partition;
  return {
    arguments: [
      `--job-name=${jobName(plan.planId)}-merge`,
      `--comment=bench:${plan.planId}`,
      ...(after.length === 0 ? [] : [`--dependency=afterany:${after.join(':')}`]),
      '--nodes=1',
      '--ntasks=1',
      '--open-mode=append',
      `--output=${logPath(folder, 'merge-%j.log')}`,
      '--time=60',
      ...(partition === undefined ? [] : [`--partition=${partition}`]),
      ...(site.account === undefined ? [] : [`--account=${site.account}`]),
      ...(site.qos === undefined ? [] : [`--qos=${site.qos}`]),
      ...(site.merge.constraint === undefined ? [] : [`--constraint=${site.merge.constraint}`]),
      ...site.merge.arguments,
    ],
    script: [
      '#!/bin/bash',
      `# bench plan ${plan.planId}: merge, written by bench matrix --engine slurm`,
      ...setupLines(site),
      `exec ${commandLine([...command, 'merge', folder, '--out'])} ${quoted(out)}`,
      '',
    ].join('\n'),
  };
}
