import {existsSync} from 'node:fs';
import path from 'node:path';
import type {CaveatCode} from '../../harness/contract/caveats.ts';
import type {CellSettings} from '../../harness/contract/cell.ts';
import {BenchError} from '../../harness/contract/errors.ts';
import type {WorkOrder} from '../../harness/contract/protocol.ts';
import {sharedPrefixTokens} from '../../harness/contract/workload.ts';
import {loadedCpuKernel, readProcessMaps, variantFor} from '../worker-kit/cpu-code.ts';
import {isaName, isCapped, readCpuFlags} from '../worker-kit/cpu-isa.ts';
import type {Engine, EngineProgram} from '../worker-kit/engine.ts';
import {loadFailure} from '../worker-kit/load-failure.ts';
import {LlamaEngine} from './engine.ts';
import {cpuFeatures, type Libllama, loadLibllama, makeThreadpool, type Pointer} from './libllama.ts';
import {checkNativeBuild, findLibraries} from './libraries.ts';

/** `enum ggml_type` of the KV types that a cell may name. */
const KV_TYPES: Readonly<Record<CellSettings['kvType'], number>> = {f32: 0, f16: 1, q4_0: 2, q8_0: 8, bf16: 30};
/** `enum llama_load_mode`. */
const LOAD_MODE = {none: 0, mmap: 1} as const;
/** `enum ggml_backend_dev_type`. */
const GPU = 1;
/** How eagerly a waiting thread polls, 0 to 100: ggml's own default, written down. */
const POLL = 50;

export interface LlamaEnvironment {
  /** Folder of the libraries. */
  readonly folder: string;
  /** A CUDA back end for an older driver, tried when the one in the folder cannot be loaded; null when there is none. */
  readonly cudaFallback: string | null;
}

/** @throws {BenchError} ENGINE_UNAVAILABLE. */
export function readEnvironment(env: NodeJS.ProcessEnv): LlamaEnvironment {
  const folder = env['BENCH_LLAMA_DIR'];
  if (folder === undefined || folder === '') {
    throw new BenchError('ENGINE_UNAVAILABLE', 'BENCH_LLAMA_DIR does not name the folder of the llama.cpp libraries');
  }
  return {folder, cudaFallback: env['BENCH_LLAMA_CUDA_FALLBACK'] ?? null};
}

/** @throws {BenchError} ENGINE_UNAVAILABLE. */
export function llamaProgram(environment: LlamaEnvironment, {cell}: WorkOrder): EngineProgram {
  if (cell.settings.engineBuild === 'native') checkNativeBuild(environment.folder, readCpuFlags());
  const library = loadLibllama(findLibraries(environment.folder));
  return {
    runnerVersion: `llama.cpp ${library.version}`,
    now: () => performance.now(),
    load: (order) => load(library, environment, order),
  };
}

function load(library: Libllama, environment: LlamaEnvironment, order: WorkOrder): Engine {
  const {cell} = order;
  const wantsGpu = cell.deviceKind === 'cuda';
  const cpu = loadBackends(library, environment, order);
  const model = loadModel(library, order);
  const offloaded = Number(library.log.find(/offloaded (\d+)\/\d+ layers to GPU/)?.[1] ?? 0);
  if (wantsGpu && offloaded === 0) {
    throw new BenchError('ENGINE_UNAVAILABLE', 'llama.cpp put no layer on the GPU: see the log of the cell');
  }
  const context = makeContext(library, order, model);
  const threadpool = makeThreadpool(library, cpu, cell.settings.threads, POLL);
  if (threadpool === null) throw new BenchError('ENGINE_UNAVAILABLE', 'this llama.cpp has no thread pools');
  library.llama_attach_threadpool(context, threadpool, threadpool);
  library.endLog();

  const {settings, workload} = cell;
  const contextTokens = library.llama_n_ctx_seq(context);
  const cpuKernel = loadedCpuKernel(readProcessMaps()) ?? 'cpu-unknown';
  const capability = library.log.find(/compute capability (\d+)\.(\d+)/);
  const caveats: CaveatCode[] = [];
  if (isCapped(cell.isa, readCpuFlags())) caveats.push('isa-capped');
  if (sharedPrefixTokens(workload) > 0) caveats.push('cached-prefix');
  return new LlamaEngine({
    library,
    model,
    context,
    contextTokens,
    batchTokens: library.llama_n_batch(context),
    sequences: workload.batch,
    facts: {
      kernel: wantsGpu ? 'cuda' : cpuKernel,
      engineBuild: buildName(environment.folder, settings.engineBuild, library.version),
      dtype: 'f32',
      isa: wantsGpu ? `sm_${capability?.[1] ?? ''}${capability?.[2] ?? ''}` : isaName(cpuFeatures(library, cpu)),
      weightsBytes: Number(library.llama_model_size(model)),
      parameters: Number(library.llama_model_n_params(model)),
      effective: {
        threads: settings.threads,
        gpuLayers: wantsGpu ? offloaded : 0,
        batchTokens: library.llama_n_batch(context),
        ubatchTokens: library.llama_n_ubatch(context),
        contextTokens,
        mmap: settings.mmap,
        flashAttention: settings.flashAttention,
        kvType: settings.kvType,
        engineBuild: settings.engineBuild,
        loop: 'hand',
        sequences: workload.batch,
        kvUnified: false,
        swaFull: true,
        opOffload: wantsGpu,
        offloadKqv: wantsGpu,
        repack: true,
        threadpoolPoll: POLL,
        sampling: 'greedy',
        cpuKernel,
      },
      caveats,
    },
  });
}

