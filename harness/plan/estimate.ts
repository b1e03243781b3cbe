import type {Cell} from '../contract/cell.ts';
import type {HostFacts} from '../contract/device.ts';
import type {Format} from '../contract/format.ts';
import {formatBytes} from '../contract/units.ts';
import type {WeightsEstimate} from '../contract/weights.ts';
import type {CellDevice} from './cell-device.ts';

const MIB = 1024 * 1024;

/**
 * What a plan assumes, for planning only: no figure of a result is made from these.
 *
 * On a CPU, fitted to measured peaks (proportional set size of the process tree) of llama.cpp with Quickstart 53M,
 * Llama-3.2-1B, Gemma-2B and Phi-2 in seven formats, and of PyTorch with Llama-3.2-1B; `npm run bench:self --
 * memory-estimate` compares. First the process with its libraries; for llama.cpp 300 bytes a word of the vocabulary, in
 * the tokenizer; and a token that is computed together with others costs activations and logits, whose width grows with
 * the square root of the parameters (151 kB in Llama-3.2-1B, in both engines).
 *
 * On a GPU, not compared yet: context and workspaces of CUDA, and of llama.cpp the logits of all tokens of a batch, which
 * it reserves in full (508 MiB with the 256,000 words of Gemma at 512 tokens).
 */
const PROCESS_BYTES = {native: 47e6, transformers: 680e6} as const;
const BYTES_PER_WORD = 300;
/** Vocabulary: of small models about a word for 10,000 parameters, and seldom more than Llama 3's. */
const PARAMETERS_PER_WORD = 10_000;
const MOST_WORDS = 128_256;
const ACTIVATION_BYTES_PER_ROOT = 4.3;
const CUDA_BYTES = {native: 600 * MIB, transformers: 1024 * MIB} as const;
const LOGIT_BYTES_PER_TOKEN = {native: MIB, transformers: 0.5 * MIB} as const;
/** Of GPTQ weights on a CPU, relative to them: the copy in the order of the kernel, and blocks as they are unpacked. */
const GPTQ_COPY = 0.85;
const GPTQ_UNPACKED = 0.25;
/**
 * Bits a parameter of what llama.cpp copies into another order at loading, because its kernels for x64 with AVX2 read it
 * faster (`ggml_repack_get_optimal_repack_type`: Q4_0, Q4_K, IQ4_NL, and Q2_K with AVX-512). Measured of
 * Q4_K_M (3.0 to 3.6) and Q3_K_M; of the others the share of their tensors in those types, embeddings left out. The file
 * stays mapped beside it.
 */
const REPACKED_BITS: Partial<Record<Format, number>> = {
  'gguf-q4_0': 3.9,
  'gguf-iq4_nl': 3.9,
  'gguf-q4_k_s': 3.8,
  'gguf-q4_k_m': 3.2,
  'gguf-q3_k_m': 1.2,
  'gguf-q2_k': 1.5,
};
/** Bits of an element of the KV cache, scales included. */
const KV_BITS = {f32: 32, f16: 16, bf16: 16, q8_0: 8.5, q4_0: 4.5} as const;
/** Seconds until the engine is imported, and the rate at which a slow disk gives weights. */
const START_SECONDS = {native: 2, transformers: 20} as const;
const LOAD_BYTES_PER_S = 200e6;

export interface MemoryEstimate {
  readonly weightsBytes: number;
  readonly kvBytes: number;
  readonly engineBytes: number;
  /** What the cell cannot do without. */
  readonly totalBytes: number;
  /**
   * What will be resident where memory is plenty: with a mapped file also the pages of weights that were copied into
   * another order, which the kernel drops when somebody needs the room.
   */
  readonly residentBytes: number;
}

const engineKind = (cell: Cell) => (cell.runner.id === 'transformers' ? 'transformers' : 'native');

/** Memory while serving: of the machine, or of the GPU for a cell on one. */
export function estimateMemory(cell: Cell, weights: WeightsEstimate): MemoryEstimate {
  const {settings, workload} = cell;
  const sequences = workload.batch * workload.concurrency;
  const kvBytes = Math.ceil(
    (weights.kvBytesPerToken * settings.contextTokens * sequences * KV_BITS[settings.kvType]) / 16,
  );
  const engineBytes = Math.round(engineBytesOf(cell, weights));
  const {weightsBytes} = weights;
  const totalBytes = weightsBytes + kvBytes + engineBytes;
  return {
    weightsBytes,
    kvBytes,
    engineBytes,
    totalBytes,
    residentBytes: totalBytes + Math.round(copyBytes(cell, weights)),
  };
}

