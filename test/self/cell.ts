import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {Cell} from '../../harness/contract/cell.ts';
import type {HostFacts} from '../../harness/contract/device.ts';
import type {Format} from '../../harness/contract/format.ts';
import {PROTOCOL_VERSION, type RequestEvent, type WorkerEvent} from '../../harness/contract/protocol.ts';
import type {Runner} from '../../harness/contract/runner.ts';
import type {Sampler} from '../../harness/contract/sampler.ts';
import {runWorker} from '../../harness/exec/worker-process.ts';
import {LocalWeightsStore} from '../../harness/weights/local-weights-store.ts';

export interface SelfCell {
  readonly model: string;
  readonly format: Format;
  readonly runner: string;
  readonly threads: number;
  readonly promptTokens: number;
  readonly generatedTokens: number;
  readonly requests: number;
  readonly engineBuild?: 'prebuilt' | 'native';
}

/** A cell as a plan would make it, with nothing left to chance: exactly `requests` requests after one warm-up. */
export function selfCell(wanted: SelfCell): Cell {
  return {
    id: '000000000000',
    matrix: 'self',
    model: wanted.model,
    source: `synthetic:${wanted.model}`,
    weightsSeed: 1,
    format: wanted.format,
    runner: {id: wanted.runner},
    kernel: 'auto',
    device: 'self',
    deviceKind: 'cpu',
    isa: 'native',
    workload: {
      name: 'self',
      promptTokens: wanted.promptTokens,
      generatedTokens: wanted.generatedTokens,
      batch: 1,
      concurrency: 1,
      prefixCache: 'off',
      prompts: null,
      promptsSha256: null,
    },
    settings: {
      threads: wanted.threads,
      gpuLayers: 0,
      batchTokens: 2048,
      ubatchTokens: 512,
      contextTokens: Math.ceil((wanted.promptTokens + wanted.generatedTokens + 1) / 256) * 256,
      mmap: true,
      flashAttention: false,
      kvType: 'f16',
      engineBuild: wanted.engineBuild ?? 'prebuilt',
      loop: 'hand',
    },
    stop: {
      warmupMinRequests: 1,
      warmupMaxRequests: 1,
      minRequests: wanted.requests,
      maxRequests: wanted.requests,
      minSeconds: 0,
      relativeHalfWidth: 1000,
      budgetSeconds: 3600,
    },
    limits: {loadSeconds: 600, idleSeconds: 600},
    rounds: 1,
    promptSeed: 1,
  };
}

/** Synthetic weights from the cache, made if they are not there. */
export async function selfWeights(cacheDir: string, model: string, format: Format): Promise<{readonly path: string}> {
  return new LocalWeightsStore({cacheDir, env: process.env}).ensure(
    {source: `synthetic:${model}`, format, seed: 1},
    {signal: new AbortController().signal, onProgress: () => {}},
  );
}

/** Runs one worker to its end through the harness's own process code, with or without samplers. */
export async function runCell(
  cell: Cell,
  {
    runner,
    host,
    weightsPath,
    samplers = [],
    signal = new AbortController().signal,
    onWorker = () => undefined,
    onRequest = () => undefined,
  }: {
    runner: Runner;
    host: HostFacts;
    weightsPath: string;
    samplers?: readonly Sampler[];
    /** Aborts to end the worker. */
    signal?: AbortSignal;
    /** Called once the worker exists, with its process id. */
    onWorker?: (pid: number) => void;
    /** Called when the first measured request begins, and after each one, with how many there were. */
    onRequest?: (count: number) => void;
  },
): Promise<readonly RequestEvent[]> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-self-'));
  const requests: RequestEvent[] = [];
  const stops: (() => Promise<unknown>)[] = [];
  try {
    await runWorker(
      runner.launch(cell, host),
      {protocol: PROTOCOL_VERSION, cell, round: 0, weightsPath, promptsPath: null},
      {
        signal,
        logPath: join(folder, 'worker.log'),
        logTitle: 'self',
        prepare: async ({pid}) => {
          onWorker(pid);
          for (const sampler of samplers) {
            const recording = await sampler.start({pid, periodMs: 50, nowMs: () => performance.now(), gpuIndex: null});
            stops.push(() => recording.stop());
          }
        },
        emit: (event: WorkerEvent) => {
          if (event.type === 'phase' && event.name === 'measure') onRequest(0);
          if (event.type !== 'request' || event.phase !== 'measure') return;
          requests.push(event);
          onRequest(requests.length);
        },
      },
    );
  } finally {
    await Promise.all(stops.map((stop) => stop()));
    await rm(folder, {recursive: true, force: true});
  }
  return requests;
}

/** Decode rates, tokens/s, one a request. */
export function decodeRates(requests: readonly RequestEvent[]): number[] {
  return requests.map(({tokenNs}) => ((tokenNs.length - 1) / ((tokenNs.at(-1) ?? 0) - (tokenNs[0] ?? 0))) * 1e9);
}

/** Prefill rates, tokens/s, first sample included, one a request. */
export function prefillRates(requests: readonly RequestEvent[]): number[] {
  return requests.map(({promptTokens, startNs, tokenNs}) => (promptTokens / ((tokenNs[0] ?? 0) - startNs)) * 1e9);
}
