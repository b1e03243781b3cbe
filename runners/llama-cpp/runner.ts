import path from 'node:path';
import type {Cell} from '../../harness/contract/cell.ts';
import type {HostFacts} from '../../harness/contract/device.ts';
import type {Launch, Runner, Support} from '../../harness/contract/runner.ts';
import {ggufSupport} from '../worker-kit/gguf-support.ts';
import {gpuEnvironment} from '../worker-kit/gpu-environment.ts';
import {workerProgram} from '../worker-kit/worker-program.ts';

/** GGUF files through libllama's C API: the library that node-llama-cpp ships, or one built on this host. */
export const llamaCppRunner: Runner = {
  id: 'llama-cpp',
  doc: 'GGUF through the C API of libllama, with a thread pool that outlives the token: the engine itself, no wrapper.',
  needsWeights: true,

  supports(cell: Cell, host: HostFacts): Support {
    if (cell.kernel !== 'auto') {
      return {ok: false, reason: `llama-cpp has no kernel to choose: use kernel auto and isa, not ${cell.kernel}`};
    }
    if (cell.settings.engineBuild === 'native' && host.software.llamaNativeDir === null) {
      return {
        ok: false,
        reason: 'no llama.cpp is built on this host: run `bench setup llama-cpp --native`',
        missing: true,
      };
    }
    if (cell.workload.concurrency > 1) {
      return {
        ok: false,
        reason: 'llama-cpp runs one request at a time: use batch for sequences decoded together, or a server runner',
      };
    }
    return ggufSupport('llama-cpp', cell, host);
  },

  launch(cell: Cell, host: HostFacts): Launch {
    return {
      ...workerProgram(import.meta.url),
      env: {...gpuEnvironment(cell, host), ...engineFolder(cell, host)},
    };
  },
};

/**
 * The npm packages of one platform lie side by side: `…/@node-llama-cpp/linux-x64/bins/linux-x64`, with `-cuda` appended
 * to both names for the CUDA build; its back end for CUDA 12 is in `-cuda-ext`.
 */
function engineFolder({deviceKind, settings}: Cell, {software}: HostFacts): Readonly<Record<string, string>> {
  const {llamaNativeDir, llamaPrebuiltDir} = software;
  if (settings.engineBuild === 'native') return {BENCH_LLAMA_DIR: llamaNativeDir ?? ''};
  const prebuilt = llamaPrebuiltDir ?? '';
  if (deviceKind !== 'cuda') return {BENCH_LLAMA_DIR: prebuilt};
  const platform = path.basename(prebuilt);
  const packages = path.resolve(prebuilt, '..', '..', '..');
  return {
    BENCH_LLAMA_DIR: path.join(packages, `${platform}-cuda`, 'bins', `${platform}-cuda`),
    BENCH_LLAMA_CUDA_FALLBACK: path.join(
      packages,
      `${platform}-cuda-ext`,
      'bins',
      `${platform}-cuda`,
      'fallback',
      'libggml-cuda.so',
    ),
  };
}
