import {randomBytes} from 'node:crypto';
import type {Readable} from 'node:stream';
import {setTimeout as delay} from 'node:timers/promises';
import {execa} from 'execa';
import {BenchError, type BenchErrorCode, type WireError} from '../contract/errors.ts';
import {type WorkerEvent, WorkerEventSchema, type WorkOrder} from '../contract/protocol.ts';
import type {Launch} from '../contract/runner.ts';
import {type WorkerEnd, workerError} from './exit-error.ts';
import {WorkerGuard} from './guard-process.ts';
import {killWorker} from './kill-worker.ts';
import {LineSplitter} from './line-splitter.ts';
import {oneLine} from './log-reason.ts';
import {OomWatch} from './oom-watch.ts';
import {WORKER_MARK} from './process-tree.ts';
import {Watchdog} from './watchdog.ts';
import {WorkerLog} from './worker-log.ts';

/** A request with a hundred thousand token times has about 2 MB. */
const MAX_LINE_BYTES = 8 << 20;
/** After `done` a worker may take this long to free its memory and end. */
const END_GRACE_MS = 10_000;
const KILL_GRACE_MS = 5_000;

export interface WorkerContext {
  /** Aborts when the user presses Ctrl-C. */
  readonly signal: AbortSignal;
  /** Receives the standard output and error of the worker, capped. */
  readonly logPath: string;
  /** First line of this worker's part of the log. */
  readonly logTitle: string;
  /**
   * Called once the worker exists and waits for its order: start the samplers here. The order is written when the
   * promise resolves; if it rejects, the worker is ended and `runWorker` rejects with the same error. It has
   * settled when `runWorker` has, also when the worker died meanwhile.
   */
  prepare(worker: {readonly pid: number; readonly mark: string}): Promise<void>;
  /** Receives each event as it arrives, before the next one is read. An error thrown here ends the worker. */
  emit(event: WorkerEvent): void;
  /** Time between SIGTERM and SIGKILL. Default: 5 s. */
  readonly killGraceMs?: number;
}

/**
 * Runs the worker of one cell to its end, in a process group of its own. Whatever happens, no process that the worker
 * started is left when this returns; if the harness itself is killed, a guard ends the worker.
 *
 * @returns How the worker ended after it had said `done`.
 * @throws {BenchError} What the worker said (`failed`), or `INTERRUPTED`, `CELL_TIMEOUT`, `WORKER_HUNG`,
 * `DOES_NOT_FIT`, `WORKER_CRASHED`, `PROTOCOL_VIOLATION`, `ENGINE_UNAVAILABLE`; whatever `prepare` and `emit` threw.
 */
export async function runWorker(launch: Launch, order: WorkOrder, context: WorkerContext): Promise<WorkerEnd> {
  if (context.signal.aborted) throw interrupted(order);
  const mark = randomBytes(12).toString('hex');
  const oomWatch = new OomWatch();
  const log = new WorkerLog(context.logPath, context.logTitle);
  const child = execa(launch.file, [...launch.args], {
    env: {...launch.env, [WORKER_MARK]: mark},
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    buffer: false,
    detached: true,
    cleanup: false,
    reject: false,
  });
  const exited = new Promise<{code: number | null; signal: NodeJS.Signals | null}>((resolve) => {
    child.once('exit', (code, signal) => resolve({code, signal}));
  });
  if (child.pid === undefined) {
    const {shortMessage} = await child;
    log.close();
    throw new BenchError('ENGINE_UNAVAILABLE', oneLine(`Cannot start ${launch.file}: ${shortMessage ?? ''}`), {
      details: {file: launch.file},
    });
  }

  const pid = child.pid;
  const guard = new WorkerGuard(pid, mark);
  const ending = new Ending();
  const watchdog = new Watchdog(order.cell, (error) => ending.fail(error));
  const abort = () => ending.fail(interrupted(order));
  context.signal.addEventListener('abort', abort, {once: true});
  child.stdout.on('data', (chunk: Buffer) => log.write(chunk));
  child.stderr.on('data', (chunk: Buffer) => log.write(chunk));
  const streams: Readable[] = [child.stdout, child.stderr];
  let orderSent = false;
  // execa types the fourth entry as either direction; on our side it is read.
  const eventStream = child.stdio[3] as unknown as Readable;
  streams.push(eventStream);
  const eventsEnded = readEvents(eventStream, order, ending, (event) => {
    if (!orderSent && event.type !== 'failed') {
      throw new BenchError('PROTOCOL_VIOLATION', `The worker of cell ${order.cell.id} spoke before it had its order`);
    }
    watchdog.see(event);
    context.emit(event);
  });
  for (const stream of streams) stream.on('error', () => undefined);
  child.stdin.on('error', () => undefined);

  let prepared: Promise<void> = Promise.resolve();
  try {
    const preparing = context.prepare({pid, mark});
    prepared = preparing.catch(() => undefined);
    await Promise.race([preparing, ending.failed, exited]);
    if (!ending.over) {
      orderSent = true;
      watchdog.start();
      child.stdin.end(JSON.stringify(order));
    }
    const exit = await Promise.race([exited, ending.failed, ending.done.then(() => leaveTime(exited))]);
    if (exit !== undefined) {
      // What the worker wrote last is still in the pipe; a grandchild may hold the pipe open for ever.
      await Promise.race([eventsEnded, ending.failed, delay(1_000, undefined, {ref: false})]);
    }
  } catch (error) {
    ending.fail(error);
  } finally {
    watchdog.stop();
    context.signal.removeEventListener('abort', abort);
  }

  const graceMs = context.killGraceMs ?? KILL_GRACE_MS;
  const left = await killWorker(pid, mark, {graceMs});
  guard.release();
  // A worker can die while it is prepared for: samplers that start after that must be known to whoever stops them.
  await prepared;
  const exit = await Promise.race([exited, delay(1_000, undefined, {ref: false})]);
  for (const stream of streams) stream.destroy();
  const logTail = log.tail;
  log.close();

  if (ending.failure !== null) throw ending.failure.error;
  if (left.length > 0) {
    throw new BenchError('WORKER_CRASHED', `The worker of cell ${order.cell.id} cannot be ended (process ${left[0]})`, {
      details: {pid: left[0] ?? pid},
    });
  }
  const end: WorkerEnd = {code: exit?.code ?? null, signal: exit?.signal ?? null};
  if (ending.saidDone) return end;
  throw workerError(order.cell.id, end, {logTail, oomKiller: oomWatch.killedBy()});
}

