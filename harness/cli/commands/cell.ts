import {dirname, join, resolve} from 'node:path';
import {type Command, InvalidArgumentError, Option} from 'commander';
import {GROUPINGS, type Grouping} from '../../contract/engines.ts';
import {BenchError} from '../../contract/errors.ts';
import type {Plan} from '../../contract/plan.ts';
import {readPlan} from '../../engines/plan-folder.ts';
import {tasksOf} from '../../engines/tasks.ts';
import {hasSealedAttempt} from '../../store/attempt-file.ts';
import type {CommandContext} from '../context.ts';
import {readHost} from '../host.ts';
import {matrixFolder} from '../matrix-folder.ts';
import {HARNESS_VERSION, PACKAGE_ROOT} from '../package-root.ts';
import {Progress} from '../progress.ts';
import {runCell} from '../run-cell.ts';
import {isLive, plain, styleFor} from '../terminal.ts';

/** sysexits.h: EX_TEMPFAIL and EX_CONFIG. */
const TRY_AGAIN = 75;
const WRONG_DEVICE = 78;

interface CellOptions {
  readonly plan: string;
  readonly index?: number;
  readonly class?: string;
  readonly task?: number;
  readonly group: Grouping;
  readonly out?: string;
  readonly device?: string;
  readonly scratch?: string;
  readonly matrixDir?: string;
  readonly again?: true;
  readonly alongside?: true;
  readonly json?: true;
}

/** `bench cell`: one task of a plan, for engines that place tasks on hosts. */
export function registerCellCommand(program: Command, context: CommandContext): void {
  program
    .command('cell')
    .description(
      'run one cell of a plan file (for engines): exit 0 = its result is written, 75 = try again, 78 = wrong device',
    )
    .requiredOption('--plan <file>', 'plan file, of `bench matrix FILE --plan --json`')
    .option('--index <n>', 'place of the cell in the plan, from 0', number)
    .option('--class <device>', 'with --task: the tasks of this device')
    .option('--task <k>', 'number of the task among those of the device, from 0', number)
    .addOption(
      new Option('--group <by>', 'with --task: how cells are put into tasks').choices(GROUPINGS).default('none'),
    )
    .option('--out <dir>', 'folder of the attempts; default: that of the plan file')
    .option('--device <name>', 'treat this machine as NAME (a caveat on the row)')
    .option('--scratch <dir>', 'folder of this host for the attempt under way; default: below --out')
    .option(
      '--matrix-dir <dir>',
      'folder of the matrix file on this host, for prompts, file: weights and own workers; default: as when it was planned',
    )
    .option('--again', 'measure a finished cell once more: the merge keeps both')
    .option('--alongside', 'run although another bench run is active here (a caveat on the row)')
    .option('--json', 'events on stdout, one JSON object a line')
    .action(async (options: CellOptions) => {
      const plan = await readPlan(options.plan);
      if (plan.harness !== HARNESS_VERSION) {
        throw new BenchError(
          'PLAN_INVALID',
          `${options.plan} was made by bench ${plan.harness}, this is ${HARNESS_VERSION}: their results do not mix`,
        );
      }
      const folder = resolve(options.out ?? dirname(options.plan));
      context.exit(await runTask(chosen(plan, options), {plan, folder, options, context}));
    });
}

interface TaskContext {
  readonly plan: Plan;
  readonly folder: string;
  readonly options: CellOptions;
  readonly context: CommandContext;
}

/** The worst of its cells decides: 78 over 75 over 0. */
async function runTask(indices: readonly number[], {plan, folder, options, context}: TaskContext): Promise<number> {
  const say = (text: string) => context.stderr.write(`${plain(text)}\n`);
  const due: number[] = [];
  for (const index of indices) {
    const planned = plan.cells[index];
    if (planned === undefined) continue;
    if (options.again !== true && (await hasSealedAttempt(folder, planned.cell.id))) {
      say(`cell ${planned.cell.id} is finished already (--again measures it once more)`);
    } else due.push(index);
  }
  if (due.length === 0) return 0;
  const beside = [dirname(resolve(options.plan)), join(PACKAGE_ROOT, 'matrices')];
  const folders: readonly [string, ...string[]] =
    options.matrixDir === undefined ? [plan.matrixDir, ...beside] : [resolve(options.matrixDir)];
  const {host, catalogue} = await readHost(context, {forcedDevice: options.device});
  let exit = 0;
  for (const index of due) {
    const planned = plan.cells[index];
    if (planned === undefined) continue;
    const style = styleFor(context.stderr, context.env);
    const progress = new Progress({output: context.stderr, style, live: isLive(context.stderr, context.env)});
    try {
      const matrixDir = await matrixFolder(planned.cell, folders, context.signal);
      const outcome = await runCell({
        context,
        plan: {...plan, matrixDir},
        planned,
        host,
        catalogue,
        folder,
        scratch: options.scratch === undefined ? null : resolve(options.scratch),
        alongside: options.alongside === true,
        onEvent: (event) => {
          if (options.json === true) context.stdout.write(`${JSON.stringify(event)}\n`);
          progress.show(event);
        },
      });
      progress.end();
      if (outcome.end === 'sealed') {
        if (options.json !== true) context.stdout.write(`${outcome.path}\n`);
        say(`cell ${planned.cell.id}: ${outcome.status}`);
      } else if (outcome.end === 'wrong-device') {
        say(
          `wrong device: ${outcome.reason}. What the engine calls this node is only a label: mend it, or its entry in engines.yaml`,
        );
        exit = WRONG_DEVICE;
      } else {
        say(`try again: ${outcome.reason}`);
        if (exit === 0) exit = TRY_AGAIN;
      }
    } finally {
      progress.end();
    }
  }
  return exit;
}

function chosen(plan: Plan, {index, class: device, task, group, plan: file}: CellOptions): readonly number[] {
  if (index !== undefined && device === undefined && task === undefined) {
    if (index < plan.cells.length) return [index];
    throw new BenchError('USAGE', `--index ${index}: ${file} has the cells 0 to ${plan.cells.length - 1}`);
  }
  if (index !== undefined || device === undefined || task === undefined) {
    throw new BenchError('USAGE', 'give either --index N, or --class DEVICE and --task K');
  }
  const tasks = tasksOf(plan, device, group);
  const found = tasks[task];
  if (found !== undefined) return found.indices;
  if (tasks.length === 0) throw new BenchError('USAGE', `--class ${device}: ${file} has no cells to run on it`);
  throw new BenchError('USAGE', `--task ${task}: ${device} has the tasks 0 to ${tasks.length - 1}`);
}

function number(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('Give a whole number from 0 on.');
  return value;
}
