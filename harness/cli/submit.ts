import {mkdir, writeFile} from 'node:fs/promises';
import {join, resolve} from 'node:path';
import type {Cell} from '../contract/cell.ts';
import {BenchError} from '../contract/errors.ts';
import type {Plan} from '../contract/plan.ts';
import {formatSeconds} from '../contract/units.ts';
import {type Call, callProgram} from '../engines/call.ts';
import {loadEngines} from '../engines/load-engines.ts';
import {PlanFolder, type SubmittedJob} from '../engines/plan-folder.ts';
import {quoted} from '../engines/shell.ts';
import {skyPilotJobs} from '../engines/skypilot.ts';
import {Slurm} from '../engines/slurm.ts';
import {slurmJobs, slurmMergeJob} from '../engines/slurm-jobs.ts';
import {isLive} from '../engines/slurm-state.ts';
import {deviceTotals} from '../engines/totals.ts';
import {hasSealedAttempt} from '../store/attempt-file.ts';
import {diskError} from '../store/disk-error.ts';
import type {CommandContext} from './context.ts';
import {PACKAGE_ROOT} from './package-root.ts';
import type {HourlyPrice} from './rental-prices.ts';
import {renderTable} from './table.ts';
import {plain} from './terminal.ts';

export const ENGINES = ['local', 'slurm', 'skypilot'] as const;

export interface SubmitInput {
  readonly engine: string;
  readonly plan: Plan;
  readonly matrixText: string;
  readonly enginesFile: string;
  readonly out: string;
  readonly context: CommandContext;
  /** By device. */
  readonly prices: ReadonlyMap<string, HourlyPrice>;
  readonly call?: Call;
}

/** `bench matrix FILE --engine NAME`: what it will cost, then the jobs. */
export async function submit(input: SubmitInput): Promise<void> {
  const {engine, plan, context} = input;
  const engines = await loadEngines(input.enginesFile);
  const folder = new PlanFolder(join(input.out, 'plans', `${plan.matrix}--${plan.planId}`));
  context.stderr.write(`${perDeviceText(perDevice(plan, input.prices))}\n`);
  if (engine === 'slurm') {
    if (engines.slurm === undefined) throw missing(input.enginesFile, 'slurm');
    await submitSlurm({...input, folder, site: engines.slurm});
    return;
  }
  if (engine === 'skypilot') {
    if (engines.skypilot === undefined) throw missing(input.enginesFile, 'skypilot');
    await writeSkyPilot({...input, folder, site: engines.skypilot});
    return;
  }
  throw new BenchError('USAGE', `--engine ${engine}: choose ${ENGINES.join(', ')}`);
}

const missing = (file: string, engine: string) =>
  new BenchError('ENGINES_INVALID', `${file} has no entry ${engine}, which --engine ${engine} needs`);

type Site<Name extends 'slurm' | 'skypilot'> = NonNullable<Awaited<ReturnType<typeof loadEngines>>[Name]>;

async function submitSlurm(input: SubmitInput & {folder: PlanFolder; site: Site<'slurm'>}): Promise<void> {
  const {plan, folder, site, context, matrixText} = input;
  const slurm = new Slurm(input.call ?? callProgram);
  const command = site.command ?? ownCommand();
  const known = (await folder.jobs())?.jobs ?? [];
  const finished = new Set<string>();
  for (const {cell} of plan.cells) if (await hasSealedAttempt(folder.path, cell.id)) finished.add(cell.id);
  const live = await liveOf(slurm, plan.planId, known);
  const jobs = slurmJobs({
    plan,
    folder: folder.path,
    site,
    command,
    finished,
    live: live.tasks,
  });
  const arrays = jobs.map((job) => ({job, what: `${job.tasks.length} tasks for ${job.device}`}));
  const out = resolve(input.out);
  const mergeJob = (after: readonly string[]) => slurmMergeJob({plan, folder: folder.path, out, site, command, after});
  // All are asked about before any is submitted: half a matrix helps nobody.
  for (const {job, what} of arrays) await slurm.check(job, what);
  if (arrays.length > 0) await slurm.check(mergeJob([]), 'the merge at the end (merge in engines.yaml)');
  await folder.prepare(plan, matrixText);
  const submitted: SubmittedJob[] = [...known];
  const keep = async (job: SubmittedJob) => {
    submitted.push(job);
    await folder.writeJobs({engine: 'slurm', planId: plan.planId, jobs: submitted});
  };
  for (const {job, what} of arrays) {
    const id = await slurm.submit(job).catch((error: unknown) => {
      throw partly(error, submitted.length - known.length, folder);
    });
    await keep({id, kind: 'cells', device: job.device, tasks: job.tasks.length, offset: job.offset});
    context.stdout.write(`${plain(`job ${id}: ${what}`)}\n`);
  }
  if (arrays.length === 0) {
    context.stdout.write(
      `nothing to submit: ${finished.size} cells are finished, the rest is queued; see: bench status ${quoted(folder.path)}\n`,
    );
    return;
  }
  // Jobs that Slurm has forgotten cannot be waited for, and need not be.
  const after = [...new Set([...live.jobs, ...submitted.slice(known.length).map(({id}) => id)])];
  const id = await slurm.submit(mergeJob(after)).catch((error: unknown) => {
    throw partly(error, arrays.length, folder);
  });
  await keep({id, kind: 'merge', device: null, tasks: 1, offset: 0});
  context.stdout.write(
    `job ${id}: merge into ${out}\nbench status ${quoted(folder.path)}\nbench cancel ${quoted(folder.path)}\n`,
  );
}

