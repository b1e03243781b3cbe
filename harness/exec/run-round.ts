import {randomBytes} from 'node:crypto';
import {join} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import type {Caveat} from '../contract/caveats.ts';
import type {Cell} from '../contract/cell.ts';
import {BenchError} from '../contract/errors.ts';
import type {JournalRecord, RoundStatus} from '../contract/journal.ts';
import {PROTOCOL_VERSION, type RequestEvent, type WorkerEvent, type WorkOrder} from '../contract/protocol.ts';
import type {Launch} from '../contract/runner.ts';
import type {CellPhase, Sampler, Series} from '../contract/sampler.ts';
import {energyOf} from '../derive/energy.ts';
import {phaseStats} from '../derive/phase-stats.ts';
import {median} from '../derive/quantile.ts';
import {roundStatus} from './exit-error.ts';
import type {HostLock} from './host-lock.ts';
import {oneLine} from './log-reason.ts';
import {ProtocolCheck} from './protocol-check.ts';
import {SampleRecorder} from './record-samples.ts';
import {runWorker} from './worker-process.ts';

/** Readings before the worker has its order: what the machine uses without the model. */
const BASELINE_MS = 120;
/** nvidia-smi reads ten times a second at most. */
const GPU_BASELINE_MS = 300;

export interface RoundInput {
  readonly cell: Cell;
  readonly round: number;
  readonly canary: boolean;
  readonly launch: Launch;
  /** Absolute; '' for a runner without weights. */
  readonly weightsPath: string;
  /** Folder of the matrix file; absolute. */
  readonly matrixDir: string;
  readonly gpuIndex: number | null;
  readonly samplePeriodMs: number;
}

export interface RoundContext {
  readonly samplers: readonly Sampler[];
  readonly signal: AbortSignal;
  readonly logPath: string;
  readonly lock: Pick<HostLock, 'noteWorker'> | null;
  /** Keeps a record; what it throws ends the round (a full disk). */
  append(record: JournalRecord): void;
  keepTelemetry(series: readonly Series[]): Promise<void>;
  onPhase(phase: CellPhase): void;
  /** With the process that answered it. */
  onRequest(event: RequestEvent, pid: number): void;
  /** Wall clock, for information. */
  now(): Date;
}

export interface RoundResult {
  readonly status: RoundStatus;
  readonly reason: string;
  /** Measured ones. */
  readonly requests: number;
  readonly prefillTokensPerS: number | null;
  readonly decodeTokensPerS: number | null;
}

/**
 * Runs one round of one cell: worker spawned and waiting, samplers started, baseline, order, load, warm-up, measuring,
 * samplers stopped. However it ends, it ends with a `round_finished` in the journal: a failure is a result.
 *
 * @throws {BenchError} `INTERRUPTED`: the round has no end in the journal and is repeated; `DISK_FULL` and whatever
 * else hinders the journal, not the cell.
 */
export async function runRound(input: RoundInput, context: RoundContext): Promise<RoundResult> {
  const {cell, round, canary} = input;
  const attempt = randomBytes(8).toString('hex');
  const beganMs = performance.now();
  const nowMs = () => performance.now() - beganMs;
  const at = () => context.now().toISOString();
  context.append({type: 'round_started', cellId: cell.id, round, attempt, canary, at: at()});

  const check = new ProtocolCheck(cell);
  const tally = new Tally(cell.workload.generatedTokens);
  // An array, because it is filled within a callback.
  const recorders: SampleRecorder[] = [];
  const phase = (name: CellPhase) => {
    recorders[0]?.edge(name);
    context.onPhase(name);
  };
  const failures: unknown[] = [];
  let pid = 0;
  try {
    const order = workOrder(input);
    await runWorker(input.launch, order, {
      signal: context.signal,
      logPath: context.logPath,
      logTitle: `round ${round}${canary ? ' (canary)' : ''}, attempt ${attempt}, ${at()}`,
      async prepare(worker) {
        pid = worker.pid;
        await context.lock?.noteWorker(worker);
        const {samplePeriodMs: periodMs, gpuIndex} = input;
        recorders.push(await SampleRecorder.start(context.samplers, {pid: worker.pid, periodMs, nowMs, gpuIndex}));
        context.onPhase('baseline');
        const baselineMs = gpuIndex === null ? BASELINE_MS : GPU_BASELINE_MS;
        await delay(Math.max(baselineMs, 2 * periodMs), undefined, {signal: context.signal}).catch(() => undefined);
        phase('load');
      },
      emit(event) {
        context.append({type: 'event', cellId: cell.id, attempt, tMs: round3(nowMs()), event});
        check.take(event);
        tally.take(event);
        if (event.type === 'phase') phase(event.name);
        if (event.type === 'done') phase('end');
        if (event.type === 'request') context.onRequest(event, pid);
      },
    });
  } catch (error) {
    failures.push(error);
  }
  const [recorder] = recorders;
  if (recorder !== undefined && recorder.edges.at(-1)?.phase !== 'end') phase('end');
  const {series, caveats} = (await recorder?.stop()) ?? {series: [], caveats: []};
  await context.lock?.noteWorker(null);

  const error = failures.length === 0 ? null : cellError(failures[0]);
  const edges = recorder?.edges ?? [];
  const energy = measuredEnergy(series, edges, cell.deviceKind);
  await context.keepTelemetry(series);
  const status = error === null ? 'ok' : roundStatus(error.code);
  const reason = error === null ? '' : oneLine(`${error.code}: ${error.message}`);
  context.append({
    type: 'round_finished',
    cellId: cell.id,
    round,
    attempt,
    canary,
    status,
    reason,
    error: error?.toJSON() ?? null,
    stats: phaseStats(series, edges),
    caveats: [...caveats, ...energy.caveats],
    energyJ: energy.energyJ,
    energySource: energy.source,
    overheadS: Math.max(0, round3(nowMs() - tally.usefulMs) / 1000),
    at: at(),
  });
  const {requests, prefillTokensPerS, decodeTokensPerS} = tally;
  return {status, reason, requests, prefillTokensPerS, decodeTokensPerS};
}

