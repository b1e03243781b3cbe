import {writeSync} from 'node:fs';

const RETRY_MS = 1;

/** The part of `fs.writeSync` that is needed: bytes from `offset` on, returns how many were taken. */
export type WriteBytes = (bytes: Uint8Array, offset: number) => number;

/**
 * Writes all bytes, however full the pipe is. A reader may have made the pipe non-blocking: then a full pipe is EAGAIN,
 * and the reader needs the time, so wait and go on.
 *
 * @throws What the write throws, EAGAIN excepted.
 */
export function writeWhole(bytes: Uint8Array, write: WriteBytes, pause: () => void = sleepOneTick): void {
  let offset = 0;
  while (offset < bytes.length) {
    try {
      offset += write(bytes, offset);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
      pause();
    }
  }
}

/** A {@link WriteBytes} for a file descriptor. */
export function descriptorWriter(fd: number): WriteBytes {
  return (bytes, offset) => writeSync(fd, bytes, offset);
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));
function sleepOneTick(): void {
  Atomics.wait(sleeper, 0, 0, RETRY_MS);
}
