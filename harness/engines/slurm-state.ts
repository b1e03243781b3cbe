import {z} from 'zod';

/** One task as Slurm reports it, whatever its version. */
export interface SlurmTask {
  readonly jobId: string;
  /** The array's id, or the job's own. */
  readonly arrayId: string;
  /** Places in the array: several for a part of it that is still pending as one. Empty: not an array. */
  readonly places: readonly number[];
  /** `RUNNING`, `PENDING`, `COMPLETED`, `FAILED`, `TIMEOUT`, `NODE_FAIL`, `CANCELLED`, … */
  readonly state: string;
  readonly reason: string;
  /** null: has none, or was killed. */
  readonly exitStatus: number | null;
  readonly nodes: string;
  readonly restarts: number;
}

/** A plain number up to 22.05, `{set, infinite, number}` from 23.02. */
const number = z
  .union([z.number(), z.object({set: z.boolean().optional(), number: z.number()}), z.null()])
  .optional()
  .transform((value) =>
    value === undefined || value === null
      ? null
      : typeof value === 'number'
        ? value
        : value.set === false
          ? null
          : value.number,
  );

/** A raw wait status up to 23.02 (768 = exit 3), a structure from 23.11. */
const exitCode = z
  .union([z.number(), z.object({return_code: number, signal: z.unknown().optional()}), z.null()])
  .optional()
  .transform((value) => {
    if (value === undefined || value === null) return null;
    if (typeof value !== 'number') return value.return_code;
    return (value & 0x7f) === 0 ? value >> 8 : null;
  });

const JobSchema = z.object({
  job_id: z.number(),
  name: z.string(),
  array_job_id: number,
  array_task_id: number,
  array_task_string: z.string().nullable().optional(),
  /** One word, or a list of flags whose first is the state. */
  job_state: z.union([z.string(), z.array(z.string()).min(1)]),
  state_reason: z.string().nullable().optional(),
  exit_code: exitCode,
  nodes: z.string().nullable().optional(),
  restart_cnt: number,
});
const QueueSchema = z.object({jobs: z.array(z.unknown())});

/** How the names of a plan's jobs begin. */
export const jobName = (planId: string): string => `bench-${planId}`;

/**
 * Tasks in the answer of `squeue --json`, of Slurm 22.05 to 24.11. Only those of the job ids given: from 24.05 on squeue
 * may ignore its own filters with --json. Ids alone do not do: a controller that dies before it has saved a job gives its
 * id to somebody else's.
 *
 * @returns null when the text is not such an answer.
 */
export function parseSqueue(text: string, planId: string, ids: ReadonlySet<string>): SlurmTask[] | null {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return null;
  }
  const queue = QueueSchema.safeParse(data);
  if (!queue.success) return null;
  return queue.data.jobs.flatMap((raw) => {
    const parsed = JobSchema.safeParse(raw);
    if (!parsed.success) return [];
    const job = parsed.data;
    const arrayId = String(job.array_job_id === null || job.array_job_id === 0 ? job.job_id : job.array_job_id);
    if (!job.name.startsWith(`${jobName(planId)}-`)) return [];
    if (!ids.has(arrayId) && !ids.has(String(job.job_id))) return [];
    const many = job.array_task_string ?? '';
    return [
      {
        jobId: String(job.job_id),
        arrayId,
        places: many === '' ? (job.array_task_id === null ? [] : [job.array_task_id]) : parseRanges(many),
        state: (Array.isArray(job.job_state) ? (job.job_state[0] ?? '') : job.job_state).toUpperCase(),
        reason: job.state_reason ?? '',
        exitStatus: job.exit_code,
        nodes: job.nodes ?? '',
        restarts: job.restart_cnt ?? 0,
      },
    ];
  });
}

const SHORTENED = /\.\.\.$/;

