import {mkdir, readdir, rename, rm, stat, statfs, utimes} from 'node:fs/promises';
import {join} from 'node:path';
import {BenchError} from '../contract/errors.ts';
import {formatBytes} from '../contract/units.ts';
import {
  ENTRY_FILE,
  type Entry,
  type EntryFile,
  type EntryKey,
  flush,
  type ModelFacts,
  readEntry,
  writeEntry,
} from './cache-entry.ts';
import {acquireLock, isLocked} from './cache-lock.ts';
import {asFileError, errnoOf, throwIfAborted} from './file-errors.ts';
import {sha256OfFile, sha256OfText} from './hash-file.ts';
import {livenessOf, ownIdentity} from './process-identity.ts';

/** An entry that is whole: every file has the size and time it had when it was hashed. */
export interface CacheEntry {
  readonly name: string;
  readonly dir: string;
  /** The GGUF file, or the folder. */
  readonly path: string;
  readonly entry: Entry;
}

interface MakeContext {
  /** An empty folder (or, when resumable, what an earlier attempt left) to put the files in. */
  readonly dir: string;
  readonly signal: AbortSignal;
}

export interface MadeModel {
  /** Name of the GGUF file inside the folder, or `.`. */
  readonly main: string;
  readonly facts: ModelFacts;
  /** Every file of the model with its hash; others in the folder are removed. */
  readonly files: readonly {readonly name: string; readonly sha256: string}[];
}

export interface EnsureOptions {
  /** Largest need of disk while making it. */
  readonly bytesNeeded: number | null;
  /** Keep what an interrupted attempt has written for the next one (downloads). */
  readonly resumable: boolean;
  readonly signal: AbortSignal;
  /** What is waited for, or mended, in words. */
  onNote(text: string): void;
  make(context: MakeContext): Promise<MadeModel>;
}

export interface CacheListing {
  readonly name: string;
  readonly state: 'complete' | 'partial' | 'damaged';
  /** Bytes on disk of all its files. */
  readonly bytes: number;
  /** RFC 3339 UTC; null for what was never complete. */
  readonly lastUsedAt: string | null;
  readonly source: string | null;
  readonly format: string | null;
  readonly seed: number | null;
  readonly path: string;
}

export interface VerifyResult {
  readonly name: string;
  readonly ok: boolean;
  /** Which file and how it differs; empty when ok. */
  readonly reason: string;
}

const TEMPORARY = /^\.tmp-(?<host>[^_]+)_(?<pid>\d+)_(?<started>\d+)_[0-9a-f-]+$/;
const PARTIAL = '.partial-';
/** Half-written folders of other hosts are removed when nothing was added to them for this long. */
const FOREIGN_STALE_MS = 24 * 3600_000;

/**
 * The folder of models: one folder an entry, made aside under a temporary name and renamed when it is whole and on the
 * disk. So a kill at any moment leaves nothing that looks complete, and readers need no lock.
 */
export class ModelCache {
  readonly #dir: string;
  readonly #locks: string;

  /** @param cacheDir From {@link import('./cache-dir.ts').cacheDir}; made when first written to. */
  constructor(cacheDir: string) {
    this.#dir = join(cacheDir, 'models');
    this.#locks = join(cacheDir, 'locks');
  }

  get dir(): string {
    return this.#dir;
  }

  /** Readable, and different for different keys: the end is a hash of the whole key. */
  nameOf(key: EntryKey): string {
    const words = [key.source, key.seed === null ? '' : `seed ${key.seed}`, key.format ?? '']
      .filter((word) => word !== '')
      .map((word) => word.replaceAll(/[^A-Za-z0-9._]+/g, '-').replaceAll(/^[-.]+|[-.]+$/g, ''))
      .join('--');
    const hash = sha256OfText(JSON.stringify([key.source, key.seed, key.format, key.generator])).slice(0, 8);
    return `${words.slice(-100).replace(/^[-.]+/, '')}--${hash}`;
  }

