import {randomBytes} from 'node:crypto';
import {type FileHandle, open, rename, unlink} from 'node:fs/promises';
import {basename, dirname, join} from 'node:path';
import {diskError} from './disk-error.ts';

/** Takes the text of a file piece by piece. */
export type Write = (text: string) => Promise<void>;

/** Opens the temporary file; replaced in tests by one whose disk is full. */
export type OpenFile = (path: string) => Promise<Pick<FileHandle, 'writeFile' | 'sync' | 'close'>>;

const openNew: OpenFile = (path) => open(path, 'wx');

/**
 * Writes a file whole or not at all: into a temporary file in the same folder, to the disk, then renamed. Whoever reads
 * `path` sees the old content or the new one, never a part; after a crash, too.
 *
 * @throws {BenchError} `DISK_FULL`, `FILE_UNREADABLE`; the old file is untouched then.
 */
export async function writeFileAtomic(
  path: string,
  produce: (write: Write) => Promise<void>,
  openFile: OpenFile = openNew,
): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`);
  let created = false;
  try {
    const file = await openFile(temporary);
    created = true;
    try {
      await produce((text) => file.writeFile(text));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    created = false;
    await syncFolder(folder);
  } catch (error) {
    if (created) await unlink(temporary).catch(() => undefined);
    throw diskError(error, 'write', path);
  }
}

/** Makes a rename or a new entry durable. Not every file system can; then there is nothing more to do. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null);
  if (handle === null) return;
  await handle.sync().catch(() => undefined);
  await handle.close();
}
