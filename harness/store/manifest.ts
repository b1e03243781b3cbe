import {readFile} from 'node:fs/promises';
import {type Manifest, ManifestSchema} from '../contract/journal.ts';
import {writeFileAtomic} from './atomic-file.ts';
import {diskError} from './disk-error.ts';
import {firstIssue, invalid} from './invalid.ts';

/** @throws {BenchError} `DISK_FULL`, `FILE_UNREADABLE`. */
export async function writeManifest(path: string, manifest: Manifest): Promise<void> {
  await writeFileAtomic(path, (write) => write(`${JSON.stringify(manifest, null, 2)}\n`));
}

/** @throws {BenchError} `FILE_UNREADABLE`; `RESULTS_INVALID` naming the file and the key. */
export async function readManifest(path: string): Promise<Manifest> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw diskError(error, 'read', path);
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(path, 'not JSON', error);
  }
  const parsed = ManifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(path, firstIssue(parsed.error), parsed.error);
}