/** `0-3,7%2`: what is pending of an array. Slurm shortens long lists with `...`; what it left out is not known. */
export function parseRanges(text: string): number[] {
  return text
    .replace(/%\d+$/, '')
    .replace(SHORTENED, '')
    .split(',')
    .flatMap((part) => {
      const found = /^(\d+)(?:-(\d+)(?::(\d+))?)?$/.exec(part.trim());
      if (found === null) return [];
      const from = Number(found[1]);
      const to = found[2] === undefined ? from : Number(found[2]);
      const step = found[3] === undefined ? 1 : Number(found[3]);
      if (to - from > 10_000_000 || step < 1) return [];
      return Array.from({length: Math.floor((to - from) / step) + 1}, (_, index) => from + index * step);
    });
}

const LIVE: ReadonlySet<string> = new Set([
  'PENDING',
  'RUNNING',
  'CONFIGURING',
  'COMPLETING',
  'SUSPENDED',
  'REQUEUED',
  'REQUEUE_HOLD',
  'REQUEUE_FED',
  'RESIZING',
  'STOPPED',
]);
export const isLive = ({state}: SlurmTask): boolean => LIVE.has(state);

/** A node that takes no jobs, with Slurm's reason. */
export interface SickNode {
  readonly node: string;
  readonly state: string;
  readonly reason: string;
}

/** Lines of `sinfo -h -N -o '%N|%T|%E'`: nodes that are drained, down or failing, each once. */
export function parseSickNodes(text: string): SickNode[] {
  const nodes = new Map<string, SickNode>();
  for (const line of text.split('\n')) {
    const [node = '', state = '', ...reason] = line.split('|');
    if (!/drain|down|fail|inval|not_responding|\*$/i.test(state)) continue;
    nodes.set(node, {node, state, reason: reason.join('|').trim()});
  }
  return [...nodes.values()];
}

/** Reasons that do not pass by themselves: limits below what the job asks for, names that the site does not know. */
const CANNOT_START = /BadConstraints|InvalidAccount|InvalidQOS|PartitionTimeLimit|PartitionNodeLimit|Max\w*PerJob/i;

/** What is wrong with a task and what to do, in one line; null when nothing is. */
export function troubleOf(task: SlurmTask): string | null {
  const id = task.places.length === 1 ? `${task.arrayId}_${task.places[0]}` : task.jobId;
  const log = `logs/slurm-${id}.log`;
  const held = /held/i.test(task.reason) || task.state === 'REQUEUE_HOLD';
  if (isLive(task)) {
    if (held) return `job ${id} is held (${task.reason}): release it with \`scontrol release ${id}\``;
    if (/DependencyNeverSatisfied/i.test(task.reason))
      return `job ${id} waits for what can never happen: \`scancel ${id}\``;
    if (CANNOT_START.test(task.reason))
      return `job ${id} cannot start (${task.reason}): \`scancel ${id}\`, mend engines.yaml or ask for another limit, then give the same \`bench matrix … --engine slurm\` again`;
    if (/PartitionDown|PartitionInactive/i.test(task.reason))
      return `job ${id} waits for its partition, which takes no jobs (${task.reason}): an administrator opens it`;
    return null;
  }
  const again = 'give the same `bench matrix … --engine slurm` again: it submits what is missing';
  if (task.state === 'TIMEOUT')
    return `job ${id} ran into its walltime: raise walltime.factor in engines.yaml, then ${again}`;
  if (task.state === 'OUT_OF_MEMORY')
    return `job ${id} was given too little memory: add --mem to its arguments in engines.yaml, then ${again}`;
  if (task.state === 'CANCELLED') return `job ${id} was cancelled; to have its cells, ${again}`;
  if (task.state === 'NODE_FAIL' || task.state === 'BOOT_FAIL')
    return `job ${id} lost its node ${task.nodes}; ${again}`;
  if (task.state !== 'FAILED') return null;
  if (task.exitStatus === 78)
    return `job ${id} found another device on ${task.nodes} than its label says: mend the label, or the entry in engines.yaml; then ${again}`;
  if (task.exitStatus === 75)
    return `job ${id} asked to be tried again too often on ${task.nodes}: read ${log}, then ${again}`;
  const code = task.exitStatus === null ? task.reason || 'killed' : `exit ${task.exitStatus}`;
  return `job ${id} failed (${code}): read ${log}, then ${again}`;
}
