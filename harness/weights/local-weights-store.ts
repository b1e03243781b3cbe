import {readdir, stat} from 'node:fs/promises';
import {availableParallelism} from 'node:os';
import {basename, dirname, join} from 'node:path';
import type {Architecture} from '../contract/architecture.ts';
import {BenchError} from '../contract/errors.ts';
import {FORMATS, type Format} from '../contract/format.ts';
import type {
  ModelArtifact,
  WeightsEstimate,
  WeightsProgress,
  WeightsRequest,
  WeightsStore,
} from '../contract/weights.ts';
import {ARCHITECTURES} from './architectures.ts';
import {
  bytesPerToken,
  kvBytesPerToken,
  type ModelFileFacts,
  modelFacts,
  parametersOf,
  weightsBytesOf,
} from './artifact.ts';
import type {EntryKey, ModelFacts} from './cache-entry.ts';
import {diskBytes, expectedModel, quantizedBytes, secondsToMake} from './estimate.ts';
import {asFileError} from './file-errors.ts';
import {readGguf} from './gguf-reader.ts';
import {combinedSha256, sha256OfFile} from './hash-file.ts';
import {Hub, type HubSource, type PulledFile} from './hub.ts';
import {hubAccess} from './hub-fetch.ts';
import {QUANTIZER_VERSION} from './llama-library.ts';
import {type CacheEntry, type MadeModel, ModelCache} from './model-cache.ts';
import {quantizeGguf} from './quantize.ts';
import {rememberedSha256} from './remembered-hash.ts';
import {readSafetensorsFolder} from './safetensors-reader.ts';
import {formatSource, type ModelSource, parseSource} from './source.ts';
import {writeSyntheticGguf} from './write-gguf.ts';
import {writeSyntheticGptq} from './write-gptq.ts';
import {writeSyntheticSafetensors} from './write-safetensors.ts';

/**
 * Part of every key: raise it when the makers of weights write other bytes for the same seed, so that no model of an
 * older maker is taken from a cache. generator.test.ts holds the bytes of each version and fails until it is raised.
 */
export const GENERATOR = 'bench-weights-1';

/** What makes model files; passed in so that the store can be tested without an engine. */
export interface WeightsMakers {
  readonly gguf: typeof writeSyntheticGguf;
  readonly safetensors: typeof writeSyntheticSafetensors;
  readonly gptq: typeof writeSyntheticGptq;
  readonly quantize: typeof quantizeGguf;
}

const MAKERS: WeightsMakers = {
  gguf: writeSyntheticGguf,
  safetensors: writeSyntheticSafetensors,
  gptq: writeSyntheticGptq,
  quantize: quantizeGguf,
};

export interface LocalWeightsStoreOptions {
  readonly cacheDir: string;
  /** For `HF_ENDPOINT` and `HF_TOKEN`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A relative `file:` is taken from here; default: the working directory. */
  readonly baseDir?: string;
  /** Threads of the quantizer; default: all. */
  readonly threads?: number;
  readonly makers?: WeightsMakers;
  /** Default: made from `env` when it is first needed. */
  readonly hub?: Hub;
}

interface Work {
  readonly signal: AbortSignal;
  onProgress(progress: WeightsProgress): void;
}

/** A model as it comes, before it is known whether it is in the format asked for. */
interface FoundModel {
  readonly path: string;
  readonly facts: ModelFacts;
}

/** Models on this disk: made from a seed, taken from a path or pulled from a hub, each format once, kept in the cache. */
export class LocalWeightsStore implements WeightsStore {
  readonly cache: ModelCache;
  readonly #options: LocalWeightsStoreOptions;
  readonly #makers: WeightsMakers;
  #hub: Hub | null;

  constructor(options: LocalWeightsStoreOptions) {
    this.#options = options;
    this.cache = new ModelCache(options.cacheDir);
    this.#makers = options.makers ?? MAKERS;
    this.#hub = options.hub ?? null;
  }

  architecture(name: string): Architecture | null {
    return ARCHITECTURES.find((architecture) => architecture.name === name) ?? null;
  }

  /** @throws {BenchError} MODEL_SOURCE_INVALID. */
  parse(source: string): ModelSource {
    return parseSource(source, {
      architectures: ARCHITECTURES.map((architecture) => architecture.name),
      baseDir: this.#options.baseDir ?? process.cwd(),
    });
  }