/** Arrays may be too many for a limit of the site: those that were taken stay, and are told. */
function partly(error: unknown, arrays: number, {path}: PlanFolder): unknown {
  if (arrays === 0 || !(error instanceof BenchError)) return error;
  return new BenchError(
    error.code,
    `${error.message}; ${arrays} ${arrays === 1 ? 'array is' : 'arrays are'} submitted and will run (bench status ${quoted(path)}, bench cancel ${quoted(path)}): later, the same command submits the rest`,
  );
}

interface Live {
  /** As `device task`. */
  readonly tasks: ReadonlySet<string>;
  readonly jobs: readonly string[];
}

/** What Slurm still has of earlier submissions. */
async function liveOf(slurm: Slurm, planId: string, known: readonly SubmittedJob[]): Promise<Live> {
  // Of two jobs with one id (a controller that forgot) the later one is meant.
  const byId = new Map(known.filter(({kind}) => kind === 'cells').map((job) => [job.id, job]));
  if (byId.size === 0) return {tasks: new Set(), jobs: []};
  const live = (await slurm.tasks(planId, [...byId.keys()])).filter(isLive);
  const tasks = live.flatMap(({arrayId, places}) => {
    const job = byId.get(arrayId);
    return job === undefined ? [] : places.map((place) => `${job.device} ${place + job.offset}`);
  });
  return {tasks: new Set(tasks), jobs: [...new Set(live.map(({arrayId}) => arrayId))]};
}

/** bench as it was called here, for hosts that see the same folders. */
function ownCommand(): string[] {
  return [process.execPath, ...process.execArgv, process.argv[1] ?? ''];
}

/** Kernels for gptq-4bit that come with PyTorch or with bench; the others are those of the package gptqmodel. */
const OWN_KERNELS: ReadonlySet<string> = new Set(['dequant-eager', 'dequant-triton', 'int4pack-cpu', 'torch-linear']);

/** What cells of one device need on a new host besides `npm ci`, as arguments of bench. */
function installs(cells: readonly Cell[]): readonly string[] {
  const torch = cells.filter(({runner}) => runner.id === 'transformers');
  const cuda = torch.some(({deviceKind}) => deviceKind === 'cuda');
  const extra = cuda && torch.some(({format, kernel}) => format === 'gptq-4bit' && !OWN_KERNELS.has(kernel));
  return [
    ...(torch.length === 0 ? [] : [`setup python --${cuda ? 'cuda' : 'cpu'}${extra ? ' --gptqmodel' : ''}`]),
    ...(cells.some(({settings}) => settings.engineBuild === 'native') ? ['setup llama-cpp --native'] : []),
  ];
}

async function writeSkyPilot({
  plan,
  folder,
  site,
  context,
  matrixText,
}: SubmitInput & {folder: PlanFolder; site: Site<'skypilot'>}): Promise<void> {
  const jobs = skyPilotJobs({plan, folder: folder.path, workdir: PACKAGE_ROOT, site, installs});
  await folder.prepare(plan, matrixText);
  const place = join(folder.path, 'skypilot');
  try {
    await mkdir(place, {recursive: true});
    for (const {device, yaml} of jobs) await writeFile(join(place, `${device}.yaml`), yaml);
  } catch (error) {
    throw diskError(error, 'write', place);
  }
  for (const {commands} of jobs) context.stdout.write(`${commands.join('\n')}\n`);
  const fetch =
    site.bucket === undefined
      ? ' A host that has stopped by itself still costs its disk, until `sky down`.'
      : ` Before the merge, ${site.bucket}/${plan.planId}/attempts has to lie in ${folder.path}/attempts.`;
  context.stdout.write(`bench merge ${quoted(folder.path)} --out RESULTS\n`);
  context.stderr.write(
    `Nothing was launched: these tasks are checked against SkyPilot's schema, but no run on a real cloud was made with them by the makers of bench. Read one, then give the commands above.${fetch}\n`,
  );
}

/** Hours and money per device, at most: every cell with its whole budget, weights made beforehand. */
export function perDevice(plan: Plan, prices: ReadonlyMap<string, HourlyPrice>): NonNullable<Plan['perDevice']> {
  return deviceTotals(plan).map(({device, cells, hours}) => {
    const price = prices.get(device);
    return {
      device,
      cells,
      hours: Number(hours.toFixed(3)),
      usdLow: price === undefined ? null : Number((price.lowUsd * hours).toFixed(2)),
      usdHigh: price === undefined ? null : Number((price.highUsd * hours).toFixed(2)),
    };
  });
}

export function perDeviceText(totals: NonNullable<Plan['perDevice']>): string {
  const usd = (low: number | null, high: number | null): string => {
    if (low === null || high === null) return '';
    return low === high ? low.toFixed(2) : `${low.toFixed(2)}–${high.toFixed(2)}`;
  };
  return renderTable(
    [
      {title: 'device', align: 'left'},
      {title: 'cells', align: 'right'},
      {title: 'time ≤', align: 'right'},
      {title: 'USD ≤ (cheapest–dearest offer of prices.yaml)', align: 'right'},
    ],
    totals.map(({device, cells, hours, usdLow, usdHigh}) => [
      device,
      String(cells),
      formatSeconds(hours * 3600),
      usd(usdLow, usdHigh),
    ]),
  );
}
