import {createHash, type Hash} from 'node:crypto';
import {open} from 'node:fs/promises';
import {asFileError, throwIfAborted} from './file-errors.ts';

const CHUNK_BYTES = 4 * 1024 * 1024;

export interface HashOptions {
  readonly signal: AbortSignal;
  readonly onBytes?: ((doneBytes: number) => void) | undefined;
}

/** Feeds a file into a hash, in pieces, so that a model of any size needs one small buffer. */
export async function feedFile(hash: Hash, path: string, {signal, onBytes}: HashOptions): Promise<number> {
  try {
    const file = await open(path, 'r');
    try {
      const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
      let done = 0;
      for (;;) {
        throwIfAborted(signal, path);
        const {bytesRead} = await file.read(buffer, 0, CHUNK_BYTES, done);
        if (bytesRead === 0) return done;
        hash.update(buffer.subarray(0, bytesRead));
        done += bytesRead;
        onBytes?.(done);
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    throw asFileError(error, path);
  }
}

/**
 * @throws {BenchError} FILE_UNREADABLE, INTERRUPTED.
 */
export async function sha256OfFile(path: string, options: HashOptions): Promise<string> {
  const hash = createHash('sha256');
  await feedFile(hash, path, options);
  return hash.digest('hex');
}

export function sha256OfText(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** One hash for several files: of the sorted lines `<sha256>  <name>`, as `sha256sum | sort` would print them. */
export function combinedSha256(files: readonly {readonly name: string; readonly sha256: string}[]): string {
  const only = files.length === 1 ? files[0] : undefined;
  if (only !== undefined) return only.sha256;
  const lines = files.map(({name, sha256}) => `${sha256}  ${name}\n`);
  return sha256OfText(lines.sort().join(''));
}
