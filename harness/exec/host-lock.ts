import {randomBytes} from 'node:crypto';
import {link, mkdir, readFile, rename, unlink, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {z} from 'zod';
import type {Caveat} from '../contract/caveats.ts';
import {BenchError} from '../contract/errors.ts';
import {diskError, systemCode} from '../store/disk-error.ts';
import {livenessOf, ownIdentity} from '../weights/process-identity.ts';
import {killWorker} from './kill-worker.ts';
import {markedProcesses} from './process-tree.ts';

const WorkerSchema = z.object({pid: z.int().positive(), mark: z.string().min(16)});
/** The worker that runs now, so that whoever takes over a stale lock can end it. */
export type NotedWorker = z.infer<typeof WorkerSchema>;

const LockSchema = z.object({
  host: z.string(),
  pid: z.int().positive(),
  started: z.number(),
  matrix: z.string(),
  token: z.string(),
  worker: WorkerSchema.nullable(),
});
type LockContent = z.infer<typeof LockSchema>;

/** The right to measure on this host. */
export interface HostLock {
  /** `alongside` when another run holds the lock and that was wanted. */
  readonly caveats: readonly Caveat[];
  /** Notes the worker that runs, or that none does. */
  noteWorker(worker: NotedWorker | null): Promise<void>;
  release(): Promise<void>;
}

export interface HostLockOptions {
  /** Named to whoever finds the host busy. */
  readonly matrix: string;
  /** Run although another run is active; the rows get a caveat. */
  readonly alongside?: boolean;
}

const TRIES = 20;

/**
 * One bench run per host at a time: two would measure each other. A lock whose process is gone is taken over, and what
 * its worker left behind is ended first.
 *
 * @param dir Folder of locks, below the cache.
 * @throws {BenchError} `HOST_BUSY` naming process and matrix of the other run; `FILE_UNREADABLE`, `DISK_FULL`.
 */
export async function acquireHostLock(dir: string, {matrix, alongside = false}: HostLockOptions): Promise<HostLock> {
  const identity = await ownIdentity();
  const path = join(dir, `run.${identity.host}.lock`);
  const content: LockContent = {...identity, matrix, token: randomBytes(12).toString('hex'), worker: null};
  try {
    await mkdir(dir, {recursive: true});
    for (let attempt = 0; attempt < TRIES; attempt++) {
      if (await createWhole(path, content)) return new OwnLock(path, content);
      const other = await readLock(path);
      if (other === 'gone') continue;
      if (other !== null && (await livenessOf(other)) !== 'dead') {
        if (alongside) return {caveats: [{code: 'alongside'}], noteWorker: nothing, release: nothing};
        throw new BenchError(
          'HOST_BUSY',
          `Another bench run is active on this host: process ${other.pid}, matrix ${other.matrix}`,
          {details: {pid: other.pid, matrix: other.matrix, lock: path}},
        );
      }
      if (!(await takeAway(path, other))) continue;
      if (other?.worker != null) await killStale(other.worker);
    }
  } catch (error) {
    throw diskError(error, 'lock', path);
  }
  throw new BenchError('HOST_BUSY', `The lock ${path} changes hands all the time`, {details: {lock: path}});
}

async function nothing(): Promise<void> {}

class OwnLock implements HostLock {
  readonly caveats: readonly Caveat[] = [];
  readonly #path: string;
  readonly #content: LockContent;

  constructor(path: string, content: LockContent) {
    this.#path = path;
    this.#content = content;
  }

  async noteWorker(worker: NotedWorker | null): Promise<void> {
    const temporary = `${this.#path}.${this.#content.token}`;
    try {
      await writeFile(temporary, JSON.stringify({...this.#content, worker}));
      await rename(temporary, this.#path);
    } catch (error) {
      throw diskError(error, 'write', this.#path);
    }
  }

  async release(): Promise<void> {
    const now = await readLock(this.#path).catch(() => null);
    if (now !== null && now !== 'gone' && now.token === this.#content.token) {
      await unlink(this.#path).catch(() => undefined);
    }
  }
}

/** Makes the lock with its content in one step: nobody ever reads half a lock. @returns Whether it was free. */
async function createWhole(path: string, content: LockContent): Promise<boolean> {
  const temporary = `${path}.${content.token}`;
  await writeFile(temporary, JSON.stringify(content));
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
    return false;
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
}

/** null: there is a file, but it is no lock of ours (damaged). */
async function readLock(path: string): Promise<LockContent | 'gone' | null> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  });
  if (text === null) return 'gone';
  try {
    return LockSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/**
 * Takes a stale lock away. Another process may have done so and made its own lock since we looked: then what we moved
 * is put back.
 */
async function takeAway(path: string, stale: LockContent | null): Promise<boolean> {
  const aside = `${path}.stale-${randomBytes(6).toString('hex')}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
  const moved = await readLock(aside);
  const same = moved !== 'gone' && moved?.token === stale?.token;
  if (!same) await link(aside, path).catch(() => undefined);
  await unlink(aside).catch(() => undefined);
  return same;
}

/** Ends what a killed run left behind, if it still carries the mark: a process id alone may be somebody else's by now. */
async function killStale({pid, mark}: NotedWorker): Promise<void> {
  const left = await markedProcesses(mark);
  if (left.length > 0) await killWorker(left.includes(pid) ? pid : (left[0] ?? pid), mark, {graceMs: 500});
}