  async estimate({source: text, format, seed}: WeightsRequest): Promise<WeightsEstimate | null> {
    const source = this.parse(text);
    switch (source.kind) {
      case 'synthetic':
        return this.#estimateSynthetic(source.architecture, format, seed);
      case 'file': {
        const file = await readModelFile(source.path);
        return this.#estimateFrom(file, format, async () => this.#isCached(source, format));
      }
      case 'hf': {
        const pulled = await this.cache.find(pulledKey(source));
        if (pulled === null) return null;
        return this.#estimateFrom(
          await readModelFile(pulled.path),
          format,
          async () => (await this.cache.find(quantizedKey(source, pulled.entry.facts.sha256, format))) !== null,
        );
      }
    }
  }

  async ensure({source: text, format, seed}: WeightsRequest, work: Work): Promise<ModelArtifact> {
    const source = this.parse(text);
    switch (source.kind) {
      case 'synthetic':
        return artifact(await this.#synthetic(source.architecture, format, seed, work));
      case 'file':
        return this.#inFormat(source, await this.#localFile(source.path, work), format, work);
      case 'hf':
        return this.#inFormat(source, found(await this.#pulled(source, work)), format, work);
    }
  }

  /**
   * Pulls a model as it is, without asking for a format.
   *
   * @throws {BenchError} MODEL_SOURCE_INVALID when the source is not a hub's, and what {@link ensure} throws.
   */
  async pull(text: string, work: Work): Promise<ModelArtifact> {
    const source = this.parse(text);
    if (source.kind !== 'hf') {
      throw new BenchError('MODEL_SOURCE_INVALID', `model source '${text}': only hf: can be pulled`);
    }
    return artifact(found(await this.#pulled(source, work)));
  }

  async #estimateSynthetic(name: string, format: Format, seed: number): Promise<WeightsEstimate> {
    const architecture = this.#known(name);
    const cached = await this.cache.find(syntheticKey(name, seed, format));
    if (cached !== null) return {...sizes(cached.entry.facts), diskBytesNeeded: 0, secondsNeeded: 0};
    const expected = expectedModel(architecture, format);
    const needsBase = isQuantized(format);
    const baseMissing =
      (needsBase && (await this.cache.find(syntheticKey(name, seed, 'gguf-f16'))) === null) || format === 'gguf-f16';
    const base = needsBase && baseMissing ? diskBytes(expectedModel(architecture, 'gguf-f16').weightsBytes) : 0;
    return {
      ...expected,
      diskBytesNeeded: diskBytes(expected.weightsBytes) + base,
      secondsNeeded: secondsToMake(expected.parameters, format, baseMissing),
    };
  }

  /** For a model whose file is there; null when the file does not come in the format. */
  async #estimateFrom(
    file: ModelFileFacts,
    format: Format,
    cached: () => Promise<boolean>,
  ): Promise<WeightsEstimate | null> {
    const parameters = parametersOf(file.tensors);
    const weightsBytes = weightsBytesOf(file.tensors);
    const same = {
      weightsBytes,
      parameters,
      bytesPerToken: bytesPerToken(file),
      kvBytesPerToken: kvBytesPerToken(file.shape),
    };
    if (file.format === format) return {...same, diskBytesNeeded: 0, secondsNeeded: 0};
    if (!canQuantize(file.format, format)) return null;
    const disk = quantizedBytes(parameters, format);
    const ratio = Math.min(1, disk / diskBytes(weightsBytes));
    const done = await cached();
    return {
      ...same,
      weightsBytes: Math.round(weightsBytes * ratio),
      bytesPerToken: Math.round(same.bytesPerToken * ratio),
      diskBytesNeeded: done ? 0 : disk,
      secondsNeeded: done ? 0 : secondsToMake(parameters, format, false),
    };
  }

  /** By the name of the source alone: an estimate does not hash a model to learn the key. */
  async #isCached(source: ModelSource, format: Format): Promise<boolean> {
    const entries = await this.cache.list();
    const text = formatSource(source);
    return entries.some((entry) => entry.state === 'complete' && entry.source === text && entry.format === format);
  }

  async #synthetic(name: string, format: Format, seed: number, work: Work): Promise<FoundModel> {
    const architecture = this.#known(name);
    const key = syntheticKey(name, seed, format);
    const origin = {sourceText: `synthetic:${name} seed ${seed}`, synthetic: true, known: ARCHITECTURES};
    const expected = expectedModel(architecture, format);
    const {family} = FORMATS[format];
    if (isQuantized(format)) {
      const there = await this.cache.find(key);
      if (there !== null) return found(there);
      const base = await this.#synthetic(name, 'gguf-f16', seed, work);
      return this.#quantized(key, base, format, origin.sourceText, work);
    }
    const entry = await this.cache.ensure(key, {
      bytesNeeded: diskBytes(expected.weightsBytes),
      resumable: false,
      signal: work.signal,
      onNote: note(work),
      make: async ({dir, signal}) => {
        const make = {architecture, seed, signal, onProgress: work.onProgress};
        let main = '.';
        if (family === 'gguf') {
          main = `${name}-f16.gguf`;
          await this.#makers.gguf({...make, path: join(dir, main)});
        } else if (format === 'gptq-4bit') {
          await this.#makers.gptq({...make, folder: dir});
        } else if (format === 'fp32' || format === 'bf16' || format === 'fp16') {
          await this.#makers.safetensors({...make, dtype: format, folder: dir});
        }
        const made = await describe(dir, main, origin, null, work);
        // The catalogue knows which of several names with one shape was asked for.
        return {...checkFormat(made, format, dir), facts: {...made.facts, architectureName: name}};
      },
    });
    return found(entry);
  }

  /** The model in the format asked for, from the one that is there. */
  async #inFormat(source: ModelSource, model: FoundModel, format: Format, work: Work): Promise<ModelArtifact> {
    const has = model.facts.format;
    if (has === format) return artifact(model);
    if (!canQuantize(has, format)) {
      const way =
        FORMATS[format].family === 'gguf'
          ? 'only F32, F16 or BF16 GGUF can be quantized'
          : 'safetensors are used as they are';
      throw new BenchError('UNSUPPORTED', `${formatSource(source)}: holds ${has}, not ${format}; ${way}`);
    }
    const key = quantizedKey(source, model.facts.sha256, format);
    return artifact(await this.#quantized(key, model, format, model.facts.sourceText, work));
  }

  async #quantized(
    key: EntryKey,
    base: FoundModel,
    format: Format,
    sourceText: string,
    work: Work,
  ): Promise<FoundModel> {
    const {synthetic, parameters, architectureName} = base.facts;
    const entry = await this.cache.ensure(key, {
      bytesNeeded: quantizedBytes(parameters, format),
      resumable: false,
      signal: work.signal,
      onNote: note(work),
      make: async ({dir, signal}) => {
        const stem = basename(base.path, '.gguf').replace(/[-.](?:f16|bf16|f32|fp16|fp32)$/i, '');
        const main = `${stem.replace(/^\.+/, '') || 'model'}-${format.slice('gguf-'.length)}.gguf`;
        await this.#makers.quantize({
          input: base.path,
          output: join(dir, main),
          format,
          threads: this.#options.threads ?? availableParallelism(),
          signal,
          onProgress: work.onProgress,
        });
        const made = await describe(dir, main, {sourceText, synthetic, known: ARCHITECTURES}, null, work);
        return {...checkFormat(made, format, dir), facts: {...made.facts, architectureName}};
      },
    });
    return found(entry);
  }

  async #localFile(path: string, work: Work): Promise<FoundModel> {
    const file = await readModelFile(path);
    const folder = (await isFolder(path)) ? path : dirname(path);
    const hashes: PulledFile[] = [];
    let before = 0;
    for (const name of file.files) {
      const part = join(folder, name);
      const step = `hashing ${name}`;
      const sha256 = await rememberedSha256(part, join(this.#options.cacheDir, 'hashes'), {
        signal: work.signal,
        onBytes: (bytes) =>
          work.onProgress({step, doneBytes: before + bytes, totalBytes: weightsBytesOf(file.tensors)}),
      });
      before += (await stat(part)).size;
      hashes.push({name, sha256});
    }
    const origin = {
      path,
      sha256: combinedSha256(hashes),
      sourceText: `file:${path}`,
      synthetic: false,
      known: ARCHITECTURES,
    };
    return {path, facts: modelFacts(file, origin)};
  }

  async #pulled(source: HubSource, work: Work): Promise<CacheEntry> {
    const text = formatSource(source);
    return this.cache.ensure(pulledKey(source), {
      // Known only when the hub has listed the files; checked then.
      bytesNeeded: null,
      resumable: true,
      signal: work.signal,
      onNote: note(work),
      make: async ({dir, signal}) => {
        work.onProgress({step: `looking up ${text}`, doneBytes: 0, totalBytes: null});
        this.#hub ??= new Hub({access: hubAccess(this.#options.env)});
        const selection = await this.#hub.select(source, signal);
        const totalBytes = selection.files.reduce((total, file) => total + file.bytes, 0);
        await this.cache.checkSpace(Math.max(0, totalBytes - (await folderBytes(dir))), text);
        const step = `pulling ${text}`;
        const files = await this.#hub.pull(source, selection, {
          dir,
          signal,
          onBytes: (doneBytes) => work.onProgress({step, doneBytes, totalBytes}),
        });
        const pinned = formatSource({...source, revision: selection.commit});
        return describe(dir, selection.main, {sourceText: pinned, synthetic: false, known: ARCHITECTURES}, files, work);
      },
    });
  }

  #known(name: string): Architecture {
    const architecture = this.architecture(name);
    if (architecture === null) throw new BenchError('MODEL_SOURCE_INVALID', `no architecture named '${name}'`);
    return architecture;
  }
}