function engineBytesOf(cell: Cell, {parameters, weightsBytes}: WeightsEstimate): number {
  const {settings, workload} = cell;
  const kind = engineKind(cell);
  const sequences = workload.batch * workload.concurrency;
  if (cell.deviceKind === 'cuda') {
    const reserved = Math.min(settings.ubatchTokens, settings.contextTokens * sequences);
    return CUDA_BYTES[kind] + reserved * LOGIT_BYTES_PER_TOKEN[kind];
  }
  // Of a file of prompts the longest is not known here.
  const prompt = workload.promptTokens === 0 ? settings.contextTokens : workload.promptTokens;
  const together = Math.min(settings.ubatchTokens, prompt * sequences);
  const words = kind === 'native' ? Math.min(MOST_WORDS, parameters / PARAMETERS_PER_WORD) : 0;
  const unpacked = cell.format === 'gptq-4bit' && cell.kernel === 'dequant-eager' ? GPTQ_UNPACKED * weightsBytes : 0;
  return (
    PROCESS_BYTES[kind] +
    words * BYTES_PER_WORD +
    together * ACTIVATION_BYTES_PER_ROOT * Math.sqrt(parameters) +
    unpacked
  );
}

/** Weights that lie in memory a second time, in another order, while the file that they came from stays mapped. */
function copyBytes(cell: Cell, {parameters, weightsBytes}: WeightsEstimate): number {
  if (cell.deviceKind === 'cuda') return 0;
  if (engineKind(cell) === 'native') {
    return cell.settings.mmap ? ((REPACKED_BITS[cell.format] ?? 0) * parameters) / 8 : 0;
  }
  return cell.format === 'gptq-4bit' && cell.kernel !== 'dequant-eager' ? GPTQ_COPY * weightsBytes : 0;
}

/** Over all rounds: the whole budget of each, starting and loading. Most cells reach their width earlier. */
export function estimateSeconds(cell: Cell, weightsBytes: number | null): number {
  const load = START_SECONDS[engineKind(cell)] + (weightsBytes ?? 0) / LOAD_BYTES_PER_S;
  return Math.ceil(cell.rounds * (cell.stop.budgetSeconds + load));
}

/** Why a cell cannot fit into its device, with the numbers; null when it can, or when the memory is not known. */
export function whyNotFit(cell: Cell, device: CellDevice, host: HostFacts, memory: MemoryEstimate): string | null {
  const room = roomFor(cell, device, host);
  if (room === null || memory.totalBytes <= room.bytes) return null;
  return (
    `needs ${formatBytes(memory.totalBytes)} (weights ${formatBytes(memory.weightsBytes)}, KV cache ${formatBytes(memory.kvBytes)}, ` +
    `engine ${formatBytes(memory.engineBytes)}), but ${room.text}`
  );
}

function roomFor(
  cell: Cell,
  device: CellDevice,
  host: HostFacts,
): {readonly bytes: number; readonly text: string} | null {
  if (device.here === null) {
    const bytes = device.entry?.memory_bytes ?? null;
    // Layers left on the CPU need memory that the catalogue does not know.
    if (bytes === null || (cell.deviceKind === 'cuda' && cell.settings.gpuLayers < 999)) return null;
    return {bytes, text: `a ${device.name} has ${formatBytes(bytes)}`};
  }
  const {availableBytes, cgroupLimitBytes} = host.memory;
  if (device.kind === 'cpu') {
    const limit = cgroupLimitBytes === null ? '' : ` within its limit of ${formatBytes(cgroupLimitBytes)}`;
    return {bytes: availableBytes, text: `this machine has ${formatBytes(availableBytes)} available${limit}`};
  }
  const gpu = host.gpus.find(({index}) => index === device.here?.gpuIndex);
  if (gpu === undefined) return null;
  const [slice] = gpu.migMode === 'Enabled' ? (gpu.mig ?? []) : [];
  if (slice !== undefined && slice.memoryBytes !== null) {
    return {bytes: slice.memoryBytes, text: `the MIG instance of ${device.name} has ${formatBytes(slice.memoryBytes)}`};
  }
  const free = gpu.memoryBytes - (gpu.memoryUsedBytes ?? 0);
  if (cell.settings.gpuLayers < 999) {
    return {
      bytes: free + availableBytes,
      text: `${device.name} and this machine have ${formatBytes(free + availableBytes)} free together`,
    };
  }
  return {bytes: free, text: `${device.name} has ${formatBytes(free)} of ${formatBytes(gpu.memoryBytes)} free`};
}