  /** Null when it is not there or not whole. Never writes, never hashes. */
  async find(key: EntryKey): Promise<CacheEntry | null> {
    const name = this.nameOf(key);
    const dir = join(this.#dir, name);
    const entry = await readEntry(dir);
    if (entry === null || (await firstChange(dir, entry)) !== null) return null;
    return {name, dir, path: entry.main === '.' ? dir : join(dir, entry.main), entry};
  }

  /**
   * The entry, made by exactly one process when it is missing or damaged.
   *
   * @throws {BenchError} DISK_FULL before anything is made, INTERRUPTED, and what `make` throws.
   */
  async ensure(key: EntryKey, options: EnsureOptions): Promise<CacheEntry> {
    const there = await this.#use(key);
    if (there !== null) return there;
    const name = this.nameOf(key);
    try {
      await mkdir(this.#dir, {recursive: true});
      const release = await acquireLock({
        dir: this.#locks,
        name: `model-${name}`,
        what: `making ${name}`,
        signal: options.signal,
        onWait: options.onNote,
      });
      try {
        // Whoever held the lock before has probably made it.
        return (await this.#use(key)) ?? (await this.#recheck(key, options)) ?? (await this.#make(key, name, options));
      } finally {
        await release();
      }
    } catch (error) {
      throw asFileError(error, this.#dir);
    }
  }

  async #use(key: EntryKey): Promise<CacheEntry | null> {
    const found = await this.find(key);
    if (found === null) return null;
    // The time of entry.json is the last use; a cache on a read-only disk goes without.
    const now = new Date();
    await utimes(join(found.dir, ENTRY_FILE), now, now).catch(() => undefined);
    return found;
  }

  /** Files with another time but the same bytes (a restored backup) are taken over after one more look at every byte. */
  async #recheck(key: EntryKey, {signal, onNote}: EnsureOptions): Promise<CacheEntry | null> {
    const dir = join(this.#dir, this.nameOf(key));
    const entry = await readEntry(dir);
    if (entry === null) return null;
    onNote(`checking ${this.nameOf(key)}: it was touched since it was made`);
    const damage = await firstDamage(dir, entry, signal);
    if (damage !== null) {
      onNote(`${this.nameOf(key)} is damaged (${damage}): making it again`);
      return null;
    }
    const files: EntryFile[] = [];
    for (const file of entry.files) {
      files.push({...file, modifiedMs: (await stat(join(dir, file.name))).mtimeMs});
    }
    await writeEntry(dir, {...entry, files});
    return this.find(key);
  }

  async #make(key: EntryKey, name: string, options: EnsureOptions): Promise<CacheEntry> {
    await this.#removeLeftovers();
    const final = join(this.#dir, name);
    const work = options.resumable ? join(this.#dir, `${PARTIAL}${name}`) : await this.#temporary();
    await mkdir(work, {recursive: true});
    let done = false;
    try {
      const begun = await bytesOf(work);
      if (options.bytesNeeded !== null) await this.checkSpace(Math.max(0, options.bytesNeeded - begun), name);
      const {main, facts, files} = await options.make({dir: work, signal: options.signal});
      throwIfAborted(options.signal, name);
      const kept: EntryFile[] = [];
      for (const {name: file, sha256} of files) {
        const path = join(work, file);
        await flush(path);
        const {size, mtimeMs} = await stat(path);
        kept.push({name: file, bytes: size, modifiedMs: mtimeMs, sha256});
      }
      const names = new Set(kept.map((file) => file.name));
      for (const file of await readdir(work)) {
        if (!names.has(file)) await rm(join(work, file), {recursive: true, force: true});
      }
      await writeEntry(work, {schema: 1, key, createdAt: new Date().toISOString(), main, facts, files: kept});
      await this.#replace(work, final);
      done = true;
    } finally {
      if (!(done || options.resumable)) await rm(work, {recursive: true, force: true});
    }
    const made = await this.find(key);
    if (made === null) throw new BenchError('MODEL_CORRUPT', `${final}: changed while it was being made`);
    return made;
  }

  /** rename() cannot replace a folder that is not empty: a damaged entry is moved aside first. */
  async #replace(work: string, final: string): Promise<void> {
    try {
      await rename(work, final);
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(errnoOf(error))) throw error;
      const aside = await this.#temporary();
      await rename(final, aside);
      await rename(work, final);
      await rm(aside, {recursive: true, force: true});
    }
    await flush(this.#dir);
  }

  async #temporary(): Promise<string> {
    const {host, pid, started} = await ownIdentity();
    return join(this.#dir, `.tmp-${host}_${pid}_${started}_${crypto.randomUUID()}`);
  }

  /** What processes that no longer live have left half made. Downloads that can go on are not leftovers. */
  async #removeLeftovers(): Promise<void> {
    for (const name of await readdir(this.#dir)) {
      const groups = TEMPORARY.exec(name)?.groups;
      if (groups === undefined) continue;
      const path = join(this.#dir, name);
      const owner = {host: groups['host'] ?? '', pid: Number(groups['pid']), started: Number(groups['started'])};
      const liveness = await livenessOf(owner);
      const old = async () => Date.now() - ((await stat(path).catch(() => null))?.mtimeMs ?? 0) > FOREIGN_STALE_MS;
      if (liveness === 'dead' || (liveness === 'unknown' && (await old()))) {
        await rm(path, {recursive: true, force: true});
      }
    }
  }

  /** @throws {BenchError} DISK_FULL with both numbers. */
  async checkSpace(bytesNeeded: number, what: string): Promise<void> {
    await mkdir(this.#dir, {recursive: true});
    const {bavail, bsize} = await statfs(this.#dir);
    const free = bavail * bsize;
    if (free >= bytesNeeded) return;
    throw new BenchError(
      'DISK_FULL',
      `${this.#dir}: ${what} needs ${formatBytes(bytesNeeded)}, ${formatBytes(free)} are free`,
      {details: {neededBytes: bytesNeeded, freeBytes: free}},
    );
  }

  /** Every entry and every download that can be continued, by name. */
  async list(): Promise<CacheListing[]> {
    const listings: CacheListing[] = [];
    for (const {folder, name, partial} of await this.#folders()) {
      const dir = join(this.#dir, folder);
      const entry = await readEntry(dir);
      const used = await stat(join(dir, ENTRY_FILE)).catch(() => null);
      const whole = entry !== null && (await firstChange(dir, entry)) === null;
      listings.push({
        name,
        state: partial ? 'partial' : whole ? 'complete' : 'damaged',
        bytes: await bytesOf(dir),
        lastUsedAt: used === null ? null : used.mtime.toISOString(),
        source: entry?.key.source ?? null,
        format: entry?.facts.format ?? null,
        seed: entry?.key.seed ?? null,
        path: entry === null || entry.main === '.' ? dir : join(dir, entry.main),
      });
    }
    return listings;
  }

  /**
   * Removes entries and started downloads whose name matches.
   *
   * @param glob `*` and `?`, over the whole name.
   * @throws {BenchError} HOST_BUSY when one of them is being made right now; the others are removed first.
   */
  async remove(glob: string): Promise<{readonly name: string; readonly bytes: number}[]> {
    const pattern = globPattern(glob);
    const removed: {name: string; bytes: number}[] = [];
    const busy: string[] = [];
    for (const {folder, name} of await this.#folders()) {
      if (!pattern.test(name)) continue;
      if (await isLocked(this.#locks, `model-${name}`).catch(() => false)) {
        busy.push(name);
        continue;
      }
      const dir = join(this.#dir, folder);
      const bytes = await bytesOf(dir);
      // Renamed first: a reader must never find an entry of which a part is already gone.
      const aside = await this.#temporary();
      try {
        await rename(dir, aside);
        await rm(aside, {recursive: true, force: true});
      } catch (error) {
        throw asFileError(error, dir);
      }
      removed.push({name, bytes});
    }
    if (busy.length > 0) {
      throw new BenchError('HOST_BUSY', `${busy.join(', ')}: another process is making it right now; not removed`);
    }
    return removed;
  }

  /** Reads every byte again. */
  async verify(options: {readonly signal: AbortSignal; onEntry(name: string): void}): Promise<VerifyResult[]> {
    const results: VerifyResult[] = [];
    for (const {folder, name, partial} of await this.#folders()) {
      if (partial) continue;
      options.onEntry(name);
      const dir = join(this.#dir, folder);
      const entry = await readEntry(dir);
      const damage = entry === null ? `no readable ${ENTRY_FILE}` : await firstDamage(dir, entry, options.signal);
      results.push({name, ok: damage === null, reason: damage ?? ''});
    }
    return results;
  }

  async #folders(): Promise<{folder: string; name: string; partial: boolean}[]> {
    const found: {folder: string; name: string; partial: boolean}[] = [];
    try {
      for (const item of await readdir(this.#dir, {withFileTypes: true})) {
        const partial = item.name.startsWith(PARTIAL);
        if (!item.isDirectory() || (item.name.startsWith('.') && !partial)) continue;
        found.push({folder: item.name, name: partial ? item.name.slice(PARTIAL.length) : item.name, partial});
      }
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw asFileError(error, this.#dir);
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

/** The first file that is gone or was touched since it was hashed, in words; null when none. */
async function firstChange(dir: string, entry: Entry): Promise<string | null> {
  for (const file of entry.files) {
    const found = await stat(join(dir, file.name)).catch(() => null);
    if (found === null || !found.isFile()) return `${file.name} is gone`;
    if (found.size !== file.bytes) return `${file.name} has ${found.size} bytes, not ${file.bytes}`;
    if (found.mtimeMs !== file.modifiedMs) return `${file.name} was written to`;
  }
  return null;
}

/** The first file whose bytes are not those that were hashed, in words; null when none. */
async function firstDamage(dir: string, entry: Entry, signal: AbortSignal): Promise<string | null> {
  for (const file of entry.files) {
    const path = join(dir, file.name);
    const found = await stat(path).catch(() => null);
    if (found === null || !found.isFile()) return `${file.name} is gone`;
    if (found.size !== file.bytes) return `${file.name} has ${found.size} bytes, not ${file.bytes}`;
    if ((await sha256OfFile(path, {signal})) !== file.sha256) return `${file.name} has other bytes (SHA-256 differs)`;
  }
  return null;
}

/** Bytes of the files in a folder, one level deep; sparse or not, as their length says. */
async function bytesOf(dir: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(dir).catch(() => [])) {
    const found = await stat(join(dir, name)).catch(() => null);
    if (found?.isFile() === true) bytes += found.size;
  }
  return bytes;
}

function globPattern(glob: string): RegExp {
  const escaped = glob.replaceAll(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll(/\*+/g, '.*').replaceAll('?', '.')}$`);
}
