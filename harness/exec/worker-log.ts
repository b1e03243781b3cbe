import {closeSync, mkdirSync, openSync, writeSync} from 'node:fs';
import {dirname} from 'node:path';
import {diskError} from '../store/disk-error.ts';

const HEAD_BYTES = 4 << 20;
const TAIL_BYTES = 64 << 10;

/**
 * Standard output and error of a worker: the first 4 MiB of an attempt as they come, of the rest the last 64 KiB, so
 * that an engine that floods its output cannot fill the disk.
 */
export class WorkerLog {
  readonly #file: number;
  readonly #path: string;
  #headBytes = 0;
  #leftOut = 0;
  #tail = Buffer.alloc(0);
  #failure: unknown = null;

  /** @throws {BenchError} `FILE_UNREADABLE`, `DISK_FULL`. */
  constructor(path: string, title: string) {
    this.#path = path;
    try {
      mkdirSync(dirname(path), {recursive: true});
      this.#file = openSync(path, 'a');
      writeSync(this.#file, `=== ${title}\n`);
    } catch (error) {
      throw diskError(error, 'write', path);
    }
  }

  write(chunk: Buffer): void {
    const room = Math.max(0, HEAD_BYTES - this.#headBytes);
    const head = chunk.subarray(0, room);
    this.#put(head);
    this.#headBytes += head.length;
    this.#leftOut += chunk.length - head.length;
    const tail = Buffer.concat([this.#tail, chunk.subarray(-TAIL_BYTES)]);
    this.#tail = Buffer.from(tail.subarray(-TAIL_BYTES));
  }

  /** The last 64 KiB as text. */
  get tail(): string {
    return this.#tail.toString('utf8');
  }

  /** @throws {BenchError} `DISK_FULL` when the log could not be written whole. */
  close(): void {
    const missing = this.#leftOut - this.#tail.length;
    if (missing > 0) this.#put(Buffer.from(`\n=== ${missing} bytes left out\n`));
    if (this.#leftOut > 0) this.#put(this.#tail.subarray(-Math.min(this.#leftOut, this.#tail.length)));
    if (this.#tail.length > 0 && this.#tail.at(-1) !== 0x0a) this.#put(Buffer.from('\n'));
    closeSync(this.#file);
    if (this.#failure !== null) throw diskError(this.#failure, 'write', this.#path);
  }

  #put(bytes: Buffer): void {
    if (bytes.length === 0 || this.#failure !== null) return;
    try {
      writeSync(this.#file, bytes);
    } catch (error) {
      this.#failure = error;
    }
  }
}
