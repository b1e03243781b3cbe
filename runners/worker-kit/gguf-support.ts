import type {Cell} from '../../harness/contract/cell.ts';
import type {HostFacts} from '../../harness/contract/device.ts';
import {FORMATS} from '../../harness/contract/format.ts';
import type {Support} from '../../harness/contract/runner.ts';
import {sharedPrefixTokens} from '../../harness/contract/workload.ts';
import {missingFlags} from './cpu-isa.ts';

/** What both ways into llama.cpp ask of a cell: format, device, context, batch, instruction set. First problem wins. */
export function ggufSupport(runner: string, cell: Cell, host: HostFacts): Support {
  const reason = problem(runner, cell, host);
  if (reason === null) return {ok: true};
  return {ok: false, reason, ...(reason === NO_CUDA ? {missing: true} : {})};
}

const NO_CUDA =
  'the CUDA libraries of llama.cpp cannot be loaded here: install the NVIDIA driver and the CUDA 12 or 13 runtime with cuBLAS';

function problem(runner: string, cell: Cell, host: HostFacts): string | null {
  const {workload, settings} = cell;
  if (FORMATS[cell.format].family !== 'gguf') {
    return `${runner} reads GGUF files, and ${cell.format} is none: choose a gguf-* format`;
  }
  if (host.software.llamaPrebuiltDir === null && settings.engineBuild === 'prebuilt') {
    return `no prebuilt llama.cpp for this platform: run \`bench setup llama-cpp --native\` and set engine_build: native`;
  }
  if (cell.deviceKind === 'cuda' && !host.software.llamaGpu.includes('cuda')) return NO_CUDA;
  if (cell.deviceKind === 'cuda' && settings.gpuLayers === 0) return 'gpu_layers is 0 on a GPU device: leave it out';
  if (cell.deviceKind === 'cpu' && settings.gpuLayers > 0) return 'gpu_layers needs a GPU device';
  if (settings.kvType !== 'f16' && !settings.flashAttention && settings.kvType.startsWith('q')) {
    return `kv_type ${settings.kvType} needs flash_attention: true`;
  }
  if (cell.isa !== 'native') {
    if (host.cpu.architecture !== 'x64') return `isa ${cell.isa} exists on x86-64 only`;
    const missing = missingFlags(cell.isa, host.cpu.flags);
    if (missing.length > 0) return `isa ${cell.isa} needs ${missing.join(', ')}, which this CPU lacks`;
    if (settings.engineBuild === 'native') return 'a native build has one instruction set: use engine_build: prebuilt';
  }
  const needed = workload.promptTokens + workload.generatedTokens + 1;
  if (settings.contextTokens < needed) {
    return `context_tokens ${settings.contextTokens} is less than prompt + generated + 1 = ${needed}`;
  }
  if (settings.ubatchTokens > settings.batchTokens) return 'ubatch_tokens must not be more than batch_tokens';
  if (workload.batch > settings.batchTokens) return 'batch_tokens must be at least the batch';
  if (workload.prompts !== null && workload.batch > 1) {
    return 'prompts of a file differ in length and cannot be decoded as one batch: set batch to 1';
  }
  if (workload.prompts !== null && workload.prefixCache !== 'off') {
    return 'prompts of a file share no prefix: set prefix_cache to off';
  }
  if (workload.prompts === null && sharedPrefixTokens(workload) >= workload.promptTokens) {
    return `prefix_cache ${workload.prefixCache} leaves no prompt token to compute`;
  }
  return null;
}
