import {BenchError} from '../../harness/contract/errors.ts';
import type {WorkOrder} from '../../harness/contract/protocol.ts';
import {EventChannel} from './event-channel.ts';
import {readWorkOrder} from './read-work-order.ts';

/** Exit status after a `failed` event: the event says why, the status only that something did. */
const FAILED = 1;

/**
 * Reads the order, lives, and ends: with 0, or with a `failed` event that has a coded error.
 *
 * The process ends at once: freeing what the kernel frees anyway can take seconds, and a native library that aborts
 * while it is torn down would turn a good round into a crash.
 */
export async function workerLife(live: (order: WorkOrder, channel: EventChannel) => Promise<void>): Promise<never> {
  const channel = new EventChannel();
  try {
    await live(readWorkOrder(), channel);
    process.exit(0);
  } catch (error) {
    channel.send({type: 'failed', error: asBenchError(error).toJSON()});
    process.exit(FAILED);
  }
}

function asBenchError(error: unknown): BenchError {
  if (error instanceof BenchError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new BenchError('WORKER_CRASHED', text.split('\n')[0] ?? '', {cause: error});
}