async function leaveTime(exited: Promise<unknown>): Promise<undefined> {
  await Promise.race([exited, delay(END_GRACE_MS, undefined, {ref: false})]);
}

function interrupted({cell}: WorkOrder): BenchError {
  return new BenchError('INTERRUPTED', `Interrupted while cell ${cell.id} ran`);
}

/** The first thing that ends a worker's life: its `done`, or a failure. What comes later does not change it. */
class Ending {
  /** Resolves, with nothing, when something failed. */
  readonly failed: Promise<undefined>;
  readonly done: Promise<void>;
  failure: {readonly error: unknown} | null = null;
  #saidDone = 0;
  readonly #resolveFailed: () => void;
  readonly #resolveDone: () => void;

  constructor() {
    let failed: () => void = () => undefined;
    let done: () => void = () => undefined;
    this.failed = new Promise((resolve) => {
      failed = () => resolve(undefined);
    });
    this.done = new Promise((resolve) => {
      done = resolve;
    });
    this.#resolveFailed = failed;
    this.#resolveDone = done;
  }

  get saidDone(): boolean {
    return this.#saidDone > 0;
  }

  get over(): boolean {
    return this.failure !== null || this.saidDone;
  }

  fail(error: unknown): void {
    if (this.failure !== null) return;
    this.failure = {error};
    this.#resolveFailed();
  }

  finish(): void {
    this.#saidDone++;
    this.#resolveDone();
  }
}

/** Reads events until the stream ends or something failed; never rejects. */
async function readEvents(
  stream: Readable,
  order: WorkOrder,
  ending: Ending,
  emit: (event: WorkerEvent) => void,
): Promise<void> {
  const {id} = order.cell;
  const splitter = new LineSplitter(MAX_LINE_BYTES);
  const take = (chunk: Buffer) => {
    if (ending.failure !== null) return;
    try {
      const lines = splitter.push(chunk);
      if (lines === null) {
        throw new BenchError(
          'PROTOCOL_VIOLATION',
          `The worker of cell ${id} wrote a line above ${MAX_LINE_BYTES} bytes`,
        );
      }
      for (const line of lines) {
        const event = parseEvent(line, id);
        emit(event);
        if (event.type === 'failed') throw saidFailure(event.error);
        if (event.type === 'done') ending.finish();
      }
    } catch (error) {
      ending.fail(error);
    }
  };
  await new Promise<void>((resolve) => {
    stream.on('data', take);
    stream.once('close', resolve);
    stream.once('end', resolve);
    stream.once('error', () => resolve());
  });
  if (splitter.pendingBytes > 0 && !ending.over) {
    ending.fail(new BenchError('PROTOCOL_VIOLATION', `The worker of cell ${id} stopped within a line`));
  }
}

/** Codes that end the whole sweep when the harness throws them: of a worker they mean that it alone failed. */
const HARNESS_CODES: ReadonlySet<BenchErrorCode> = new Set(['INTERNAL', 'INTERRUPTED', 'DISK_FULL', 'FILE_UNREADABLE']);

function saidFailure(error: WireError): BenchError {
  if (!HARNESS_CODES.has(error.code)) return BenchError.fromWire(error);
  return new BenchError('WORKER_CRASHED', `${error.code}: ${error.message}`, {details: error.details});
}

/** @throws {BenchError} `PROTOCOL_VIOLATION`. */
function parseEvent(line: string, cellId: string): WorkerEvent {
  const parsed = WorkerEventSchema.safeParse(parseJson(line));
  if (parsed.success) return parsed.data;
  const message = `The worker of cell ${cellId} wrote "${oneLine(line.slice(0, 80))}", which is no event`;
  throw new BenchError('PROTOCOL_VIOLATION', message, {cause: parsed.error});
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