const syntheticKey = (name: string, seed: number, format: Format): EntryKey => ({
  source: `synthetic:${name}`,
  seed,
  format,
  generator: isQuantized(format) ? `${GENERATOR} llama.cpp ${QUANTIZER_VERSION}` : GENERATOR,
});
/** A revision that is a branch stays what it was when it was pulled, until the entry is removed: the cache needs no network. */
const pulledKey = (source: HubSource): EntryKey => ({
  source: formatSource(source),
  seed: null,
  format: null,
  generator: 'hub',
});
/** Quantized from these very bytes by this very quantizer. */
const quantizedKey = (source: ModelSource, sha256: string, format: Format): EntryKey => ({
  source: formatSource(source),
  seed: null,
  format,
  generator: `llama.cpp ${QUANTIZER_VERSION} from ${sha256}`,
});

/** Synthetic GGUF is written as F16; every other GGUF format is made from that. */
function isQuantized(format: Format): boolean {
  return FORMATS[format].family === 'gguf' && format !== 'gguf-f16';
}

function canQuantize(from: Format | null, to: Format): boolean {
  return (from === 'gguf-f32' || from === 'gguf-f16' || from === 'gguf-bf16') && FORMATS[to].family === 'gguf';
}

const note = (work: Work) => (text: string) => work.onProgress({step: text, doneBytes: 0, totalBytes: null});
const found = ({path, entry}: CacheEntry): FoundModel => ({path, facts: entry.facts});
const artifact = ({path, facts}: FoundModel): ModelArtifact => ({...facts, path});

