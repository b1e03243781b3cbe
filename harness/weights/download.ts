import {createHash, type Hash} from 'node:crypto';
import {type FileHandle, open, readFile, rename, rm, stat, writeFile} from 'node:fs/promises';
import {z} from 'zod';
import {BenchError} from '../contract/errors.ts';
import {asFileError, throwIfAborted} from './file-errors.ts';
import {feedFile, sha256OfFile} from './hash-file.ts';
import {retryAfterMs, Transient, withRetries} from './retry.ts';

/** What the hub announces about a file. */
export interface Announced {
  readonly bytes: number;
  /** SHA-256 of a large file (its LFS oid), or the Git blob id of a small one. */
  readonly digest: {readonly algorithm: 'sha256' | 'git-sha1'; readonly hex: string};
}

export interface DownloadOptions {
  readonly url: string;
  /** Final path; `<path>.part` grows beside it and outlives an interruption. */
  readonly path: string;
  readonly announced: Announced;
  /** In words, for messages: `hf:org/repo/file`. */
  readonly what: string;
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal;
  readonly delaysMs: readonly number[];
  /** A connection that brings nothing for this long is given up and tried again. */
  readonly idleMs: number;
  /** The error for a status that no retry cures. */
  refusal(status: number): BenchError | null;
  onBytes(doneBytes: number): void;
}

/** Beside the part: of which bytes it is the beginning. */
const PartSchema = z.object({digest: z.string(), etag: z.string().nullable()});

/**
 * Fetches one file and checks it. A dropped connection, and a process that was killed, continue where the file ends
 * (`Range` with `If-Range`); another ETag, or a server that ignores `Range`, begins anew.
 *
 * Own code, because neither library does it whole: `@huggingface/hub` 2.17 begins anew each time and checks nothing
 * (download-file-to-cache-dir.ts), node-llama-cpp's downloader (ipull) resumes in its own format, knows neither ETag nor
 * SHA-256, and forwards its headers to every origin.
 *
 * @returns SHA-256 of the file.
 * @throws {BenchError} NETWORK, CHECKSUM_MISMATCH (the file is removed), DISK_FULL, INTERRUPTED, and what `refusal` gives.
 */
export async function downloadFile(options: DownloadOptions): Promise<string> {
  const {path, announced, what, signal} = options;
  const there = await stat(path).catch(() => null);
  if (there?.isFile() === true && there.size === announced.bytes) {
    const sha256 = await checked(path, announced, signal);
    if (sha256 !== null) {
      options.onBytes(announced.bytes);
      return sha256;
    }
  }
  const part = new Part(options);
  try {
    await part.open();
    try {
      await withRetries({what, signal, delaysMs: options.delaysMs, progress: () => part.furthest}, () =>
        part.fetchRest(),
      );
      await part.sync();
    } finally {
      await part.close();
    }
    const sha256 = part.sha256IfRight();
    if (sha256 === null) {
      await part.remove();
      throw new BenchError('CHECKSUM_MISMATCH', `${what}: ${part.mismatch()}`);
    }
    await rename(part.path, path);
    await rm(part.statePath, {force: true});
    return sha256;
  } catch (error) {
    throw asFileError(error, path);
  }
}

/** SHA-256 of a file that was fetched before, if it is what the hub announces. */
async function checked(path: string, {bytes, digest}: Announced, signal: AbortSignal): Promise<string | null> {
  const sha256 = await sha256OfFile(path, {signal});
  if (digest.algorithm === 'sha256') return sha256 === digest.hex ? sha256 : null;
  const git = gitBlobHash(bytes);
  await feedFile(git, path, {signal});
  return git.digest('hex') === digest.hex ? sha256 : null;
}

/** Git's id of a file: SHA-1 over a header and the content. */
const gitBlobHash = (bytes: number): Hash => createHash('sha1').update(`blob ${bytes}\0`);

/** The growing file with its running hashes. */
class Part {
  readonly path: string;
  readonly statePath: string;
  /** The most bytes that were ever there: what tells a vain attempt from a useful one. */
  furthest = 0;
  readonly #options: DownloadOptions;
  #file: FileHandle | null = null;
  #bytes = 0;
  #etag: string | null = null;
  #sha256 = createHash('sha256');
  #git: Hash;
  #found = '';

  constructor(options: DownloadOptions) {
    this.#options = options;
    this.path = `${options.path}.part`;
    this.statePath = `${options.path}.part.json`;
    this.#git = gitBlobHash(options.announced.bytes);
  }

