import type {WorkerEventInput} from '../../harness/contract/protocol.ts';
import {descriptorWriter, type WriteBytes, writeWhole} from './write-whole.ts';

/** The descriptor that the protocol fixes for events. */
const EVENT_FD = 3;

/**
 * The worker's way to speak: one JSON object a line, written at once, so that nothing is lost when the process dies in
 * the next instant. Never used within a request: a write is a system call and wakes the harness.
 */
export class EventChannel {
  readonly #write: WriteBytes;
  readonly #pause: (() => void) | undefined;

  constructor(write: WriteBytes = descriptorWriter(EVENT_FD), pause?: () => void) {
    this.#write = write;
    this.#pause = pause;
  }

  /** @throws What the write throws, EAGAIN excepted: without a listener there is nothing left to do. */
  send(event: WorkerEventInput): void {
    writeWhole(Buffer.from(`${JSON.stringify(event)}\n`), this.#write, this.#pause);
  }
}