/** `prebuilt 0.5.0-dev`, or `native 0.5.0-dev <hash>` with the hash that the folder of a build carries. */
function buildName(folder: string, build: CellSettings['engineBuild'], version: string): string {
  const hash = build === 'native' ? (/-([0-9a-f]{8,})$/.exec(path.basename(folder))?.[1] ?? '') : '';
  return `${build} ${version} ${hash}`.trim();
}

/** @returns The registry entry of the CPU back end. */
function loadBackends(library: Libllama, {folder, cudaFallback}: LlamaEnvironment, {cell}: WorkOrder): Pointer {
  // A build of its own has its CPU code linked in, the prebuilt one picks it from a folder of variants.
  if (library.ggml_backend_reg_by_name('CPU') === null) {
    const variant = variantFor(cell.isa);
    if (variant === null) library.ggml_backend_load_all_from_path(folder);
    else loadVariant(library, folder, variant);
  }
  const cpu = library.ggml_backend_reg_by_name('CPU');
  if (cpu === null) throw new BenchError('ENGINE_UNAVAILABLE', `no CPU code in ${folder} fits this machine`);
  if (cell.deviceKind !== 'cuda') return cpu;

  const hasGpu = () => library.ggml_backend_dev_by_type(GPU) !== null;
  for (const file of [path.join(folder, 'libggml-cuda.so'), cudaFallback]) {
    if (!hasGpu() && file !== null && existsSync(file)) library.ggml_backend_load(file);
  }
  if (!hasGpu()) {
    throw new BenchError('ENGINE_UNAVAILABLE', loadFailure('CUDA', library.log.errors, 'ENGINE_UNAVAILABLE').message);
  }
  return cpu;
}

function loadVariant(library: Libllama, folder: string, variant: string): void {
  const file = path.join(folder, `libggml-cpu-${variant}.so`);
  if (!existsSync(file) || library.ggml_backend_load(file) === null) {
    throw new BenchError('UNSUPPORTED', `the CPU code for ${variant} does not run on this machine`);
  }
}

function loadModel(library: Libllama, {cell, weightsPath}: WorkOrder): Pointer {
  const what = `model ${path.basename(weightsPath)}`;
  if (!existsSync(weightsPath)) throw new BenchError('MODEL_CORRUPT', `${what}: no such file: ${weightsPath}`);
  const model = library.llama_model_load_from_file(weightsPath, {
    ...library.modelDefaults,
    n_gpu_layers: cell.deviceKind === 'cuda' ? cell.settings.gpuLayers : 0,
    // One GPU, the one that CUDA_VISIBLE_DEVICES leaves.
    split_mode: 0,
    main_gpu: 0,
    load_mode: cell.settings.mmap ? LOAD_MODE.mmap : LOAD_MODE.none,
    lazy_mode: 0,
    vocab_only: false,
    // Checked by the logits instead: reading all weights once more would be counted as loading.
    check_tensors: false,
    use_extra_bufts: true,
    no_host: false,
    no_alloc: false,
    load_mtp: false,
  });
  if (model === null) throw loadFailure(what, library.log.errors, 'MODEL_CORRUPT');
  if (library.llama_model_has_encoder(model)) {
    throw new BenchError('UNSUPPORTED', `${what}: models with an encoder are not measured`);
  }
  return model;
}

function makeContext(library: Libllama, {cell}: WorkOrder, model: Pointer): Pointer {
  const {settings, workload} = cell;
  const wantsGpu = cell.deviceKind === 'cuda';
  const context = library.llama_init_from_model(model, {
    ...library.contextDefaults,
    // The engine divides it among the sequences.
    n_ctx: settings.contextTokens * workload.batch,
    n_batch: settings.batchTokens,
    n_ubatch: settings.ubatchTokens,
    n_seq_max: workload.batch,
    n_threads: settings.threads,
    n_threads_batch: settings.threads,
    flash_attn_type: settings.flashAttention ? 1 : 0,
    type_k: KV_TYPES[settings.kvType],
    type_v: KV_TYPES[settings.kvType],
    embeddings: false,
    offload_kqv: wantsGpu,
    no_perf: true,
    op_offload: wantsGpu,
    swa_full: true,
    kv_unified: false,
  });
  if (context === null) throw loadFailure('context', library.log.errors, 'DOES_NOT_FIT');
  return context;
}