  /** Takes up what an earlier process left, if it belongs to the same bytes. */
  async open(): Promise<void> {
    const {announced, signal} = this.#options;
    const state = await this.#readState();
    const size = (await stat(this.path).catch(() => null))?.size ?? 0;
    this.#file = await open(this.path, 'a+');
    if (state === null || state.digest !== announced.digest.hex || size > announced.bytes) return this.#restart();
    this.#etag = state.etag;
    await feedFile(this.#sha256, this.path, {signal});
    if (announced.digest.algorithm === 'git-sha1') await feedFile(this.#git, this.path, {signal});
    this.#bytes = size;
    this.furthest = size;
    this.#options.onBytes(size);
  }

  async fetchRest(): Promise<void> {
    const {announced, url, what, signal, idleMs} = this.#options;
    if (this.#bytes === announced.bytes) return;
    const idle = new AbortController();
    const either = AbortSignal.any([signal, idle.signal]);
    const giveUp = () => idle.abort(new DOMException(`nothing received for ${idleMs / 1000} s`, 'TimeoutError'));
    let timer = setTimeout(giveUp, idleMs);
    try {
      const response = await this.#options.fetch(url, {headers: this.#headers(), signal: either});
      await this.#begin(response);
      if (response.body === null) throw new Transient('an answer without content');
      for await (const chunk of response.body) {
        clearTimeout(timer);
        await this.#append(chunk);
        throwIfAborted(signal, what);
        timer = setTimeout(giveUp, idleMs);
      }
      if (this.#bytes < announced.bytes)
        throw new Transient(`the connection ended after ${this.#bytes} of ${announced.bytes} bytes`);
    } finally {
      clearTimeout(timer);
      // A response that was not read to its end would keep its connection.
      idle.abort();
    }
  }

  #headers(): Record<string, string> {
    // A compressed answer has other lengths than the file.
    const headers: Record<string, string> = {'accept-encoding': 'identity'};
    if (this.#bytes === 0) return headers;
    headers['range'] = `bytes=${this.#bytes}-`;
    if (this.#etag !== null) headers['if-range'] = this.#etag;
    return headers;
  }

  /** Decides from the answer's head whether its content continues the file or begins it anew. */
  async #begin(response: Response): Promise<void> {
    const {status, headers} = response;
    const refused = this.#options.refusal(status);
    if (refused !== null) throw refused;
    // If-Range wants a strong validator (RFC 9110 §13.1.5).
    const etag = headers.get('etag');
    const strong = etag === null || etag.startsWith('W/') ? null : etag;
    if (status === 200) {
      if (this.#bytes > 0) await this.#restart();
      await this.#remember(strong);
      return;
    }
    if (status === 206) {
      const start = /^bytes (\d+)-/.exec(headers.get('content-range') ?? '')?.[1];
      const sameBytes = this.#etag === null || strong === null || strong === this.#etag;
      if (this.#bytes > 0 && start === String(this.#bytes) && sameBytes) return;
      await this.#restart();
      throw new Transient('the file changed on the server while it was fetched');
    }
    if (status === 416) {
      await this.#restart();
      throw new Transient('the server has fewer bytes than were fetched');
    }
    throw new Transient(`status ${status}`, {waitMs: retryAfterMs(headers.get('retry-after'))});
  }

  async #append(chunk: Uint8Array): Promise<void> {
    const {announced, what, onBytes} = this.#options;
    if (this.#bytes + chunk.length > announced.bytes) {
      await this.remove();
      throw new BenchError('CHECKSUM_MISMATCH', `${what}: more bytes than the ${announced.bytes} announced`);
    }
    await this.#handle().writeFile(chunk);
    this.#sha256.update(chunk);
    if (announced.digest.algorithm === 'git-sha1') this.#git.update(chunk);
    this.#bytes += chunk.length;
    this.furthest = Math.max(this.furthest, this.#bytes);
    onBytes(this.#bytes);
  }

  /** Null when the bytes are not those announced. */
  sha256IfRight(): string | null {
    const {digest} = this.#options.announced;
    const sha256 = this.#sha256.digest('hex');
    this.#found = digest.algorithm === 'sha256' ? sha256 : this.#git.digest('hex');
    return this.#found === digest.hex ? sha256 : null;
  }

  mismatch(): string {
    const {digest} = this.#options.announced;
    const name = digest.algorithm === 'sha256' ? 'SHA-256' : 'Git blob id';
    return `${name} is ${this.#found}, announced was ${digest.hex}`;
  }

  async remove(): Promise<void> {
    await rm(this.path, {force: true});
    await rm(this.statePath, {force: true});
  }

  async sync(): Promise<void> {
    await this.#handle().sync();
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = null;
  }

  async #restart(): Promise<void> {
    await this.#handle().truncate(0);
    this.#bytes = 0;
    this.#sha256 = createHash('sha256');
    this.#git = gitBlobHash(this.#options.announced.bytes);
    await this.#remember(null);
    this.#options.onBytes(0);
  }

  async #remember(etag: string | null): Promise<void> {
    this.#etag = etag;
    await writeFile(this.statePath, JSON.stringify({digest: this.#options.announced.digest.hex, etag}));
  }

  async #readState(): Promise<z.infer<typeof PartSchema> | null> {
    try {
      return PartSchema.parse(JSON.parse(await readFile(this.statePath, 'utf8')));
    } catch {
      return null;
    }
  }

  #handle(): FileHandle {
    if (this.#file === null) throw new BenchError('INTERNAL', `${this.path}: not open`);
    return this.#file;
  }
}
