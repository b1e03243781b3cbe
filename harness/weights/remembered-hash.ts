import {mkdir, readFile, rename, stat, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {z} from 'zod';
import {asFileError} from './file-errors.ts';
import {type HashOptions, sha256OfFile, sha256OfText} from './hash-file.ts';

const MemoSchema = z.object({
  path: z.string(),
  bytes: z.number(),
  modifiedMs: z.number(),
  inode: z.number(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/**
 * SHA-256 of a file of the user's, taken again only when its size, time or inode has changed: a large model is not read
 * whole before every run.
 *
 * @param dir Where the hashes are kept; a folder that cannot be written is no reason to fail.
 * @throws {BenchError} FILE_UNREADABLE, INTERRUPTED.
 */
export async function rememberedSha256(path: string, dir: string, options: HashOptions): Promise<string> {
  const memoPath = join(dir, `${sha256OfText(path).slice(0, 32)}.json`);
  const found = await stat(path).catch((error: unknown) => {
    throw asFileError(error, path);
  });
  const facts = {path, bytes: found.size, modifiedMs: found.mtimeMs, inode: found.ino};
  try {
    const {sha256, ...known} = MemoSchema.parse(JSON.parse(await readFile(memoPath, 'utf8')));
    if (JSON.stringify(known) === JSON.stringify(facts)) return sha256;
  } catch {
    // Never hashed, or a file of another version.
  }
  const sha256 = await sha256OfFile(path, options);
  try {
    await mkdir(dir, {recursive: true});
    const draft = `${memoPath}.${process.pid}.${crypto.randomUUID()}`;
    await writeFile(draft, JSON.stringify({...facts, sha256}));
    await rename(draft, memoPath);
  } catch {
    // It will be hashed again next time.
  }
  return sha256;
}
