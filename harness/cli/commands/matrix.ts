import {join, relative} from 'node:path';
import {type Command, InvalidArgumentError, Option} from 'commander';
import type {Caveat} from '../../contract/caveats.ts';
import {CAVEATS} from '../../contract/caveats.ts';
import type {ResultRow} from '../../contract/columns.ts';
import type {HostFacts} from '../../contract/device.ts';
import {BenchError} from '../../contract/errors.ts';
import type {Manifest} from '../../contract/journal.ts';
import {MOST_ROUNDS} from '../../contract/matrix.ts';
import type {Plan} from '../../contract/plan.ts';
import type {Sampler} from '../../contract/sampler.ts';
import type {SweepEvent} from '../../contract/sweep-event.ts';
import {readInventory} from '../../device/inventory.ts';
import {readMemory} from '../../device/memory.ts';
import {checkQuiet} from '../../device/quiet.ts';
import {acquireHostLock} from '../../exec/host-lock.ts';
import {runSweep} from '../../exec/sweep.ts';
import {systemFiles} from '../../linux/system-files.ts';
import {type LoadedMatrix, loadMatrix} from '../../plan/load-matrix.ts';
import {makePlan} from '../../plan/plan.ts';
import {allSamplers} from '../../samplers/catalog.ts';
import {readManifest, writeManifest} from '../../store/manifest.ts';
import {readResultsCsv} from '../../store/results-csv.ts';
import {RunFolder} from '../../store/run-folder.ts';
import {cacheDir} from '../../weights/cache-dir.ts';
import {LocalWeightsStore} from '../../weights/local-weights-store.ts';
import {bandwidthMeter} from '../bandwidth-meter.ts';
import type {CommandContext} from '../context.ts';
import {deriveRows} from '../derive-rows.ts';
import {gitCommit} from '../git-commit.ts';
import {readHost} from '../host.ts';
import {HARNESS_VERSION, PACKAGE_ROOT} from '../package-root.ts';
import {planText, planTotals} from '../plan-text.ts';
import {Progress} from '../progress.ts';
import {RUNNERS} from '../registry.ts';
import {rentalPrices} from '../rental-prices.ts';
import {ENGINES, perDevice, perDeviceText, submit} from '../submit.ts';
import {caveatLines, summaryTable} from '../summary.ts';
import {isLive, plain, styleFor} from '../terminal.ts';

interface MatrixOptions {
  readonly plan?: true;
  readonly only?: readonly string[];
  readonly device?: string;
  readonly engine: string;
  readonly engines: string;
  readonly out: string;
  readonly fresh?: true;
  readonly rounds?: number;
  readonly budget?: number;
  readonly alongside?: true;
  readonly json?: true;
}

const QUICKSTART = join(PACKAGE_ROOT, 'matrices', 'quickstart.yaml');

/** `bench matrix`: the main job. Data to stdout, progress to stderr. */
export function registerMatrixCommand(program: Command, context: CommandContext): void {
  program
    .command('matrix')
    .description('run every cell of FILE that this machine can run; continue an unfinished run')
    .argument('[file]', 'matrix file; without one the quickstart that comes with bench')
    .option(
      '--plan',
      'list the cells with why each runs, waits or is refused; run nothing (with --json: the plan file)',
    )
    .option('--only <key=glob>', 'repeatable: model, format, runner, kernel, device, isa, workload', collect)
    .option('--device <name>', 'treat this machine as NAME (a caveat on every row)')
    .addOption(
      new Option(
        '--engine <name>',
        'where cells run: on this machine; as job arrays of Slurm; or as task files for SkyPilot',
      )
        .choices(ENGINES)
        .default('local'),
    )
    .option(
      '--engines <file>',
      'with --engine: what Slurm or SkyPilot call the devices (matrices/recipes/engines.yaml is one to start from)',
      'engines.yaml',
    )
    .option('--out <dir>', 'folder of the run folders', 'results')
    .option('--fresh', 'start anew instead of continuing')
    .option('--rounds <n>', 'passes over all cells, instead of what FILE says', wholeRounds)
    .option(
      '--budget <seconds>',
      'seconds of warm-up and measuring per cell and round, instead of what FILE says',
      positive,
    )
    .option('--alongside', 'run although another bench run is active here (a caveat on every row)')
    .option('--json', 'events on stdout, one JSON object a line')
    .action(async (file: string | undefined, options: MatrixOptions) => {
      if (options.engine !== 'local' && options.device !== undefined) {
        throw new BenchError('USAGE', '--device names this machine, --engine runs elsewhere: give one of them');
      }
      const loaded = await loadMatrix(file ?? QUICKSTART);
      const needsPython = loaded.matrix.runners.includes('transformers');
      const {host, catalogue} = await readHost(context, {
        forcedDevice: options.device,
        pythonProbe: needsPython ? 'look' : 'skip',
      });
      if (options.engine === 'local') warnOfGpus(host, context);
      // Relative file: sources are relative to the matrix file, as prompts files are.
      const weights = new LocalWeightsStore({cacheDir: cacheDir(context.env), env: context.env, baseDir: loaded.dir});
      const plan = await makePlan({
        loaded,
        host,
        catalogue,
        runners: RUNNERS,
        estimate: (request) => weights.estimate(request),
        harness: HARNESS_VERSION,
        overrides: {
          only: options.only ?? [],
          ...(options.rounds === undefined ? {} : {rounds: options.rounds}),
          ...(options.budget === undefined ? {} : {budgetSeconds: options.budget}),
        },
      });
      const prices = await rentalPrices(join(PACKAGE_ROOT, 'matrices', 'prices.yaml'));
      if (options.plan === true) {
        const totals = perDevice(plan, prices);
        const text = planText(plan, context.stdout.columns);
        // One device without a price: its sum stands above.
        const told = totals.length > 1 || totals.some(({usdLow}) => usdLow !== null);
        context.stdout.write(
          options.json === true
            ? `${JSON.stringify({...plan, perDevice: totals}, null, 1)}\n`
            : `${text}\n${told ? `\n${perDeviceText(totals)}\n` : ''}`,
        );
        return;
      }
      if (options.engine !== 'local') {
        const {engine, out} = options;
        await submit({
          engine,
          plan,
          matrixText: loaded.text,
          enginesFile: options.engines,
          out,
          context,
          prices,
        });
        return;
      }
      await measure({context, options, weights, host, loaded, plan});
    });
}

