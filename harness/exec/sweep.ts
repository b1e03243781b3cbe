import {readFile} from 'node:fs/promises';
import type {Caveat} from '../contract/caveats.ts';
import type {Cell} from '../contract/cell.ts';
import type {DeviceIdentity, HostFacts, MeasuredBandwidth} from '../contract/device.ts';
import {BenchError} from '../contract/errors.ts';
import {JOURNAL_SCHEMA_VERSION, type JournalRecord, type Manifest} from '../contract/journal.ts';
import type {Plan, PlannedCell} from '../contract/plan.ts';
import {needsWeights, type Runner} from '../contract/runner.ts';
import type {Sampler} from '../contract/sampler.ts';
import type {SweepEvent} from '../contract/sweep-event.ts';
import {formatBytes} from '../contract/units.ts';
import type {WeightsStore} from '../contract/weights.ts';
import {parseProcessMemory} from '../linux/proc-status.ts';
import {systemFiles} from '../linux/system-files.ts';
import {roundOrder} from '../plan/order.ts';
import {Journal, journalRecords} from '../store/journal.ts';
import {writeManifest} from '../store/manifest.ts';
import type {RunFolder} from '../store/run-folder.ts';
import {writeTelemetry} from '../store/telemetry.ts';
import {availableSamplers} from './available-samplers.ts';
import type {HostLock} from './host-lock.ts';
import {launchOf} from './launch-of.ts';
import {waitUntilQuiet} from './quiet-wait.ts';
import {decodeRate, prefillRate, type RoundResult, runRound} from './run-round.ts';
import {SweepState} from './sweep-state.ts';
import {type DeriveRows, SweepTables} from './sweep-tables.ts';
import {ensureWeights, recordFailure} from './sweep-weights.ts';
import {TimeLeft} from './time-left.ts';

export interface SweepInput {
  readonly plan: Plan;
  readonly host: HostFacts;
  readonly runners: ReadonlyMap<string, Runner>;
  readonly samplers: readonly Sampler[];
  readonly weights: WeightsStore;
  /** New, or one to be continued: its journal decides what is left to do. */
  readonly folder: RunFolder;
  /** Of a new run: written first. Of a continued one: as read, with `hostCaveats` added. */
  readonly manifest: Manifest;
  /** Caveats of the host now: they are added to those of the manifest. */
  readonly hostCaveats: readonly Caveat[];
  readonly deriveRows: DeriveRows;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
  /** Null when it cannot be measured (a GPU without a way to). */
  measureBandwidth(request: {
    readonly device: DeviceIdentity;
    readonly threads: number;
    readonly signal: AbortSignal;
  }): Promise<MeasuredBandwidth | null>;
  onEvent(event: SweepEvent): void;
  /** Runs cells again that failed before. Default: false. */
  readonly retry?: boolean;
  readonly lock?: HostLock;
  /** Memory that a new process can have now; null when unknown. Default: MemAvailable. */
  readonly availableMemoryBytes?: () => Promise<number | null>;
  /** Waits between rounds until the machine is quiet. Default: the CPU is idle, at most 2 s. */
  readonly settle?: (signal: AbortSignal) => Promise<void>;
  readonly now?: () => Date;
}

export interface SweepOutcome {
  readonly folder: string;
  /** Cells by what became of them. */
  readonly ok: number;
  readonly failed: number;
  readonly refused: number;
  readonly waiting: number;
  /** A failure that may pass by itself left the run unfinished: the same command continues it. */
  readonly continuable: boolean;
}

/** Progress is told at most this often: whoever watches reads no faster, and every word of it is paid beside the worker. */
const PROGRESS_EVERY_MS = 500;

/**
 * Runs all cells of a plan that this machine can run, round by round, and continues where an earlier call stopped. The
 * journal is the only memory: what it holds as finished is not run again.
 *
 * @throws {BenchError} `INTERRUPTED` (everything measured so far is kept), `DISK_FULL`, `FILE_UNREADABLE`,
 * `RESULTS_INVALID` for a damaged journal.
 */
export async function runSweep(input: SweepInput): Promise<SweepOutcome> {
  const state = new SweepState();
  const journal = Journal.open(input.folder.journalPath);
  try {
    for await (const record of journalRecords(input.folder.journalPath)) state.take(record);
    return await new Sweep(input, state, journal).run();
  } finally {
    journal.close();
  }
}

