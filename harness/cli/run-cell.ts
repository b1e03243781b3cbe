import {randomBytes} from 'node:crypto';
import {copyFile, mkdir, readFile, rename, rm, stat} from 'node:fs/promises';
import {join} from 'node:path';
import {ATTEMPT_SCHEMA_VERSION} from '../contract/attempt.ts';
import type {DeviceEntry, HostFacts} from '../contract/device.ts';
import {BenchError, type BenchErrorCode} from '../contract/errors.ts';
import type {Plan, PlannedCell} from '../contract/plan.ts';
import type {SweepEvent} from '../contract/sweep-event.ts';
import {checkQuiet} from '../device/quiet.ts';
import {attemptId, engineJob} from '../engines/attempt-id.ts';
import {acquireHostLock} from '../exec/host-lock.ts';
import {runSweep} from '../exec/sweep.ts';
import {bindPlan} from '../plan/plan.ts';
import {allSamplers} from '../samplers/catalog.ts';
import {attemptFolder, partialName, sealAttempt} from '../store/attempt-file.ts';
import {diskError} from '../store/disk-error.ts';
import {makeFolder} from '../store/make-folder.ts';
import {readManifest, writeManifest} from '../store/manifest.ts';
import {RunFolder} from '../store/run-folder.ts';
import {cacheDir} from '../weights/cache-dir.ts';
import {LocalWeightsStore} from '../weights/local-weights-store.ts';
import {bandwidthMeter} from './bandwidth-meter.ts';
import {newManifest} from './commands/matrix.ts';
import type {CommandContext} from './context.ts';
import {deriveRows} from './derive-rows.ts';
import {RUNNERS} from './registry.ts';

/** Failures of the machine or the moment, not of the cell: another try, perhaps elsewhere, may not meet them. */
const TRY_AGAIN: ReadonlySet<BenchErrorCode> = new Set(['HOST_BUSY', 'DISK_FULL', 'NETWORK', 'CHECKSUM_MISMATCH']);

export interface RunCellInput {
  readonly context: CommandContext;
  readonly plan: Plan;
  readonly planned: PlannedCell;
  readonly host: HostFacts;
  readonly catalogue: readonly DeviceEntry[];
  /** Folder of the plan: attempts go below it. */
  readonly folder: string;
  /** Where the attempt lies while it is under way; null: beside the sealed ones. */
  readonly scratch: string | null;
  readonly alongside: boolean;
  onEvent(event: SweepEvent): void;
}

export type RunCellOutcome =
  | {readonly end: 'sealed'; readonly path: string; readonly status: string}
  | {readonly end: 'wrong-device'; readonly reason: string}
  | {readonly end: 'try-again'; readonly reason: string};

/**
 * Runs all rounds of one cell and seals what it measured. What it leaves behind when it is killed is a folder
 * `<attempt>.partial`, which nobody takes for a result.
 *
 * @throws {BenchError} `INTERRUPTED`, and bad input.
 */
export async function runCell(input: RunCellInput): Promise<RunCellOutcome> {
  const {planned, host} = input;
  const {device} = planned.cell;
  const elsewhere = planned.cell.runner.server?.elsewhere === true;
  if (!(elsewhere || host.devices.some(({name}) => name === device))) {
    const names = host.devices.map(({name}) => name).join(', ');
    return {end: 'wrong-device', reason: `cell ${planned.cell.id} is for ${device}, this machine is ${names}`};
  }
  try {
    return await measure(input);
  } catch (error) {
    if (!(error instanceof BenchError) || !TRY_AGAIN.has(error.code)) throw error;
    return {end: 'try-again', reason: `${error.code}: ${error.message}`};
  }
}

async function measure(input: RunCellInput): Promise<RunCellOutcome> {
  const {context, plan, planned, host, catalogue} = input;
  const {env} = context;
  const lock = await acquireHostLock(join(cacheDir(env), 'locks'), {matrix: plan.matrix, alongside: input.alongside});
  try {
    const weights = new LocalWeightsStore({cacheDir: cacheDir(env), env, baseDir: plan.matrixDir});
    const alone = await bindPlan({
      // The canary asks whether a sweep of many cells drifted; here the rounds of the one cell say so.
      plan: {...plan, cells: [planned], rounds: planned.cell.rounds, canary: false},
      host,
      catalogue,
      runners: RUNNERS,
      estimate: (request) => weights.estimate(request),
    });
    const [bound] = alone.cells;
    // Sealed as a result, it would never be tried on a host that has it.
    if (bound?.missing === true) return {end: 'try-again', reason: bound.reason};
    const job = engineJob(env);
    const attempt = attemptId(job, randomBytes(8).toString('hex'));
    const attempts = attemptFolder(input.folder, planned.cell.id);
    const folder = await partialFolder(attempts, input.scratch ?? attempts, attempt);
    const samplers = allSamplers({host});
    const caveats = [...lock.caveats, ...(await checkQuiet())];
    const manifest = await newManifest({folder, loaded: {text: ''}, plan: alone, host, caveats, samplers});
    await writeManifest(folder.manifestPath, manifest);
    const outcome = await runSweep({
      plan: alone,
      host,
      runners: RUNNERS,
      samplers,
      weights,
      folder,
      manifest,
      hostCaveats: caveats,
      deriveRows,
      lock,
      measureBandwidth: bandwidthMeter(host),
      signal: context.signal,
      onEvent: input.onEvent,
    });
    if (outcome.continuable)
      return {end: 'try-again', reason: `the failure of this cell may pass by itself: see ${folder.path}`};
    const path = await sealAttempt(
      attempts,
      {
        type: 'attempt',
        schema: ATTEMPT_SCHEMA_VERSION,
        attempt,
        planId: plan.planId,
        cellId: planned.cell.id,
        engine: job.engine,
        engineJob: job.job,
        engineNode: job.node,
        bootId: await bootId(),
        manifest: await readManifest(folder.manifestPath),
      },
      folder.journalPath,
    );
    await tidy(folder, planned.cell.id, join(attempts, `${attempt}.log`));
    const status = outcome.failed > 0 ? 'failed' : outcome.refused > 0 ? 'refused' : 'ok';
    return {end: 'sealed', path, status};
  } finally {
    await lock.release();
  }
}

async function partialFolder(attempts: string, parent: string, attempt: string): Promise<RunFolder> {
  const path = join(parent, partialName(attempt));
  try {
    await makeFolder(attempts);
    await makeFolder(parent);
    await mkdir(path);
    await mkdir(join(path, 'logs'));
  } catch (error) {
    throw diskError(error, 'create', path);
  }
  return RunFolder.at(path);
}

/** The attempt is sealed: of the rest only what the worker printed is worth keeping. */
async function tidy(folder: RunFolder, cellId: string, logPath: string): Promise<void> {
  const log = folder.logPath(cellId);
  const size = await stat(log).then(
    (facts) => facts.size,
    () => 0,
  );
  // The scratch folder is often on another disk.
  if (size > 0) await rename(log, logPath).catch(() => copyFile(log, logPath).catch(() => undefined));
  await rm(folder.path, {recursive: true, force: true}).catch(() => undefined);
}

async function bootId(): Promise<string | null> {
  return await readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
    (text) => text.trim(),
    () => null,
  );
}
