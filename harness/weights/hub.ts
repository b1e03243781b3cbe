import {basename, join} from 'node:path';
import {HubApiError, listFiles, modelInfo} from '@huggingface/hub';
import {z} from 'zod';
import {BenchError} from '../contract/errors.ts';
import {type Announced, downloadFile} from './download.ts';
import {type HubAccess, hubFetch, hubUrl, refusal} from './hub-fetch.ts';
import {RETRY_DELAYS_MS, Transient, withRetries} from './retry.ts';
import {formatSource, type ModelSource} from './source.ts';

export type HubSource = Extract<ModelSource, {kind: 'hf'}>;

export interface HubFile extends Announced {
  /** Path inside the repository. */
  readonly path: string;
}

/** What will be pulled, known before the first byte of a weight. */
export interface HubSelection {
  /** The commit that the revision meant when it was looked up. */
  readonly commit: string;
  readonly files: readonly HubFile[];
  /** The GGUF file's name, or `.` for a folder. */
  readonly main: string;
}

export interface PulledFile {
  readonly name: string;
  readonly sha256: string;
}

export interface HubOptions {
  readonly access: HubAccess;
  /** Default: Node's. */
  readonly fetch?: typeof fetch;
  readonly delaysMs?: readonly number[];
  readonly idleMs?: number;
}

const ListedSchema = z.object({
  type: z.string(),
  path: z.string(),
  size: z.int().nonnegative(),
  oid: z.string().optional(),
  lfs: z.object({oid: z.string(), size: z.int().nonnegative()}).optional(),
});

/** What an engine needs beside weights. Never code: a repository's Python is not for running here. */
const COMPANIONS: ReadonlySet<string> = new Set([
  'config.json',
  'generation_config.json',
  'quantize_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'tokenizer.model',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'chat_template.jinja',
]);
const INDEX = 'model.safetensors.index.json';
const PICKLE = /\.(?:bin|pt|pth|ckpt|pkl|pickle)$/;
const IndexSchema = z.object({weight_map: z.record(z.string(), z.string())});

/**
 * Models on the Hugging Face hub, or on a mirror that speaks its API. The library lists and resolves; the bytes are
 * fetched by {@link downloadFile}, which says why. The library gets a fetch of ours and no token: it wants tokens to
 * begin with `hf_`, which those of mirrors do not.
 */
export class Hub {
  readonly #access: HubAccess;
  readonly #fetch: typeof fetch;
  readonly #delaysMs: readonly number[];
  readonly #idleMs: number;

  constructor({access, fetch, delaysMs = RETRY_DELAYS_MS, idleMs = 60_000}: HubOptions) {
    this.#access = access;
    this.#fetch = hubFetch(access, fetch);
    this.#delaysMs = delaysMs;
    this.#idleMs = idleMs;
  }

