import {basename, dirname} from 'node:path';
import type {Command} from 'commander';
import {BenchError} from '../../contract/errors.ts';
import type {Plan} from '../../contract/plan.ts';
import {callProgram} from '../../engines/call.ts';
import {type Jobs, PlanFolder} from '../../engines/plan-folder.ts';
import {type PlanProgress, planProgress} from '../../engines/progress.ts';
import {quoted} from '../../engines/shell.ts';
import {Slurm} from '../../engines/slurm.ts';
import type {SickNode, SlurmTask} from '../../engines/slurm-state.ts';
import {findAttempts, hasSealedAttempt} from '../../store/attempt-file.ts';
import type {CommandContext} from '../context.ts';
import {renderTable} from '../table.ts';
import {plain} from '../terminal.ts';

/** `bench status`: how far a plan is that runs on an engine, and what hinders it. */
export function registerStatusCommand(program: Command, context: CommandContext): void {
  program
    .command('status')
    .description('how far the plan in DIR is (of bench matrix --engine), what hinders it, and the cure')
    .argument('<dir>', 'folder of the plan')
    .option('--json', 'the same, as JSON')
    .action(async (dir: string, options: {readonly json?: true}) => {
      const folder = new PlanFolder(dir);
      const plan = await folder.plan();
      const jobs = await folder.jobs();
      const {tasks, sickNodes, warning} = await askEngine(jobs);
      const progress = planProgress({
        plan,
        ...(await attemptsOf(plan, folder)),
        jobs: jobs?.jobs ?? [],
        tasks,
        sickNodes,
      });
      if (warning !== null) context.stderr.write(`${plain(warning)}\n`);
      context.stdout.write(
        options.json === true ? `${JSON.stringify(progress, null, 1)}\n` : `${statusText(progress, dir)}\n`,
      );
    });
}

interface EngineAnswer {
  readonly tasks: readonly SlurmTask[] | null;
  readonly sickNodes: readonly SickNode[];
  readonly warning: string | null;
}

/** Troubles on the terminal; --json has all: an array of a thousand tasks can fail for one reason. */
const NAMED = 20;

/** An engine that cannot be asked is no reason to tell nothing. */
async function askEngine(jobs: Jobs | null): Promise<EngineAnswer> {
  if (jobs === null || jobs.engine !== 'slurm') return {tasks: null, sickNodes: [], warning: null};
  const slurm = new Slurm(callProgram);
  try {
    const tasks = await slurm.tasks(
      jobs.planId,
      jobs.jobs.map(({id}) => id),
    );
    return {tasks, sickNodes: await slurm.sickNodes(), warning: null};
  } catch (error) {
    if (!(error instanceof BenchError)) throw error;
    return {tasks: null, sickNodes: [], warning: `${error.message}; told from the attempts alone`};
  }
}

async function attemptsOf(plan: Plan, folder: PlanFolder) {
  const finished = new Set<string>();
  for (const {cell} of plan.cells) if (await hasSealedAttempt(folder.path, cell.id)) finished.add(cell.id);
  const partial = new Map<string, number>();
  for (const path of (await findAttempts([folder.attemptsPath])).partial) {
    const cellId = basename(dirname(path));
    partial.set(cellId, (partial.get(cellId) ?? 0) + 1);
  }
  return {finished, partial};
}

function statusText({devices, troubles}: PlanProgress, dir: string): string {
  const count = (value: number | null) => (value === null ? '' : String(value));
  const table = renderTable(
    [
      {title: 'device', align: 'left'},
      {title: 'cells', align: 'right'},
      {title: 'finished', align: 'right'},
      {title: 'partial', align: 'right'},
      {title: 'running', align: 'right'},
      {title: 'pending', align: 'right'},
      {title: 'waits for', align: 'left'},
    ],
    devices.map(({device, cells, finished, partial, running, pending, waitsFor}) => [
      device,
      String(cells),
      String(finished),
      partial === 0 ? '' : String(partial),
      count(running),
      count(pending),
      waitsFor.join(', '),
    ]),
  );
  const more = troubles.length - NAMED;
  const lines = [...troubles.slice(0, NAMED).map(plain), ...(more > 0 ? [`… and ${more} more: --json has all`] : [])];
  if (devices.every(({cells, finished}) => finished >= cells))
    lines.push(`all cells are finished; to join them: bench merge ${quoted(dir)} --out RESULTS`);
  return [table, ...(lines.length === 0 ? [] : ['', ...lines])].join('\n');
}