interface RoundPlace {
  readonly round: number;
  /** Within the round. */
  readonly position: number;
  readonly canary: boolean;
  readonly samplers: readonly Sampler[];
  readonly weightsPath: string;
}

class Sweep {
  readonly #input: SweepInput;
  readonly #state: SweepState;
  readonly #journal: Journal;
  readonly #tables: SweepTables;
  readonly #runnable: readonly PlannedCell[];
  readonly #timeLeft: TimeLeft;
  readonly #now: () => Date;
  readonly #files = systemFiles();
  #manifest: Manifest;

  constructor(input: SweepInput, state: SweepState, journal: Journal) {
    this.#input = input;
    this.#state = state;
    this.#journal = journal;
    this.#tables = new SweepTables(input.folder, state, input.deriveRows);
    this.#runnable = input.plan.cells.filter(({verdict}) => verdict === 'run');
    this.#timeLeft = new TimeLeft(this.#runnable);
    this.#now = input.now ?? (() => new Date());
    this.#manifest = {...input.manifest, caveats: union(input.manifest.caveats, allCaveats(input))};
  }

  async run(): Promise<SweepOutcome> {
    await writeManifest(this.#input.folder.manifestPath, this.#manifest);
    this.#open();
    this.#tell({
      type: 'sweep_started',
      runId: this.#input.folder.runId,
      folder: this.#input.folder.path,
      rounds: this.#input.plan.rounds,
      cells: this.#runnable.length,
      roundsTotal: this.#runnable.reduce((sum, {cell}) => sum + cell.rounds, 0),
      roundsDone: this.#runnable.reduce((sum, {cell}) => sum + this.#state.roundsDone(cell), 0),
    });
    try {
      // Tables first: a disk or a folder that cannot take them is to be known before anything is measured.
      await this.#tables.refresh(this.#manifest);
      await this.#measure();
    } catch (error) {
      await this.#keepTables();
      throw error;
    }
    return await this.#close();
  }

  async #measure(): Promise<void> {
    const cells = this.#runnable.map(({cell}) => cell);
    const due = cells.filter((cell) => range(cell.rounds).some((round) => this.#state.isDue(cell, round)));
    const paths = await ensureWeights(
      [...due, ...this.#canaryCandidates(cells)].filter((cell) => this.#needsWeights(cell)),
      {
        weights: this.#input.weights,
        state: this.#state,
        signal: this.#input.signal,
        append: (record) => this.#append(record),
        onEvent: (event) => this.#tell(event),
        now: this.#now,
      },
    );
    await this.#bandwidths(due);
    const samplers = await availableSamplers(this.#input.samplers);
    const rounds = Math.max(0, ...cells.map((cell) => cell.rounds));
    for (const round of range(rounds)) {
      const {order, seed} = this.#input.plan;
      const dueCells = cells.filter((cell) => round < cell.rounds);
      for (const [position, cell] of roundOrder(dueCells, round, order, seed).entries()) {
        if (!this.#state.isDue(cell, round)) continue;
        await this.#round(cell, {round, position, canary: false, samplers, weightsPath: paths.get(cell.id) ?? ''});
      }
    }
    await this.#canary(cells, samplers, paths);
  }

  /** The first cell that ran well, once more: whether the host is still as it was. */
  async #canary(cells: readonly Cell[], samplers: readonly Sampler[], paths: Map<string, string>): Promise<void> {
    const [cell] = this.#canaryCandidates(cells);
    if (cell === undefined || !this.#state.isWhole(cell)) return;
    const weightsPath = paths.get(cell.id) ?? '';
    if (weightsPath === '' && this.#needsWeights(cell)) return;
    await this.#round(cell, {round: cell.rounds, position: 0, canary: true, samplers, weightsPath});
  }

  #canaryCandidates(cells: readonly Cell[]): Cell[] {
    if (!this.#input.plan.canary || cells.some(({id}) => this.#state.canaryDone(id))) return [];
    return cells.filter((cell) => this.#state.failure(cell.id) === null).slice(0, 1);
  }

  #needsWeights(cell: Cell): boolean {
    return needsWeights(cell, this.#input.runners);
  }

  /** Once per device and number of threads, before any cell: the roofline of the rows. */
  async #bandwidths(cells: readonly Cell[]): Promise<void> {
    for (const {device, settings, runner} of cells) {
      const identity = this.#input.host.devices.find(({name}) => name === device);
      if (
        identity === undefined ||
        runner.server?.elsewhere === true ||
        this.#state.hasBandwidth(device, settings.threads)
      )
        continue;
      this.#stopIfAborted();
      this.#tell({type: 'step', text: `memory bandwidth of ${device} with ${settings.threads} threads`});
      const {signal} = this.#input;
      const measured = await this.#input
        .measureBandwidth({device: identity, threads: settings.threads, signal})
        .catch((error: unknown) => {
          this.#stopIfAborted();
          if (!(error instanceof BenchError)) throw error;
          this.#tell({type: 'warning', text: `memory bandwidth of ${device}: ${error.message}`});
          return null;
        });
      if (measured === null) continue;
      this.#append({
        type: 'bandwidth',
        device,
        threads: settings.threads,
        ...measured,
        at: this.#now().toISOString(),
      });
    }
  }

  async #round(cell: Cell, how: RoundPlace): Promise<void> {
    this.#stopIfAborted();
    const {round, canary} = how;
    const beganMs = performance.now();
    this.#tell({type: 'cell_started', cell, round, position: how.position});
    const result = await this.#measureRound(cell, how);
    this.#timeLeft.took(cell, (performance.now() - beganMs) / 1000);
    this.#tell({
      type: 'cell_finished',
      cell,
      round,
      status: result.status,
      reason: result.reason,
      requests: result.requests,
      prefillTokensPerS: result.prefillTokensPerS,
      decodeTokensPerS: result.decodeTokensPerS,
      secondsLeft: this.#secondsLeft(),
    });
    if (!canary) await this.#tables.refresh(this.#manifest);
    await (this.#input.settle ?? waitUntilQuiet)(this.#input.signal);
  }

  async #measureRound(cell: Cell, how: RoundPlace): Promise<RoundResult> {
    const {host, runners, plan, folder, signal, lock} = this.#input;
    let requests = 0;
    let toldMs = 0;
    try {
      await this.#checkMemory(cell);
      return await runRound(
        {
          cell,
          round: how.round,
          canary: how.canary,
          launch: launchOf(cell, {host, runners, matrixDir: plan.matrixDir}),
          weightsPath: how.weightsPath,
          matrixDir: plan.matrixDir,
          gpuIndex: gpuIndexOf(cell, host),
          samplePeriodMs: plan.samplePeriodMs,
        },
        {
          samplers: how.samplers,
          signal,
          logPath: folder.logPath(cell.id),
          lock: lock ?? null,
          append: (record) => this.#append(record),
          keepTelemetry: (series) => writeTelemetry(folder.telemetryPath, {cellId: cell.id, round: how.round, series}),
          onPhase: (phase) => this.#tell({type: 'cell_phase', cell, phase}),
          onRequest: (event, pid) => {
            requests++;
            if (performance.now() - toldMs < PROGRESS_EVERY_MS) return;
            toldMs = performance.now();
            const rates = {
              prefillTokensPerS: prefillRate(event, cell.workload.generatedTokens),
              decodeTokensPerS: decodeRate(event),
            };
            const secondsLeft = this.#secondsLeft();
            const ramBytes = parseProcessMemory(this.#files.text(`/proc/${pid}/status`) ?? '')?.rssBytes ?? null;
            this.#tell({type: 'cell_progress', cell, requests, ...rates, ramBytes, secondsLeft});
          },
          now: this.#now,
        },
      );
    } catch (error) {
      // Only what was found before the worker existed is still to be recorded.
      if (!(error instanceof BenchError) || !BEFORE_START.has(error.code)) throw error;
      recordFailure(cell, error, {
        state: this.#state,
        append: (record) => this.#append(record),
        now: this.#now,
      });
      const status = this.#state.failure(cell.id) ?? 'unsupported';
      return {
        status,
        reason: `${error.code}: ${error.message}`,
        requests: 0,
        prefillTokensPerS: null,
        decodeTokensPerS: null,
      };
    }
  }

  /** @throws {BenchError} `DOES_NOT_FIT`: swapping, or an out-of-memory kill of somebody else, helps nobody. */
  async #checkMemory(cell: Cell): Promise<void> {
    const planned = this.#runnable.find((one) => one.cell.id === cell.id)?.estimate.memoryBytes ?? null;
    // On a GPU the estimate is of its memory, which the plan has compared.
    if (planned === null || cell.deviceKind !== 'cpu') return;
    const available = await (this.#input.availableMemoryBytes ?? memAvailable)();
    if (available === null || planned <= available) return;
    throw new BenchError(
      'DOES_NOT_FIT',
      `needs about ${formatBytes(planned)}, but ${formatBytes(available)} of memory are free`,
      {details: {neededBytes: planned, availableBytes: available}},
    );
  }

  #open(): void {
    const at = this.#now().toISOString();
    const {runId} = this.#input.folder;
    if (this.#state.started) this.#append({type: 'run_continued', at});
    else this.#append({type: 'run_started', schema: JOURNAL_SCHEMA_VERSION, runId, at});
    this.#state.forgetFailures(this.#input.retry ?? false);
    for (const {cell, verdict, reason, refusedAs} of this.#input.plan.cells) {
      if (this.#state.isPlanned(cell.id)) continue;
      this.#append({type: 'cell_planned', cell, verdict, reason, refusedAs});
    }
  }

  async #close(): Promise<SweepOutcome> {
    const cells = this.#input.plan.cells;
    const continuable = this.#runnable.some(({cell}) => this.#state.mayPass(cell.id));
    const finishedAt = this.#now().toISOString();
    if (!continuable) {
      this.#append({type: 'run_finished', at: finishedAt});
      this.#manifest = {...this.#manifest, finishedAt};
    }
    await this.#tables.finish(this.#manifest);
    await writeManifest(this.#input.folder.manifestPath, this.#manifest);
    const ok = this.#runnable.filter(({cell}) => this.#state.isWhole(cell)).length;
    const outcome = {
      folder: this.#input.folder.path,
      ok,
      failed: this.#runnable.length - ok,
      refused: cells.filter(({verdict}) => verdict === 'refused').length,
      waiting: cells.filter(({verdict}) => verdict === 'waiting').length,
    };
    this.#tell({type: 'sweep_finished', ...outcome});
    return {...outcome, continuable};
  }

  /** After a failure: what can still be written is written, and the failure itself is what is told. */
  async #keepTables(): Promise<void> {
    try {
      await this.#tables.finish(this.#manifest);
    } catch (error) {
      this.#tell({type: 'warning', text: `the tables were not written: ${String(error)}`});
    }
  }

  #append(record: JournalRecord): void {
    this.#journal.append(record);
    this.#state.take(record);
  }

  #tell(event: SweepEvent): void {
    this.#input.onEvent(event);
  }

  #secondsLeft(): number | null {
    return this.#timeLeft.seconds((cell) => cell.rounds - this.#state.roundsDone(cell));
  }

  #stopIfAborted(): void {
    if (this.#input.signal.aborted) throw new BenchError('INTERRUPTED', 'Interrupted between two cells');
  }
}

const BEFORE_START: ReadonlySet<BenchError['code']> = new Set([
  'UNSUPPORTED',
  'DOES_NOT_FIT',
  'PYTHON_MISSING',
  'ENGINE_UNAVAILABLE',
]);

/** Of a GPU of this machine; null for the CPU, and for a server elsewhere, whatever its device is called. */
function gpuIndexOf({device, runner}: Cell, host: HostFacts): number | null {
  if (runner.server?.elsewhere === true) return null;
  return host.devices.find(({name}) => name === device)?.gpuIndex ?? null;
}

function range(length: number): number[] {
  return Array.from({length}, (_, index) => index);
}

function allCaveats({hostCaveats, lock}: SweepInput): Caveat[] {
  return [...hostCaveats, ...(lock?.caveats ?? [])];
}

/** Each code once: the caveat that came first stays. */
function union(known: readonly Caveat[], added: readonly Caveat[]): Caveat[] {
  const all = [...known, ...added];
  return all.filter(({code}, index) => all.findIndex((one) => one.code === code) === index);
}

async function memAvailable(): Promise<number | null> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1];
  return kib === undefined ? null : Number(kib) * 1024;
}