/** What the worker did, in its own times. */
class Tally {
  requests = 0;
  readonly #prefills: number[] = [];
  readonly #decodes: number[] = [];
  readonly #generatedTokens: number;
  #firstNs: number | null = null;
  #lastNs: number | null = null;

  constructor(generatedTokens: number) {
    this.#generatedTokens = generatedTokens;
  }

  take(event: WorkerEvent): void {
    if (event.type === 'ready') this.#firstNs = event.tNs;
    if ('tNs' in event) this.#lastNs = event.tNs;
    if (event.type !== 'request') return;
    this.#lastNs = event.tokenNs.at(-1) ?? this.#lastNs;
    if (event.phase !== 'measure') return;
    this.requests++;
    const [prefill, decode] = [prefillRate(event, this.#generatedTokens), decodeRate(event)];
    if (prefill !== null) this.#prefills.push(prefill);
    if (decode !== null) this.#decodes.push(decode);
  }

  /** Load, warm-up and requests. */
  get usefulMs(): number {
    return this.#firstNs === null || this.#lastNs === null ? 0 : Math.max(0, (this.#lastNs - this.#firstNs) / 1e6);
  }

  get prefillTokensPerS(): number | null {
    return this.#prefills.length === 0 ? null : median(this.#prefills);
  }

  get decodeTokensPerS(): number | null {
    return this.#decodes.length === 0 ? null : median(this.#decodes);
  }
}

/** Evaluated prompt tokens a second until the first token; null for a prompt of one, and where tokens are not streamed. */
export function prefillRate(
  {batch, evaluatedTokens, startNs, tokenNs}: RequestEvent,
  generatedTokens: number,
): number | null {
  if (tokenNs.length !== generatedTokens) return null;
  const spanNs = (tokenNs[0] ?? startNs) - startNs;
  return evaluatedTokens > 1 && spanNs > 0 ? (batch * evaluatedTokens * 1e9) / spanNs : null;
}

/** Tokens a second after the first one; null for a request with one token time. */
export function decodeRate({batch, tokenNs}: RequestEvent): number | null {
  const spanNs = (tokenNs.at(-1) ?? 0) - (tokenNs[0] ?? 0);
  return tokenNs.length > 1 && spanNs > 0 ? (batch * (tokenNs.length - 1) * 1e9) / spanNs : null;
}

function workOrder({cell, round, weightsPath, matrixDir}: RoundInput): WorkOrder {
  const {prompts} = cell.workload;
  const promptsPath = prompts === null ? null : join(matrixDir, prompts);
  return {protocol: PROTOCOL_VERSION, cell, round, weightsPath, promptsPath};
}

function measuredEnergy(
  series: readonly Series[],
  edges: SampleRecorder['edges'],
  deviceKind: Cell['deviceKind'],
): {readonly energyJ: number | null; readonly source: string | null; readonly caveats: readonly Caveat[]} {
  const from = edges.find(({phase}) => phase === 'measure')?.tMs;
  const to = edges.find(({phase}) => phase === 'end')?.tMs;
  if (from === undefined || to === undefined) return {energyJ: null, source: null, caveats: []};
  return energyOf(series, from, to, deviceKind);
}

/** What failed the cell. What failed the harness (interruption, full disk, a bug) is thrown on. */
function cellError(error: unknown): BenchError {
  if (error instanceof BenchError && !ENDS_THE_SWEEP.has(error.code)) return error;
  throw error;
}

const ENDS_THE_SWEEP: ReadonlySet<BenchError['code']> = new Set([
  'INTERRUPTED',
  'DISK_FULL',
  'FILE_UNREADABLE',
  'INTERNAL',
]);

function round3(value: number): number {
  return Math.round(value * 1000) / 1000;
}
