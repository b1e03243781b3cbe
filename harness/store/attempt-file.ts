import {createHash} from 'node:crypto';
import {
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import {readdir, readFile, stat} from 'node:fs/promises';
import {basename, dirname, join} from 'node:path';
import {
  type Attempt,
  AttemptEndSchema,
  type AttemptHead,
  AttemptHeadSchema,
  type Refusal,
} from '../contract/attempt.ts';
import {type JournalRecord, JournalRecordSchema} from '../contract/journal.ts';
import {syncFolder} from './atomic-file.ts';
import {diskError, systemCode} from './disk-error.ts';
import {firstIssue} from './invalid.ts';
import {completeLines} from './json-lines.ts';

/** Folder of the attempts of one cell: no two attempts share a file, and no two cells a folder. */
export function attemptFolder(planFolder: string, cellId: string): string {
  return join(planFolder, 'attempts', cellId);
}

/** The whole attempt, which never changes. */
export const sealedName = (attempt: string): string => `${attempt}.jsonl`;
/** Run folder of an attempt under way; left behind when its host dies. */
export const partialName = (attempt: string): string => `${attempt}.partial`;

/**
 * Seals an attempt: head, journal and trailer go into a file of their own, and only when all of it is on the disk does it
 * get its final name, by a link, which never replaces another file.
 *
 * A journal is not sealed while it is measured: writing to a shared disk beside a measurement would disturb it, and what
 * has no trailer is not counted anyway. The journal itself is synced after every round.
 *
 * @returns Path of the sealed file.
 * @throws {BenchError} `DISK_FULL`, `FILE_UNREADABLE` (also when there is one of that name).
 */
export async function sealAttempt(folder: string, head: AttemptHead, journalPath: string): Promise<string> {
  const path = join(folder, sealedName(head.attempt));
  const temporary = join(folder, `.${head.attempt}.tmp`);
  let file: number | null = null;
  try {
    file = openSync(temporary, 'wx');
    const sealed = new LineFile(file);
    sealed.write(JSON.stringify(head));
    for await (const line of completeLines(journalPath)) sealed.write(line.text);
    sealed.end();
    closeSync(file);
    file = null;
    nameOnce(temporary, path);
    await syncFolder(folder);
    return path;
  } catch (error) {
    throw diskError(error, 'write', path);
  } finally {
    if (file !== null) closeSync(file);
    try {
      unlinkSync(temporary);
    } catch {
      // It was never made.
    }
  }
}

/** A link never replaces a file. Where there are none (mounted buckets), a copy that must be new; the trailer tells its tears. */
function nameOnce(temporary: string, path: string): void {
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (!NO_LINKS.has(systemCode(error))) throw error;
    copyFileSync(temporary, path, constants.COPYFILE_EXCL);
  }
}

const NO_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

class LineFile {
  readonly #file: number;
  readonly #hash = createHash('sha256');
  #lines = 0;

  constructor(file: number) {
    this.#file = file;
  }

  write(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    this.#hash.update(bytes);
    this.#lines++;
    this.#put(bytes);
  }

  end(): void {
    const end = {type: 'end', lines: this.#lines, sha256: this.#hash.digest('hex')};
    this.#put(Buffer.from(`${JSON.stringify(end)}\n`));
    // Once is enough: nobody sees the file before it has its name, and it has its name only after this.
    fsyncSync(this.#file);
  }

  #put(bytes: Buffer): void {
    let written = 0;
    while (written < bytes.length) written += writeSync(this.#file, bytes, written);
  }
}

/**
 * Reads one attempt file, whole or not at all.
 *
 * @returns A {@link Refusal} for a file that has no valid trailer, or whose content is not an attempt.
 * @throws {BenchError} `FILE_UNREADABLE`.
 */
export async function readAttempt(path: string): Promise<Attempt | Refusal> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw diskError(error, 'read', path);
  });
  const refuse = (code: Refusal['code'], detail: string): Refusal => ({path, code, detail});
  if (bytes.length === 0) return refuse('truncated', 'the file is empty');
  if (bytes.at(-1) !== LINE_FEED) return refuse('truncated', 'the last line is torn');
  const endAt = bytes.lastIndexOf(LINE_FEED, bytes.length - 2) + 1;
  const body = bytes.subarray(0, endAt);
  const end = AttemptEndSchema.safeParse(parseJson(bytes.subarray(endAt).toString('utf8')));
  if (!end.success) return refuse('truncated', 'there is no trailer');
  const sha256 = createHash('sha256').update(body).digest('hex');
  if (sha256 !== end.data.sha256)
    return refuse('damaged', `SHA-256 ${sha256}, but the trailer says ${end.data.sha256}`);
  const [first = '', ...rest] = body.toString('utf8').trimEnd().split('\n');
  if (rest.length + 1 !== end.data.lines) {
    return refuse('damaged', `${rest.length + 1} lines, but the trailer says ${end.data.lines}`);
  }
  const head = AttemptHeadSchema.safeParse(parseJson(first));
  if (!head.success) return refuse('foreign', `line 1 is no head of an attempt: ${firstIssue(head.error)}`);
  const records: JournalRecord[] = [];
  for (const [index, text] of rest.entries()) {
    const record = JournalRecordSchema.safeParse(parseJson(text));
    if (!record.success) return refuse('damaged', `line ${index + 2}: ${firstIssue(record.error)}`);
    records.push(record.data);
  }
  return {path, head: head.data, records, sha256};
}

