import type {CaveatCode} from '../../harness/contract/caveats.ts';
import type {WorkerEventInput, WorkOrder} from '../../harness/contract/protocol.ts';
import {type ServerRef, tellsServer} from '../../harness/contract/server.ts';
import {sharedPrefixTokens} from '../../harness/contract/workload.ts';
import {loadedCpuKernel} from '../worker-kit/cpu-code.ts';
import type {Rehearsed} from './rehearsal.ts';
import type {Served} from './served.ts';
import {shortLine} from './server-words.ts';

type Loaded = Extract<WorkerEventInput, {type: 'loaded'}>;

/** What is known of a server: what it says, what its process shows, and what it was told. All else is `unknown`. */
export function loadedFacts(
  {cell}: WorkOrder,
  server: ServerRef,
  {served, rehearsed}: {served: Served; rehearsed: Rehearsed},
): Omit<Loaded, 'type' | 'tNs'> {
  const {dialect, model, version, process} = served;
  const {settings, workload} = cell;
  const caveats: CaveatCode[] = [];
  if (rehearsed.lengthsVary) caveats.push('lengths-vary');
  if (!rehearsed.streams) caveats.push('tokens-not-streamed');
  if (sharedPrefixTokens(workload) > 0) caveats.push('cached-prefix');
  const told = (name: 'threads' | 'gpu_layers', value: number) => (tellsServer(server, name) ? value : 'unknown');
  return {
    kernel: kernelOf(process?.maps ?? ''),
    engineBuild: version === null ? dialect.name : `${dialect.name} ${version}`,
    dtype: 'unknown',
    isa: 'unknown',
    weightsBytes: model.weightsBytes,
    parameters: model.parameters,
    effective: {
      model: shortLine(model.name),
      endpoint: server.endpoint,
      prompts: rehearsed.promptKind,
      ignoreEos: rehearsed.ignoreEos,
      sampling: 'greedy',
      concurrency: workload.concurrency,
      contextTokens: model.contextTokens ?? 'unknown',
      threads: told('threads', settings.threads),
      gpuLayers: told('gpu_layers', settings.gpuLayers),
      startedHere: process !== null,
    },
    caveats,
  };
}

/** Of a server that was started here, the code of ggml that it has mapped. */
function kernelOf(maps: string): string {
  if (/libggml-cuda/.test(maps)) return 'cuda';
  return loadedCpuKernel(maps) ?? 'unknown';
}
