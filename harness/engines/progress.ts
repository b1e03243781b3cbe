import {isRefusedForGood, type Plan} from '../contract/plan.ts';
import {isLive, type SickNode, type SlurmTask, troubleOf} from './slurm-state.ts';
import {taskDevices} from './tasks.ts';

export interface DeviceProgress {
  readonly device: string;
  readonly cells: number;
  /** With a whole attempt. */
  readonly finished: number;
  /** Attempts that were begun and not ended: under way, or dead. */
  readonly partial: number;
  /** Tasks; null when the engine was not asked or has forgotten. */
  readonly running: number | null;
  readonly pending: number | null;
  /** Why Slurm lets tasks wait, in its own words, each once: `Resources`, `Priority`, `BeginTime`, … */
  readonly waitsFor: readonly string[];
}

export interface PlanProgress {
  readonly devices: readonly DeviceProgress[];
  /** One line each: what is wrong, with the cure. */
  readonly troubles: readonly string[];
}

export interface ProgressInput {
  readonly plan: Plan;
  /** Cells with a whole attempt. */
  readonly finished: ReadonlySet<string>;
  /** Partial attempts per cell. */
  readonly partial: ReadonlyMap<string, number>;
  readonly jobs: readonly {
    readonly id: string;
    readonly device: string | null;
    readonly offset: number;
    readonly tasks: number;
  }[];
  /** null: the engine could not be asked. */
  readonly tasks: readonly SlurmTask[] | null;
  readonly sickNodes: readonly SickNode[];
}

/** What is known of a plan under way: from the attempts, which are always there, and from the engine, which forgets. */
export function planProgress({plan, finished, partial, jobs, tasks, sickNodes}: ProgressInput): PlanProgress {
  const deviceOf = new Map(jobs.map(({id, device}) => [id, device]));
  const known = new Set(tasks?.map(({arrayId}) => arrayId));
  const devices = taskDevices(plan).map((device): DeviceProgress => {
    const cells = plan.cells.filter((planned) => planned.cell.device === device && !isRefusedForGood(planned));
    const own = (tasks ?? []).filter((task) => deviceOf.get(task.arrayId) === device && isLive(task));
    const asked = tasks !== null && jobs.some((job) => job.device === device && known.has(job.id));
    const count = (pending: boolean) =>
      own
        .filter(({state}) => (state === 'PENDING') === pending)
        .reduce((sum, {places}) => sum + Math.max(1, places.length), 0);
    return {
      device,
      cells: cells.length,
      finished: cells.filter(({cell}) => finished.has(cell.id)).length,
      partial: cells.reduce((sum, {cell}) => sum + (partial.get(cell.id) ?? 0), 0),
      running: asked ? count(false) : null,
      pending: asked ? count(true) : null,
      waitsFor: reasonsOf(own),
    };
  });
  return {devices, troubles: troublesOf({devices, jobs, tasks, sickNodes, known})};
}

function reasonsOf(tasks: readonly SlurmTask[]): string[] {
  const reasons = tasks.flatMap(({state, reason}) => (state === 'PENDING' && reason !== 'None' ? [reason] : []));
  return [...new Set(reasons)].filter((reason) => reason !== '').sort();
}

function troublesOf({
  devices,
  jobs,
  tasks,
  sickNodes,
  known,
}: Pick<ProgressInput, 'jobs' | 'tasks' | 'sickNodes'> & {
  readonly devices: readonly DeviceProgress[];
  readonly known: ReadonlySet<string>;
}): string[] {
  const open = new Set(devices.filter(({cells, finished}) => finished < cells).map(({device}) => device));
  const forgotten = tasks === null ? [] : forgottenJobs(jobs, open, known);
  const deviceOf = new Map(jobs.map(({id, device}) => [id, device]));
  const lastMerge = jobs.findLast(({device}) => device === null)?.id;
  const lines = (tasks ?? []).flatMap((task) => {
    const device = deviceOf.get(task.arrayId) ?? null;
    // What went wrong and was made good since is no trouble any more.
    const mended = !isLive(task) && (device === null ? task.arrayId !== lastMerge : !open.has(device));
    const text = mended ? null : device === null ? mergeTrouble(task) : troubleOf(task);
    return text === null ? [] : [text];
  });
  const nodes = open.size === 0 ? [] : nodeLines(sickNodes, tasks ?? []);
  const gone =
    forgotten.length === 0
      ? []
      : [
          `Slurm has forgotten ${forgotten.length === 1 ? 'job' : 'jobs'} ${forgotten.join(', ')} (MinJobAge, or its controller died): told from the attempts alone; to have what is missing, give the same \`bench matrix … --engine slurm\` again`,
        ];
  return [...gone, ...nodes, ...lines];
}

function mergeTrouble(task: SlurmTask): string | null {
  if (isLive(task)) return troubleOf(task);
  if (task.state === 'COMPLETED') return null;
  const log = `logs/merge-${task.jobId}.log`;
  if (task.exitStatus === 1) return `the merge found cells that are missing or failed: ${log} names them`;
  return `the merge (job ${task.jobId}) did not come to its end: read ${log}, then give \`bench merge\` yourself`;
}

/** Nodes named besides those that tasks of the plan ran on: a cluster may have a hundred that have nothing to do with it. */
const OTHERS_NAMED = 5;

function nodeLines(sickNodes: readonly SickNode[], tasks: readonly SlurmTask[]): string[] {
  const ours = new Set(tasks.flatMap(({nodes}) => nodes.split(',')));
  const others = sickNodes.filter(({node}) => !ours.has(node));
  const named = [...sickNodes.filter(({node}) => ours.has(node)), ...others.slice(0, OTHERS_NAMED)];
  const rest = others.length - OTHERS_NAMED;
  return [
    ...named.map(({node, state, reason}) => {
      const why = reason === '' || reason === 'none' ? '' : ` (${reason})`;
      return `node ${node} is ${state}${why}: once it is well, an administrator gives \`scontrol update nodename=${node} state=resume\``;
    }),
    ...(rest > 0 ? [`${rest} more nodes of the cluster take no jobs: \`sinfo -R\` says why`] : []),
  ];
}

/** Jobs whose cells are not finished, that Slurm does not know, and in whose place none was submitted that it knows. */
function forgottenJobs(
  jobs: ProgressInput['jobs'],
  open: ReadonlySet<string>,
  known: ReadonlySet<string>,
): readonly string[] {
  const forgotten = jobs.filter(({id, device}, index) => {
    if (device === null || !open.has(device) || known.has(id)) return false;
    return !jobs.slice(index + 1).some((later) => later.device === device && known.has(later.id));
  });
  return [...new Set(forgotten.map(({id}) => id))];
}