/** Files that are opened at the same time: one after the other, a merge of thousands waits for the disk most of the time. */
const TOGETHER = 32;

/** Many attempt files, in the order of the paths, a few dozen in memory at a time. @throws as {@link readAttempt}. */
export async function* readAttempts(paths: readonly string[]): AsyncGenerator<Attempt | Refusal> {
  for (let from = 0; from < paths.length; from += TOGETHER) {
    yield* await Promise.all(paths.slice(from, from + TOGETHER).map(readAttempt));
  }
}

const LINE_FEED = 0x0a;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** What lies in a folder of attempts, sorted by path: names only, nothing is opened. */
export interface AttemptPaths {
  readonly sealed: readonly string[];
  readonly partial: readonly string[];
}

/**
 * Sealed attempts and partial ones below the paths given (folders of any depth, or single files).
 *
 * @throws {BenchError} `FILE_UNREADABLE` for a path that is not there.
 */
export async function findAttempts(paths: readonly string[]): Promise<AttemptPaths> {
  const found: Found = {sealed: new Set(), partial: new Set()};
  for (const path of paths) {
    try {
      if ((await stat(path)).isDirectory()) await search(path, found);
      else found.sealed.add(path);
    } catch (error) {
      throw diskError(error, 'read', path);
    }
  }
  return {sealed: [...found.sealed].sort(), partial: [...found.partial].sort()};
}

interface Found {
  readonly sealed: Set<string>;
  readonly partial: Set<string>;
}

async function search(folder: string, found: Found): Promise<void> {
  const folders: string[] = [];
  for (const entry of await readdir(folder, {withFileTypes: true})) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (entry.name.endsWith('.partial')) found.partial.add(path);
      else folders.push(path);
    } else if (entry.isFile() && isAttemptName(entry.name)) {
      found.sealed.add(path);
    } else if (entry.isFile() && isTorn(entry.name, folder)) {
      found.partial.add(path);
    }
  }
  for (let from = 0; from < folders.length; from += TOGETHER) {
    await Promise.all(folders.slice(from, from + TOGETHER).map((path) => search(path, found)));
  }
}

/** A file that was being sealed when its host died. */
const isTorn = (name: string, folder: string): boolean =>
  name.startsWith('.') && name.endsWith('.tmp') && basename(dirname(folder)) === 'attempts';

/** A journal of a run folder is no attempt: it has no trailer and is not to be named as cut off. */
const isAttemptName = (name: string): boolean => name.endsWith('.jsonl') && name !== 'journal.jsonl';

/**
 * Whether a cell has a sealed attempt. Only the trailer is looked at: a task that was started again wants to know
 * quickly; the merge looks at everything.
 */
export async function hasSealedAttempt(planFolder: string, cellId: string): Promise<boolean> {
  const folder = attemptFolder(planFolder, cellId);
  const names = await readdir(folder).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return [];
    throw diskError(error, 'read', folder);
  });
  return names.some((name) => isAttemptName(name) && hasTrailer(join(folder, name)));
}

function hasTrailer(path: string): boolean {
  const file = openSync(path, 'r');
  try {
    const size = fstatSync(file).size;
    const tail = Buffer.alloc(Math.min(size, 512));
    readSync(file, tail, 0, tail.length, size - tail.length);
    if (tail.at(-1) !== LINE_FEED) return false;
    const last = tail.toString('utf8').trimEnd().split('\n').at(-1) ?? '';
    return AttemptEndSchema.safeParse(parseJson(last)).success;
  } finally {
    closeSync(file);
  }
}
