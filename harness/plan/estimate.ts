import type {Cell} from '../contract/cell.ts';
import type {HostFacts} from '../contract/device.ts';
import {formatBytes} from '../contract/units.ts';
import type {WeightsEstimate} from '../contract/weights.ts';
import type {CellDevice} from './cell-device.ts';

const MIB = 1024 * 1024;

/**
 * What a plan assumes, for planning only: no figure of a result is made from these. Rounded up from what the engines
 * showed with Llama-3.2-1B: the process with its libraries (PyTorch: 0.3 GB anonymous), and on a GPU its context and
 * workspaces (about 1 GB with PyTorch).
 */
const ENGINE_BYTES = {
  native: {cpu: 150 * MIB, cuda: 600 * MIB},
  transformers: {cpu: 512 * MIB, cuda: 1024 * MIB},
} as const;
/** Compute buffers grow with the tokens computed at once: mainly logits, 4 bytes × 128,256 words in Llama 3. */
const BUFFER_BYTES_PER_TOKEN = 0.5 * MIB;
/** Bits of an element of the KV cache, scales included. */
const KV_BITS = {f32: 32, f16: 16, bf16: 16, q8_0: 8.5, q4_0: 4.5} as const;
/** Seconds until the engine is imported, and the rate at which a slow disk gives weights. */
const START_SECONDS = {native: 2, transformers: 20} as const;
const LOAD_BYTES_PER_S = 200e6;

export interface MemoryEstimate {
  readonly weightsBytes: number;
  readonly kvBytes: number;
  readonly engineBytes: number;
  readonly totalBytes: number;
}

const engineKind = (cell: Cell) => (cell.runner.id === 'transformers' ? 'transformers' : 'native');

/** Resident memory while serving. */
export function estimateMemory(cell: Cell, weights: WeightsEstimate): MemoryEstimate {
  const {settings, workload} = cell;
  const sequences = workload.batch * workload.concurrency;
  const kvBytes = Math.ceil(
    (weights.kvBytesPerToken * settings.contextTokens * sequences * KV_BITS[settings.kvType]) / 16,
  );
  const together = Math.min(settings.ubatchTokens, settings.contextTokens * sequences);
  const engineBytes = ENGINE_BYTES[engineKind(cell)][cell.deviceKind] + together * BUFFER_BYTES_PER_TOKEN;
  const {weightsBytes} = weights;
  return {weightsBytes, kvBytes, engineBytes, totalBytes: weightsBytes + kvBytes + engineBytes};
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
  const free = gpu.memoryBytes - (gpu.memoryUsedBytes ?? 0);
  if (cell.settings.gpuLayers < 999) {
    return {
      bytes: free + availableBytes,
      text: `${device.name} and this machine have ${formatBytes(free + availableBytes)} free together`,
    };
  }
  return {bytes: free, text: `${device.name} has ${formatBytes(free)} of ${formatBytes(gpu.memoryBytes)} free`};
}