function sizes({
  weightsBytes,
  parameters,
  bytesPerToken,
  kvBytesPerToken,
}: ModelFacts): Omit<WeightsEstimate, 'diskBytesNeeded' | 'secondsNeeded'> {
  return {weightsBytes, parameters, bytesPerToken, kvBytesPerToken};
}

async function isFolder(path: string): Promise<boolean> {
  const stats = await stat(path).catch((error: unknown) => {
    throw asFileError(error, path);
  });
  return stats.isDirectory();
}

/**
 * A model file or folder by what it is, not by its name (but a name can be refused).
 *
 * @throws {BenchError} FILE_UNREADABLE, MODEL_CORRUPT, UNSUPPORTED.
 */
async function readModelFile(path: string): Promise<ModelFileFacts> {
  if (await isFolder(path)) return readSafetensorsFolder(path);
  if (path.endsWith('.safetensors')) {
    throw new BenchError('UNSUPPORTED', `${path}: name the folder, which also holds config.json`);
  }
  if (/\.(?:bin|pt|pth|ckpt|pkl|pickle)$/.test(path)) {
    throw new BenchError(
      'UNSUPPORTED',
      `${path}: a pickle file runs code when it is opened; only GGUF and safetensors are read`,
    );
  }
  return readGguf(path);
}

/** Reads what was made or pulled and hashes it, unless that was done on the way. */
async function describe(
  dir: string,
  main: string,
  origin: {readonly sourceText: string; readonly synthetic: boolean; readonly known: readonly Architecture[]},
  hashed: readonly PulledFile[] | null,
  work: Work,
): Promise<MadeModel> {
  const path = main === '.' ? dir : join(dir, main);
  const file = main === '.' ? readSafetensorsFolder(dir) : readGguf(path);
  const files = hashed ?? (await hashAll(dir, main, work));
  const weights = files.filter(({name}) => file.files.includes(name));
  return {main, files, facts: modelFacts(file, {...origin, path, sha256: combinedSha256(weights)})};
}

async function hashAll(dir: string, main: string, work: Work): Promise<PulledFile[]> {
  const files: PulledFile[] = [];
  const names = main === '.' ? (await readdir(dir)).filter((name) => !name.startsWith('.')) : [main];
  for (const name of names.sort()) {
    const totalBytes = (await stat(join(dir, name))).size;
    const onBytes = (doneBytes: number) => work.onProgress({step: `hashing ${name}`, doneBytes, totalBytes});
    files.push({name, sha256: await sha256OfFile(join(dir, name), {signal: work.signal, onBytes})});
  }
  return files;
}

function checkFormat(made: MadeModel, format: Format, dir: string): MadeModel {
  if (made.facts.format === format) return made;
  throw new BenchError('MODEL_CORRUPT', `${join(dir, made.main)}: came out as ${made.facts.format}, not as ${format}`);
}

async function folderBytes(dir: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(dir)) bytes += (await stat(join(dir, name)).catch(() => null))?.size ?? 0;
  return bytes;
}