interface Measuring {
  readonly context: CommandContext;
  readonly options: MatrixOptions;
  readonly weights: LocalWeightsStore;
  readonly host: HostFacts;
  readonly loaded: LoadedMatrix;
  readonly plan: Plan;
}

async function measure({context, options, weights, host, loaded, plan}: Measuring): Promise<void> {
  const style = styleFor(context.stderr, context.env);
  const progress = new Progress({output: context.stderr, style, live: isLive(context.stderr, context.env)});
  const rounds = new RoundCount();
  const name = {matrix: plan.matrix, device: runDevice(plan, host), host: host.host};
  const lock = await acquireHostLock(join(cacheDir(context.env), 'locks'), {
    matrix: plan.matrix,
    alongside: options.alongside === true,
  });
  try {
    const unfinished =
      options.fresh === true ? null : await RunFolder.findUnfinished(options.out, {...name, planId: plan.planId});
    const folder = unfinished ?? (await RunFolder.create(options.out, name, new Date()));
    const samplers = allSamplers({host});
    const caveats: Caveat[] = [...lock.caveats, ...(await checkQuiet())];
    const manifest =
      unfinished === null
        ? await newManifest({folder, loaded, plan, host, caveats, samplers})
        : await readManifest(folder.manifestPath);
    if (unfinished === null) await writeManifest(folder.manifestPath, manifest);
    for (const {code, value} of caveats) {
      const {doc, fix} = CAVEATS[code];
      progress.show({type: 'warning', text: `${doc}${value === undefined ? '' : ` (${value})`} ${fix}`});
    }
    const outcome = await runSweep({
      plan,
      host,
      runners: RUNNERS,
      samplers,
      weights,
      folder,
      manifest,
      hostCaveats: caveats,
      deriveRows,
      lock,
      availableMemoryBytes: async () => readMemory(systemFiles()).availableBytes,
      measureBandwidth: bandwidthMeter(host),
      signal: context.signal,
      onEvent: (event) => {
        if (options.json === true) context.stdout.write(`${JSON.stringify(event)}\n`);
        rounds.see(event);
        progress.show(event);
      },
    }).catch((error: unknown) => {
      throw rounds.told(error, folder);
    });
    progress.end();
    const rows = await readResultsCsv(folder.resultsPath);
    if (options.json !== true) context.stdout.write(`${finalText(rows, plan, folder, context)}\n`);
    if (outcome.continuable) {
      context.stderr.write('Some weights could not be had this time: the same command continues this run.\n');
    }
    context.exit(outcome.failed > 0 || outcome.continuable ? 1 : 0);
  } finally {
    progress.end();
    await lock.release();
  }
}

/** How much of a sweep is done: told to whoever stops it. */
class RoundCount {
  #done = 0;
  #total = 0;

  see(event: SweepEvent): void {
    if (event.type === 'sweep_started') {
      this.#done = event.roundsDone;
      this.#total = event.roundsTotal;
    } else if (event.type === 'cell_finished') this.#done++;
  }

  /** An interruption with what is kept, and where; any other error as it is. */
  told(error: unknown, {path}: RunFolder): unknown {
    if (!(error instanceof BenchError) || error.code !== 'INTERRUPTED') return error;
    const kept = `${Math.min(this.#done, this.#total)} of ${this.#total} rounds are kept in ${fromHere(path)}`;
    return new BenchError('INTERRUPTED', `${error.message}; ${kept}`, {cause: error});
  }
}

