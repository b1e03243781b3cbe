import {link, mkdir, readdir, readFile, rm, stat, unlink, utimes, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {z} from 'zod';
import {BenchError} from '../contract/errors.ts';
import {errnoOf} from './file-errors.ts';
import {livenessOf, ownIdentity} from './process-identity.ts';

const LockSchema = z.object({
  host: z.string(),
  pid: z.int(),
  started: z.number(),
  what: z.string(),
  /** RFC 3339 UTC, for people. */
  since: z.string(),
  released: z.boolean(),
});
type Lock = z.infer<typeof LockSchema>;

const HEARTBEAT_MS = 10_000;
/** A holder on another host cannot be looked at; it is given up when its heartbeat is this old. */
const FOREIGN_STALE_MS = 120_000;
const POLL_MS = 200;

export interface LockOptions {
  readonly dir: string;
  /** File-name safe. */
  readonly name: string;
  /** What the holder does, in words, for whoever waits. */
  readonly what: string;
  readonly signal: AbortSignal;
  /** Told once per holder that is waited for. */
  onWait(text: string): void;
}

/** Gives the lock back; never throws, can be called twice. */
export type ReleaseLock = () => Promise<void>;

/**
 * One holder at a time, over processes and (by heartbeat) hosts; a dead holder's lock is taken over.
 *
 * A lock is a series of files `<name>.<n>.lock`: the highest n counts, and n + 1 is made only by link(), which fails
 * when somebody else was faster. So a stale lock is never deleted and made again, which is where two processes that
 * take over at the same moment usually both win. The last file stays behind, marked as released.
 *
 * @throws {BenchError} INTERRUPTED while waiting.
 */
export async function acquireLock({dir, name, what, signal, onWait}: LockOptions): Promise<ReleaseLock> {
  await mkdir(dir, {recursive: true});
  const own: Lock = {...(await ownIdentity()), what, since: new Date().toISOString(), released: false};
  const draft = join(dir, `.${name}.${own.host}-${own.pid}-${crypto.randomUUID()}`);
  await writeFile(draft, JSON.stringify(own));
  let told = '';
  try {
    for (;;) {
      if (signal.aborted) throw new BenchError('INTERRUPTED', `${what}: interrupted while waiting for its turn`);
      const top = await highest(dir, name);
      const holder = top < 0 ? null : await holderOf(lockPath(dir, name, top));
      if (holder === null) {
        const mine = await tryLink(draft, dir, name, top + 1);
        if (mine !== null) return mine;
      } else {
        const text = `waiting for process ${holder.pid}${holder.host === own.host ? '' : ` on ${holder.host}`} (${holder.what}, since ${holder.since})`;
        if (text !== told) onWait(text);
        told = text;
        await delay(POLL_MS, undefined, {signal}).catch(() => undefined);
      }
    }
  } finally {
    await rm(draft, {force: true});
  }
}

/** Whether somebody alive holds the lock right now: for listings only, it may change at once. */
export async function isLocked(dir: string, name: string): Promise<boolean> {
  const top = await highest(dir, name);
  return top >= 0 && (await holderOf(lockPath(dir, name, top))) !== null;
}

async function tryLink(draft: string, dir: string, name: string, n: number): Promise<ReleaseLock | null> {
  const path = lockPath(dir, name, n);
  try {
    await link(draft, path);
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return null;
    throw error;
  }
  // A slow process can make a number that faster ones have used and cleared away: a higher one tells.
  if ((await highest(dir, name)) !== n) {
    await rm(path, {force: true});
    return null;
  }
  // The one below stays, so that a reader in the middle of a listing always sees a file.
  for (const old of await numbers(dir, name)) if (old < n - 1) await rm(lockPath(dir, name, old), {force: true});
  const beat = setInterval(() => void touch(path), HEARTBEAT_MS);
  beat.unref();
  return async () => {
    clearInterval(beat);
    await release(path);
  };
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => undefined);
}

async function release(path: string): Promise<void> {
  try {
    const held = LockSchema.parse(JSON.parse(await readFile(path, 'utf8')));
    await writeFile(path, JSON.stringify({...held, released: true}));
  } catch {
    // The cache folder was removed meanwhile, or the disk is full: an empty or missing lock counts as released.
    await unlink(path).catch(() => undefined);
  }
}

/** null: nobody (released, dead, or unreadable because its holder died while releasing). */
async function holderOf(path: string): Promise<Lock | null> {
  let lock: Lock;
  try {
    lock = LockSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return null;
  }
  if (lock.released) return null;
  const liveness = await livenessOf(lock);
  if (liveness === 'unknown') {
    const beat = await stat(path).catch(() => null);
    return beat !== null && Date.now() - beat.mtimeMs < FOREIGN_STALE_MS ? lock : null;
  }
  return liveness === 'alive' ? lock : null;
}

const lockPath = (dir: string, name: string, n: number) => join(dir, `${name}.${n}.lock`);

async function numbers(dir: string, name: string): Promise<number[]> {
  const found: number[] = [];
  for (const file of await readdir(dir)) {
    if (!(file.startsWith(`${name}.`) && file.endsWith('.lock'))) continue;
    const n = file.slice(name.length + 1, -'.lock'.length);
    if (/^\d{1,9}$/.test(n)) found.push(Number(n));
  }
  return found;
}

async function highest(dir: string, name: string): Promise<number> {
  return Math.max(-1, ...(await numbers(dir, name).catch(() => [])));
}
