import {BenchError, type BenchErrorCode} from '../contract/errors.ts';
import type {RoundStatus} from '../contract/journal.ts';
import {logReason, tellsOutOfMemory} from './log-reason.ts';

/** How a worker process ended. Both null: it could not be waited for. */
export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Evidence {
  readonly logTail: string;
  /** Whose limit made the kernel kill for want of memory while the worker ran; null for nobody's, or not counted. */
  readonly oomKiller: 'cgroup' | 'host' | null;
}

const SIGNAL_MEANING: Readonly<Record<string, string>> = {
  SIGABRT: 'the engine gave up (assertion)',
  SIGSEGV: 'invalid memory access',
  SIGBUS: 'a mapped file became shorter, or bad memory',
  SIGILL: 'an instruction that this CPU lacks',
  SIGKILL: 'killed from outside',
};

/**
 * The error of a worker that ended without `done` and without `failed`. A SIGKILL that nobody here sent is taken for
 * want of memory only if the kernel counted an out-of-memory kill meanwhile, or the log speaks of it.
 */
export function workerError(cellId: string, end: WorkerEnd, {logTail, oomKiller}: Evidence): BenchError {
  const how = describe(end);
  const said = logReason(logTail);
  const details = {exitCode: end.code, signal: end.signal, oomKiller};
  const tail = said === '' ? '' : `: ${said}`;
  if (end.signal === 'SIGKILL' && oomKiller !== null) {
    const limit = oomKiller === 'cgroup' ? 'memory limit of its control group' : 'out of memory';
    return new BenchError('DOES_NOT_FIT', `The kernel killed the worker of cell ${cellId}: ${limit}`, {details});
  }
  if (end.code !== 0 && tellsOutOfMemory(logTail)) {
    return new BenchError('DOES_NOT_FIT', `The worker of cell ${cellId} ended with ${how}${tail}`, {details});
  }
  if (end.code === 0) {
    return new BenchError('PROTOCOL_VIOLATION', `The worker of cell ${cellId} ended without "done"${tail}`, {details});
  }
  return new BenchError('WORKER_CRASHED', `The worker of cell ${cellId} ended with ${how}${tail}`, {details});
}

function describe({code, signal}: WorkerEnd): string {
  if (signal === null) return `exit code ${code ?? 'unknown'}`;
  const meaning = SIGNAL_MEANING[signal];
  return meaning === undefined ? signal : `${signal} (${meaning})`;
}

const STATUS: Partial<Record<BenchErrorCode, RoundStatus>> = {
  DOES_NOT_FIT: 'does-not-fit',
  UNSUPPORTED: 'unsupported',
  ENGINE_UNAVAILABLE: 'unsupported',
  PYTHON_MISSING: 'unsupported',
  CELL_TIMEOUT: 'timeout',
  WORKER_HUNG: 'timeout',
  NOT_A_NUMBER: 'invalid',
  WRONG_TOKEN_COUNT: 'invalid',
  PROTOCOL_VIOLATION: 'invalid',
};

/** What a failed round is in results.csv. */
export function roundStatus(code: BenchErrorCode): RoundStatus {
  return STATUS[code] ?? 'crashed';
}
