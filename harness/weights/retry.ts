import {setTimeout as delay} from 'node:timers/promises';
import {BenchError} from '../contract/errors.ts';
import {throwIfAborted} from './file-errors.ts';

/** Pauses between attempts that brought nothing: about two minutes in all, enough for a router to restart. */
export const RETRY_DELAYS_MS: readonly number[] = [500, 1000, 2000, 4000, 8000, 15_000, 30_000, 60_000];

/** Thrown by an attempt: worth another one. */
export class Transient extends Error {
  override readonly name = 'Transient';
  /** What the server asks for (`Retry-After`). */
  readonly waitMs: number;

  constructor(message: string, {cause, waitMs = 0}: {cause?: unknown; waitMs?: number} = {}) {
    super(message, cause === undefined ? undefined : {cause});
    this.waitMs = waitMs;
  }
}

/** Seconds or an HTTP date; at most five minutes, 0 when absent. */
export function retryAfterMs(header: string | null): number {
  if (header === null) return 0;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.min(300_000, Math.max(0, ms)) : 0;
}

/** The reason inside fetch's `TypeError: fetch failed`, which says nothing itself. */
function networkReason(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(inner instanceof Error)) return String(inner);
  const code = 'code' in inner && typeof inner.code === 'string' ? inner.code : '';
  return inner.message === '' ? code || inner.name : inner.message;
}

export interface RetryOptions {
  readonly what: string;
  readonly signal: AbortSignal;
  readonly delaysMs: readonly number[];
  /** Grows while attempts bring something: then the count of vain attempts begins anew. */
  progress(): number;
}

/**
 * @throws {BenchError} NETWORK when all attempts were in vain, INTERRUPTED; what is neither {@link Transient} nor a failure of fetch passes.
 */
export async function withRetries<T>(
  {what, signal, delaysMs, progress}: RetryOptions,
  attempt: () => Promise<T>,
): Promise<T> {
  let vain = 0;
  let best = progress();
  for (;;) {
    throwIfAborted(signal, what);
    try {
      return await attempt();
    } catch (error) {
      throwIfAborted(signal, what);
      // fetch reports a refused, reset or timed-out connection as TypeError; an idle limit of ours as TimeoutError.
      const isNetwork = error instanceof TypeError || (error instanceof Error && error.name === 'TimeoutError');
      if (!(error instanceof Transient || isNetwork)) throw error;
      if (progress() > best) vain = 0;
      best = Math.max(best, progress());
      const pause = delaysMs[vain++];
      if (pause === undefined) {
        const failure = new BenchError(
          'NETWORK',
          `${what}: ${networkReason(error)} (gave up after ${vain} attempts in vain)`,
          {cause: error},
        );
        throw failure;
      }
      const waitMs = Math.max(error instanceof Transient ? error.waitMs : 0, pause * (0.75 + Math.random() / 2));
      await delay(waitMs, undefined, {signal}).catch(() => undefined);
    }
  }
}
