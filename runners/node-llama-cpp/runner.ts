import type {Cell} from '../../harness/contract/cell.ts';
import type {HostFacts} from '../../harness/contract/device.ts';
import type {Launch, Runner, Support} from '../../harness/contract/runner.ts';
import {ggufSupport} from '../worker-kit/gguf-support.ts';
import {gpuEnvironment} from '../worker-kit/gpu-environment.ts';
import {workerProgram} from '../worker-kit/worker-program.ts';

/** GGUF files as a Node program runs them: node-llama-cpp's public API and nothing below it. */
export const nodeLlamaCppRunner: Runner = {
  id: 'node-llama-cpp',
  doc: 'GGUF through the public API of node-llama-cpp, as Node programs deploy it.',
  needsWeights: true,

  supports(cell: Cell, host: HostFacts): Support {
    const reason = problem(cell);
    return reason === null ? ggufSupport('node-llama-cpp', cell, host) : {ok: false, reason};
  },

  launch(cell: Cell, host: HostFacts): Launch {
    return {
      ...workerProgram(import.meta.url),
      env: {...gpuEnvironment(cell, host), BENCH_LLAMA_DIR: host.software.llamaPrebuiltDir ?? ''},
    };
  },
};

function problem({kernel, settings, workload}: Cell): string | null {
  if (kernel !== 'auto') return `node-llama-cpp has no kernel to choose: use kernel auto, not ${kernel}`;
  if (settings.engineBuild === 'native') {
    return 'node-llama-cpp runs the library that it ships: use engine_build prebuilt, or the runner llama-cpp';
  }
  if (workload.concurrency > 1) return 'node-llama-cpp runs one request at a time here: set concurrency to 1';
  if (workload.batch > 1) {
    return 'node-llama-cpp decides itself what it decodes together: use the runner llama-cpp for a batch';
  }
  if (workload.prefixCache !== 'off') {
    return 'node-llama-cpp cannot be told which prefix to keep: use the runner llama-cpp for prefix_cache';
  }
  return null;
}
