import type {Cell} from '../../harness/contract/cell.ts';
import type {HostFacts} from '../../harness/contract/device.ts';
import type {Launch, Runner, Support} from '../../harness/contract/runner.ts';
import {SERVER_RUNNER} from '../../harness/contract/server.ts';
import {sharedPrefixTokens} from '../../harness/contract/workload.ts';
import {gpuEnvironment} from '../worker-kit/gpu-environment.ts';
import {workerProgram} from '../worker-kit/worker-program.ts';

/** Any OpenAI-compatible server, one that runs or one that is started: what a team deploys, HTTP and queue included. */
export const openaiHttpRunner: Runner = {
  id: SERVER_RUNNER,
  doc: 'An OpenAI-compatible server (vLLM, llama-server, SGLang, TGI, …), running or started here, through streamed HTTP.',
  // A server that is started with `{model}` takes weights: see `needsWeights` of the contract.
  needsWeights: false,

  supports(cell: Cell): Support {
    const reason = problem(cell);
    return reason === null ? {ok: true} : {ok: false, reason};
  },

  launch(cell: Cell, host: HostFacts): Launch {
    const started = cell.runner.server?.command != null;
    return {...workerProgram(import.meta.url), env: started ? gpuEnvironment(cell, host) : {}};
  },
};

function problem({runner, kernel, isa, workload}: Cell): string | null {
  const {server} = runner;
  if (server === undefined) {
    return 'measures a server that a matrix names: see matrices/serve-openai.yaml';
  }
  if (kernel !== 'auto') return `a server chooses its kernel itself: use kernel auto, not ${kernel}`;
  if (isa !== 'native') return 'a server chooses its instruction set itself: use isa native';
  if (workload.batch > 1) return 'a server makes its batches itself: set batch to 1 and use concurrency';
  if (workload.prompts !== null && workload.prefixCache !== 'off') {
    return 'prompts of a file share no prefix: set prefix_cache to off';
  }
  if (sharedPrefixTokens(workload) === 0) return null;
  return server.endpoint === 'chat' || server.prompt === 'text'
    ? 'prefix_cache needs prompts of token ids: use endpoint completions and prompt tokens'
    : null;
}
