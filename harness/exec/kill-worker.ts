import {setTimeout as delay} from 'node:timers/promises';
import {signalQuietly, workerProcesses} from './process-tree.ts';

export interface KillOptions {
  /** Time between SIGTERM and SIGKILL: freeing tens of GiB of VRAM takes seconds. */
  readonly graceMs: number;
}

const POLL_MS = 20;
/** A process that SIGKILL does not end within this time hangs in the kernel (a driver, a dead disk). */
const KILL_WAIT_MS = 5_000;

/**
 * Ends a worker with all that it has started: SIGTERM, after the grace SIGKILL.
 *
 * @returns The processes that are still there: empty unless the kernel holds one.
 */
export async function killWorker(leader: number, mark: string, {graceMs}: KillOptions): Promise<number[]> {
  let left = await workerProcesses(leader, mark);
  if (left.length === 0) return left;
  signalAll(leader, left, 'SIGTERM');
  left = await waitUntilGone(leader, mark, graceMs);
  for (const end = performance.now() + KILL_WAIT_MS; left.length > 0 && performance.now() < end; ) {
    // Again and again: a process may have been forked between the look and the signal.
    signalAll(leader, left, 'SIGKILL');
    left = await waitUntilGone(leader, mark, 100);
  }
  return left;
}

function signalAll(leader: number, pids: readonly number[], signal: NodeJS.Signals): void {
  signalQuietly(-leader, signal);
  for (const pid of pids) signalQuietly(pid, signal);
}

async function waitUntilGone(leader: number, mark: string, atMostMs: number): Promise<number[]> {
  const end = performance.now() + atMostMs;
  for (let waitMs = POLL_MS; ; waitMs = Math.min(200, waitMs * 1.5)) {
    const left = await workerProcesses(leader, mark);
    const restMs = end - performance.now();
    if (left.length === 0 || restMs <= 0) return left;
    await delay(Math.min(waitMs, restMs));
  }
}
