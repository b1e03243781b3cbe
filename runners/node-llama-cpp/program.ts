import {existsSync} from 'node:fs';
import path from 'node:path';
import koffi from 'koffi';
import {
  getLlama,
  getModuleVersion,
  InsufficientMemoryError,
  type Llama,
  type LlamaContext,
  LlamaLogLevel,
  type LlamaModel,
} from 'node-llama-cpp';
import type {CaveatCode} from '../../harness/contract/caveats.ts';
import {BenchError} from '../../harness/contract/errors.ts';
import type {WorkOrder} from '../../harness/contract/protocol.ts';
import {loadedCpuKernel, readProcessMaps, variantFor} from '../worker-kit/cpu-code.ts';
import {isaName, isCapped, readCpuFlags} from '../worker-kit/cpu-isa.ts';
import type {Engine, EngineProgram} from '../worker-kit/engine.ts';
import {loadFailure} from '../worker-kit/load-failure.ts';
import {NodeLlamaEngine} from './engine.ts';

const KV_TYPES = {f16: 'F16', bf16: 'BF16', f32: 'F32', q8_0: 'Q8_0', q4_0: 'Q4_0'} as const;

/**
 * Starts the engine before `ready`: finding and testing the binary is no part of loading a model.
 *
 * @param prebuiltDir Folder of the CPU libraries, for a capped instruction set.
 * @throws {BenchError} ENGINE_UNAVAILABLE.
 */
export async function nodeLlamaProgram({cell}: WorkOrder, prebuiltDir: string): Promise<EngineProgram> {
  const errors: string[] = [];
  const variant = cell.deviceKind === 'cpu' ? variantFor(cell.isa) : null;
  if (variant !== null) preloadVariant(prebuiltDir, variant);
  const gpu = cell.deviceKind === 'cuda' ? 'cuda' : false;
  const llama = await startLlama(gpu, errors);
  if (gpu !== false && llama.gpu !== gpu) {
    throw new BenchError('ENGINE_UNAVAILABLE', `node-llama-cpp runs on ${String(llama.gpu)} instead of ${gpu}`);
  }
  const version = await getModuleVersion();
  return {runnerVersion: version, now: () => performance.now(), load: (order) => load(llama, order, version, errors)};
}

async function startLlama(gpu: 'cuda' | false, errors: string[]): Promise<Llama> {
  try {
    return await getLlama({
      gpu,
      build: 'never',
      skipDownload: true,
      // 0 = no limit of the package's own; the threads of the context are what counts.
      maxThreads: 0,
      logLevel: LlamaLogLevel.info,
      logger(level, message) {
        process.stderr.write(`${message.trimEnd()}\n`);
        if (level === LlamaLogLevel.error || level === LlamaLogLevel.fatal) errors.push(message.trim());
      },
    });
  } catch (error) {
    // biome-ignore lint/style/useErrorCause: the cause is the third argument of BenchError.
    throw new BenchError('ENGINE_UNAVAILABLE', `node-llama-cpp: ${firstLine(error)}`, {cause: error});
  }
}

/** A CPU back end that is registered before the package looks for one is the one it uses. */
function preloadVariant(folder: string, variant: string): void {
  const ggml = ['libggml.v0.5.0.so', 'libggml.so'].map((name) => path.join(folder, name)).find(existsSync);
  const file = path.join(folder, `libggml-cpu-${variant}.so`);
  const loadBackend = ggml === undefined ? null : koffi.load(ggml).func('void *ggml_backend_load(const char *)');
  if (loadBackend === null || !existsSync(file) || loadBackend(file) === null) {
    throw new BenchError('UNSUPPORTED', `the CPU code for ${variant} does not run on this machine`);
  }
}

async function load(llama: Llama, order: WorkOrder, version: string, errors: readonly string[]): Promise<Engine> {
  const {cell, weightsPath} = order;
  const {settings} = cell;
  const wantsGpu = cell.deviceKind === 'cuda';
  const what = `model ${path.basename(weightsPath)}`;
  if (!existsSync(weightsPath)) throw new BenchError('MODEL_CORRUPT', `${what}: no such file: ${weightsPath}`);
  const model = await orFail(what, errors, 'MODEL_CORRUPT', () =>
    llama.loadModel({modelPath: weightsPath, gpuLayers: wantsGpu ? settings.gpuLayers : 0, useMmap: settings.mmap}),
  );
  const context = await orFail('context', errors, 'DOES_NOT_FIT', () =>
    model.createContext({
      contextSize: settings.contextTokens,
      // n_batch and n_ubatch are one setting here: the tokens computed at once are what must be equal.
      batchSize: settings.ubatchTokens,
      threads: {ideal: settings.threads, min: settings.threads},
      flashAttention: settings.flashAttention,
      sequences: 1,
      experimentalKvCacheKeyType: KV_TYPES[settings.kvType],
      experimentalKvCacheValueType: KV_TYPES[settings.kvType],
    }),
  );
  return new NodeLlamaEngine({
    model,
    sequence: context.getSequence(),
    contextTokens: context.contextSize,
    facts: facts(llama, order, version, model, context),
  });
}

function facts(
  llama: Llama,
  {cell}: WorkOrder,
  version: string,
  model: LlamaModel,
  context: LlamaContext,
): Engine['facts'] {
  const {settings} = cell;
  const wantsGpu = cell.deviceKind === 'cuda';
  const caveats: CaveatCode[] = [];
  if (!wantsGpu) caveats.push('threadless-engine');
  if (isCapped(cell.isa, readCpuFlags())) caveats.push('isa-capped');
  const cpuKernel = loadedCpuKernel(readProcessMaps()) ?? 'cpu-unknown';
  return {
    kernel: wantsGpu ? 'cuda' : cpuKernel,
    engineBuild: `prebuilt ${version}`,
    dtype: 'f32',
    isa: wantsGpu ? 'cuda' : isaName(systemFeatures(llama.systemInfo)),
    weightsBytes: model.size,
    parameters: null,
    effective: {
      threads: context.currentThreads,
      gpuLayers: model.gpuLayers,
      batchTokens: context.batchSize,
      ubatchTokens: context.batchSize,
      contextTokens: context.contextSize,
      mmap: settings.mmap,
      flashAttention: context.flashAttention,
      kvType: settings.kvType,
      engineBuild: 'prebuilt',
      loop: 'generate',
      sampling: 'temperature 0',
      cpuKernel,
    },
    caveats,
  };
}

async function orFail<Loaded>(
  what: string,
  errors: readonly string[],
  otherwise: 'MODEL_CORRUPT' | 'DOES_NOT_FIT',
  make: () => Promise<Loaded>,
): Promise<Loaded> {
  try {
    return await make();
  } catch (error) {
    if (error instanceof InsufficientMemoryError) {
      // biome-ignore lint/style/useErrorCause: the cause is the third argument of BenchError.
      throw new BenchError('DOES_NOT_FIT', `${what}: ${firstLine(error)}`, {cause: error});
    }
    throw loadFailure(what, errors.length > 0 ? errors : [firstLine(error)], otherwise);
  }
}

/** `CPU : AVX2 = 1 | …` of the engine, as the set of what is 1. */
function systemFeatures(systemInfo: string): ReadonlySet<string> {
  return new Set(Array.from(systemInfo.matchAll(/(\w+) = 1\b/g), ([, name]) => name ?? ''));
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}
