import {type FileHandle, open, statfs} from 'node:fs/promises';
import {dirname} from 'node:path';
import {BenchError} from '../contract/errors.ts';
import {formatBytes} from '../contract/units.ts';
import {asFileError, errnoOf} from './file-errors.ts';

const CHUNK_BYTES = 4 * 2 ** 20;
const CHUNKS = 4;
/** The disk is put to work after so many bytes, not only by the sync at the end. */
const SYNC_BYTES = 256 * 2 ** 20;

/**
 * A file of known length, written from front to end while the next chunk is computed: a few buffers, several writes in
 * flight. Errors of the background show up at the next call.
 */
export class WeightsFile {
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #totalBytes: number;
  readonly #free: Uint8Array<ArrayBuffer>[] = [];
  readonly #pending = new Set<Promise<void>>();
  #made = 0;
  #position = 0;
  #syncedTo = 0;
  #syncs = 0;
  #failure: unknown = null;

  private constructor(path: string, handle: FileHandle, totalBytes: number) {
    this.path = path;
    this.#handle = handle;
    this.#totalBytes = totalBytes;
  }

  /** @throws {BenchError} DISK_FULL when the file cannot fit; FILE_UNREADABLE when it cannot be opened. */
  static async create(path: string, totalBytes: number): Promise<WeightsFile> {
    const folder = dirname(path);
    const handle = await open(path, 'w').catch((error: unknown) => {
      throw asFileError(error, path);
    });
    const {bavail, bsize} = await statfs(folder);
    if (bavail * bsize < totalBytes) {
      await handle.close();
      throw diskFull(path, totalBytes, bavail * bsize, undefined);
    }
    return new WeightsFile(path, handle, totalBytes);
  }

  get position(): number {
    return this.#position;
  }

  /** An idle buffer to fill and to hand to {@link append}; waits while all are being written. */
  async chunk(): Promise<Uint8Array<ArrayBuffer>> {
    while (this.#free.length === 0 && this.#made === CHUNKS) await Promise.race(this.#pending);
    this.#throwFailure();
    const chunk = this.#free.pop();
    if (chunk !== undefined) return chunk;
    this.#made++;
    return new Uint8Array(CHUNK_BYTES);
  }

  /** Starts to write the first bytes of a chunk from {@link chunk}, which belongs to the file again. */
  append(chunk: Uint8Array<ArrayBuffer>, bytes: number): void {
    this.#start(chunk.subarray(0, bytes), () => this.#free.push(chunk));
  }

  /** Writes bytes of any length; they must not change until {@link finish}. */
  async appendOwn(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
      while (this.#pending.size >= CHUNKS) await Promise.race(this.#pending);
      this.#throwFailure();
      this.#start(bytes.subarray(start, start + CHUNK_BYTES));
    }
  }

  /** Waits for all bytes to be on the disk, and closes. */
  async finish(): Promise<void> {
    try {
      await Promise.all(this.#pending);
      this.#throwFailure();
      if (this.#position !== this.#totalBytes) {
        throw new BenchError(
          'INTERNAL',
          `${this.path}: ${this.#position} bytes written, ${this.#totalBytes} announced`,
        );
      }
      await this.#handle.sync().catch((error: unknown) => {
        throw this.#explain(error);
      });
    } finally {
      await this.abandon();
    }
  }

  /** Closes without a promise of anything; the caller removes the file. */
  async abandon(): Promise<void> {
    await Promise.allSettled(this.#pending);
    await this.#handle.close();
  }

  #start(bytes: Uint8Array, onDone?: () => void): void {
    const position = this.#position;
    this.#position += bytes.length;
    this.#track(this.#writeAll(bytes, position), onDone);
    if (this.#syncs === 0 && this.#position - this.#syncedTo >= SYNC_BYTES) {
      this.#syncs++;
      this.#syncedTo = this.#position;
      this.#track(this.#handle.datasync(), () => {
        this.#syncs--;
      });
    }
  }

  #track(work: Promise<void>, onDone?: () => void): void {
    const tracked = work
      .catch((error: unknown) => {
        this.#failure ??= this.#explain(error);
      })
      .then(() => {
        this.#pending.delete(tracked);
        onDone?.();
      });
    this.#pending.add(tracked);
  }

  async #writeAll(bytes: Uint8Array, position: number): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      const {bytesWritten} = await this.#handle.write(bytes, written, bytes.length - written, position + written);
      written += bytesWritten;
    }
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  #explain(error: unknown): unknown {
    const errno = errnoOf(error);
    return errno === 'ENOSPC' || errno === 'EDQUOT'
      ? diskFull(this.path, this.#totalBytes, null, error)
      : asFileError(error, this.path);
  }
}

function diskFull(path: string, totalBytes: number, availableBytes: number | null, cause: unknown): BenchError {
  const left = availableBytes === null ? 'no space left' : `${formatBytes(availableBytes)} free`;
  return new BenchError('DISK_FULL', `${path}: ${formatBytes(totalBytes)} needed, ${left} in ${dirname(path)}`, {
    cause,
    details: {path, neededBytes: totalBytes, availableBytes},
  });
}