/** A GPU that is there and cannot be used: told before cells wait for it or run without it. */
function warnOfGpus({gpuProblem = null}: HostFacts, {stderr, env}: CommandContext): void {
  if (gpuProblem === null) return;
  const {reason, fix} = gpuProblem;
  const text = plain(`warning: GPU: ${reason}${fix === null ? '' : ` (${fix})`}`);
  stderr.write(`${styleFor(stderr, env).yellow(text)}\n`);
}

/** The device in the name of the run folder: the one device that cells run on here, or the host's first of several. */
function runDevice(plan: Plan, host: HostFacts): string {
  const here = [...new Set(plan.cells.filter(({verdict}) => verdict === 'run').map(({cell}) => cell.device))];
  const [only] = here;
  const gpu = host.devices.find(({kind, name}) => kind === 'cuda' && here.includes(name));
  return gpu?.name ?? only ?? host.devices[0]?.name ?? 'none';
}

function finalText(rows: readonly ResultRow[], plan: Plan, folder: RunFolder, context: CommandContext): string {
  const style = styleFor(context.stdout, context.env);
  const lines = [
    summaryTable(rows, context.stdout.columns),
    ...legend(rows),
    '',
    planTotals(plan).split('\n').slice(1).join('\n'),
  ];
  const caveats = caveatLines(rows, CAVEATS);
  if (caveats.length > 0) lines.push('Read with care:', ...caveats.map((line) => `  ${plain(line)}`));
  const path = fromHere(folder.path);
  lines.push(
    '',
    `${style.bold('results')} ${join(path, 'results.csv')}`,
    `Charts: bench report ${path}`,
    `Commit that folder (git add ${path}), and run the same command on the next host; bench report ${join(path, '..')} shows them side by side.`,
  );
  return lines.filter((line, index) => line !== '' || lines[index - 1] !== '').join('\n');
}

/** What the heads of the table mean, for whoever reads one for the first time. */
function legend(rows: readonly ResultRow[]): string[] {
  if (!rows.some(({status}) => status === 'ok')) return [];
  return [
    't/s: tokens a second · ± %: half of the 95 % interval of decode · × 16 bit: decode against 16 bit in the same engine',
    'TTFT: time to the first token · p90: 9 of 10 requests are faster · n: requests · all columns: README, "Columns of results.csv"',
  ];
}

/** A path as one would type it here: relative, where it lies below. */
function fromHere(path: string): string {
  const short = relative(process.cwd(), path);
  return short === '' || short.startsWith('..') ? path : short;
}

export interface ManifestInput {
  readonly folder: RunFolder;
  readonly loaded: Pick<LoadedMatrix, 'text'>;
  readonly plan: Plan;
  readonly host: HostFacts;
  readonly caveats: readonly Caveat[];
  readonly samplers: readonly Sampler[];
}

/** What is run, by what, on what: the manifest of a run that begins now. */
export async function newManifest({folder, loaded, plan, host, caveats, samplers}: ManifestInput): Promise<Manifest> {
  const [gpu] = host.gpus;
  const {machine, memoryModules} = await readInventory();
  const known: Caveat[] = [...caveats];
  if (host.virtualization !== null) known.push({code: 'virtual', value: host.virtualization.replace(/[\s;]/g, '-')});
  return {
    schema: 1,
    runId: folder.runId,
    matrix: plan.matrix,
    matrixSha256: plan.matrixSha256,
    matrixText: loaded.text,
    planId: plan.planId,
    command: `bench ${process.argv.slice(2).join(' ')}`,
    harnessVersion: HARNESS_VERSION,
    gitCommit: await gitCommit(PACKAGE_ROOT),
    startedAt: new Date().toISOString(),
    finishedAt: null,
    host: {
      host: host.host,
      os: host.os,
      kernelRelease: host.kernelRelease,
      node: host.node,
      virtualization: host.virtualization,
      cpuModel: host.cpu.model,
      machine,
      memoryModules,
      cores: host.cpu.usableCores,
      isa: host.cpu.isa,
      ramBytes: host.memory.totalBytes,
      cgroupLimitBytes: host.memory.cgroupLimitBytes,
      driver: gpu?.driver ?? null,
      cuda: gpu?.cuda ?? null,
      devices: host.devices.map(({name, title, kind, entry, forced}) => ({
        name,
        title,
        kind,
        known: entry !== null,
        forced,
      })),
    },
    caveats: known,
    samplers: await Promise.all(
      samplers.map(async (sampler) => {
        const available = await sampler.available();
        return {id: sampler.id, available: available.ok, detail: available.ok ? available.detail : available.reason};
      }),
    ),
  };
}

const collect = (value: string, previous: readonly string[] = []) => [...previous, value];

function wholeRounds(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1 && value <= MOST_ROUNDS) return value;
  throw new InvalidArgumentError(`Give a whole number from 1 to ${MOST_ROUNDS}.`);
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('Give a number of seconds above 0.');
  return value;
}