  /**
   * Resolves the revision to a commit and chooses the files.
   *
   * @throws {BenchError} ACCESS_DENIED, MODEL_SOURCE_INVALID, UNSUPPORTED, NETWORK, INTERRUPTED.
   */
  async select(source: HubSource, signal: AbortSignal): Promise<HubSelection> {
    const what = formatSource(source);
    const api = this.#apiFetch(signal);
    const common = {hubUrl: hubUrl(this.#access), fetch: api};
    const commit = await this.#ask(what, signal, async () => {
      const revision = source.revision ?? 'main';
      const info = await modelInfo({...common, name: source.repo, revision, additionalFields: ['sha']});
      return info.sha;
    });
    if (typeof commit !== 'string' || !/^[0-9a-f]{40}$/.test(commit)) {
      throw new BenchError('NETWORK', `${what}: the hub names no commit for this revision`);
    }
    const listed = await this.#ask(what, signal, async () => {
      const files: HubFile[] = [];
      // Weights of a transformers repository lie at its top; a single file may lie anywhere.
      const repo = {type: 'model' as const, name: source.repo};
      for await (const item of listFiles({
        ...common,
        repo,
        revision: commit,
        recursive: source.file?.includes('/') ?? false,
      })) {
        const file = hubFile(item);
        if (file !== null) files.push(file);
      }
      return files;
    });
    return source.file === null
      ? this.#selectFolder(what, commit, listed, source, signal)
      : selectFile(what, commit, listed, source.file);
  }

  /**
   * Fetches the chosen files into a folder, continuing what is there.
   *
   * @throws {BenchError} ACCESS_DENIED, MODEL_SOURCE_INVALID, NETWORK, CHECKSUM_MISMATCH, DISK_FULL, INTERRUPTED.
   */
  async pull(
    source: HubSource,
    selection: HubSelection,
    options: {readonly dir: string; readonly signal: AbortSignal; onBytes(doneBytes: number): void},
  ): Promise<PulledFile[]> {
    const pulled: PulledFile[] = [];
    let before = 0;
    for (const file of selection.files) {
      const sha256 = await this.#pullFile(source, selection.commit, file, {
        ...options,
        onBytes: (bytes) => options.onBytes(before + bytes),
      });
      before += file.bytes;
      pulled.push({name: basename(file.path), sha256});
    }
    return pulled;
  }

  async #pullFile(
    {repo}: HubSource,
    commit: string,
    file: HubFile,
    {dir, signal, onBytes}: {readonly dir: string; readonly signal: AbortSignal; onBytes(doneBytes: number): void},
  ): Promise<string> {
    const what = `hf:${repo}/${file.path}`;
    const path = file.path.split('/').map(encodeURIComponent).join('/');
    return downloadFile({
      url: `${hubUrl(this.#access)}/${repo}/resolve/${commit}/${path}`,
      path: join(dir, basename(file.path)),
      announced: file,
      what,
      fetch: this.#fetch,
      signal,
      delaysMs: this.#delaysMs,
      idleMs: this.#idleMs,
      refusal: (status) => refusal(status, what, this.#access),
      onBytes,
    });
  }

  async #selectFolder(
    what: string,
    commit: string,
    listed: readonly HubFile[],
    source: HubSource,
    signal: AbortSignal,
  ): Promise<HubSelection> {
    const top = listed.filter((file) => !file.path.includes('/'));
    const weights = top.filter((file) => file.path.endsWith('.safetensors') && !file.path.startsWith('adapter_'));
    const companions = top.filter((file) => COMPANIONS.has(file.path));
    const index = top.find((file) => file.path === INDEX);
    if (index !== undefined) {
      const parts = await this.#partsOf(index, commit, source, signal);
      const found = parts.map((part) => {
        const file = weights.find((weight) => weight.path === part);
        if (file === undefined)
          throw new BenchError('MODEL_CORRUPT', `${what}: ${INDEX} names '${part}', which is not there`);
        return file;
      });
      return {commit, main: '.', files: [...companions, index, ...found]};
    }
    const only =
      weights.find((file) => file.path === 'model.safetensors') ?? (weights.length === 1 ? weights[0] : undefined);
    if (only === undefined) throw new BenchError('UNSUPPORTED', `${what}: ${whyNoWeights(source, top)}`);
    return {commit, main: '.', files: [...companions, only]};
  }

  /** Which files the index names: others may hold the same weights once more. Small, so it is simply read. */
  async #partsOf(index: HubFile, commit: string, source: HubSource, signal: AbortSignal): Promise<string[]> {
    const what = `hf:${source.repo}/${INDEX}`;
    if (index.bytes > 64 * 1024 * 1024) throw new BenchError('MODEL_CORRUPT', `${what}: larger than any index`);
    const text = await this.#ask(what, signal, async () => {
      const url = `${hubUrl(this.#access)}/${source.repo}/resolve/${commit}/${INDEX}`;
      const response = await this.#apiFetch(signal)(url);
      if (!response.ok)
        throw refusal(response.status, what, this.#access) ?? new Transient(`status ${response.status}`);
      return response.text();
    });
    const parsed = IndexSchema.safeParse(safeJson(text));
    if (!parsed.success) throw new BenchError('MODEL_CORRUPT', `${what}: not an index of safetensors`);
    return [...new Set(Object.values(parsed.data.weight_map))].sort();
  }

  #apiFetch(signal: AbortSignal): typeof fetch {
    return (input, init) =>
      this.#fetch(input, {...init, signal: AbortSignal.any([signal, AbortSignal.timeout(this.#idleMs)])});
  }

  async #ask<T>(what: string, signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    return withRetries({what, signal, delaysMs: this.#delaysMs.slice(0, 4), progress: () => 0}, async () => {
      try {
        return await call();
      } catch (error) {
        if (error instanceof HubApiError) {
          // The library's message quotes the server: only the status is taken over.
          throw (
            refusal(error.statusCode, what, this.#access) ?? new Transient(`status ${error.statusCode}`, {cause: error})
          );
        }
        if (error instanceof SyntaxError) throw new Transient('the answer is no JSON', {cause: error});
        throw error;
      }
    });
  }
}

/** Null for folders; what a listing cannot vouch for is left out and so never fetched. */
function hubFile(item: unknown): HubFile | null {
  const parsed = ListedSchema.safeParse(item);
  if (!parsed.success || parsed.data.type !== 'file') return null;
  const {path, size, oid, lfs} = parsed.data;
  if (path.split('/').some((part) => part === '' || part.startsWith('.')) || /[\\\0]/.test(path)) return null;
  if (lfs !== undefined) {
    const hex = lfs.oid.replace(/^sha256:/, '');
    return /^[0-9a-f]{64}$/.test(hex) ? {path, bytes: lfs.size, digest: {algorithm: 'sha256', hex}} : null;
  }
  return oid !== undefined && /^[0-9a-f]{40}$/.test(oid)
    ? {path, bytes: size, digest: {algorithm: 'git-sha1', hex: oid}}
    : null;
}

function selectFile(what: string, commit: string, listed: readonly HubFile[], path: string): HubSelection {
  if (PICKLE.test(path)) {
    throw new BenchError(
      'UNSUPPORTED',
      `${what}: a pickle file runs code when it is opened; only GGUF and safetensors are read`,
    );
  }
  if (!path.endsWith('.gguf')) {
    throw new BenchError(
      'UNSUPPORTED',
      `${what}: a single file must be a .gguf; for safetensors name the repository alone`,
    );
  }
  const file = listed.find((candidate) => candidate.path === path);
  if (file !== undefined) return {commit, main: basename(path), files: [file]};
  const others = listed.filter((candidate) => candidate.path.endsWith('.gguf')).map((candidate) => candidate.path);
  throw new BenchError(
    'MODEL_SOURCE_INVALID',
    `${what}: no such file in the repository${examples('; it holds', others)}`,
  );
}

function whyNoWeights(source: HubSource, top: readonly HubFile[]): string {
  const names = top.map((file) => file.path);
  const gguf = names.filter((name) => name.endsWith('.gguf'));
  if (gguf.length > 0) return `name the file, for example hf:${source.repo}/${gguf[0]}${examples('; it holds', gguf)}`;
  const pickle = names.find((name) => PICKLE.test(name));
  if (pickle !== undefined) return `holds only pickle weights (${pickle}), which run code when they are opened`;
  const loose = names.filter((name) => name.endsWith('.safetensors'));
  return loose.length > 0 ? `${loose.length} safetensors files without ${INDEX}` : 'holds no safetensors';
}

function examples(lead: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  return `${lead} ${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`;
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
