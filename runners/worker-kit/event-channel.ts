import {writeSync} from 'node:fs';
import type {WorkerEventInput} from '../../harness/contract/protocol.ts';

/** The descriptor that the protocol fixes for events. */
const EVENT_FD = 3;
const RETRY_MS = 1;

/** The part of `fs.writeSync` that is needed: bytes from `offset` on, returns how many were taken. */
export type WriteBytes = (bytes: Uint8Array, offset: number) => number;

/**
 * The worker's way to speak: one JSON object a line, written at once, so that nothing is lost when the process dies in
 * the next instant. Never used within a request: a write is a system call and wakes the harness.
 */
export class EventChannel {
  readonly #write: WriteBytes;
  readonly #pause: () => void;

  constructor(
    write: WriteBytes = (bytes, offset) => writeSync(EVENT_FD, bytes, offset),
    pause: () => void = sleepOneTick,
  ) {
    this.#write = write;
    this.#pause = pause;
  }

  /** @throws What the write throws, EAGAIN excepted: without a listener there is nothing left to do. */
  send(event: WorkerEventInput): void {
    const bytes = Buffer.from(`${JSON.stringify(event)}\n`);
    let offset = 0;
    while (offset < bytes.length) {
      try {
        offset += this.#write(bytes, offset);
      } catch (error) {
        // A pipe that its reader made non-blocking is full: the reader needs the time, so wait and go on.
        if (!isTryAgain(error)) throw error;
        this.#pause();
      }
    }
  }
}

function isTryAgain(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN';
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));
function sleepOneTick(): void {
  Atomics.wait(sleeper, 0, 0, RETRY_MS);
}
