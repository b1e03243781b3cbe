import type {Cell} from '../../../harness/contract/cell.ts';
import type {JournalRecord, Manifest, PhaseStat, WeightsRecord} from '../../../harness/contract/journal.ts';
import type {RequestEvent, WorkerEvent} from '../../../harness/contract/protocol.ts';

const AT = '2026-11-23T12:00:00.000Z';

export function buildCell(over: Partial<Cell> = {}, workload: Partial<Cell['workload']> = {}): Cell {
  return {
    id: '0123456789ab',
    matrix: 'golden',
    model: 'llama-3.2-1b',
    source: 'synthetic:llama-3.2-1b',
    weightsSeed: 1,
    format: 'gguf-q4_k_m',
    runner: {id: 'llama-cpp'},
    kernel: 'auto',
    device: 'ryzen-7-5800hs',
    deviceKind: 'cpu',
    isa: 'native',
    workload: {
      name: 'chat',
      promptTokens: 8,
      generatedTokens: 5,
      batch: 1,
      concurrency: 1,
      prefixCache: 'off',
      prompts: null,
      promptsSha256: null,
      ...workload,
    },
    settings: {
      threads: 8,
      gpuLayers: 0,
      batchTokens: 2048,
      ubatchTokens: 512,
      contextTokens: 256,
      mmap: true,
      flashAttention: false,
      kvType: 'f16',
      engineBuild: 'prebuilt',
      loop: 'generate',
    },
    stop: {
      warmupMinRequests: 1,
      warmupMaxRequests: 5,
      minRequests: 10,
      maxRequests: 100,
      minSeconds: 0,
      relativeHalfWidth: 0.02,
      budgetSeconds: 60,
    },
    limits: {loadSeconds: 60, idleSeconds: 60},
    rounds: 3,
    promptSeed: 1,
    ...over,
  };
}

export function buildManifest(over: Partial<Manifest> = {}): Manifest {
  return {
    schema: 1,
    runId: 'golden--ryzen-7-5800hs--host--20261123T120000Z',
    matrix: 'golden',
    matrixSha256: 'f'.repeat(64),
    matrixText: 'matrix: golden\n',
    planId: '0123456789abcdef',
    command: 'bench matrix golden.yaml',
    harnessVersion: '0.1.0',
    gitCommit: 'abc1234',
    startedAt: AT,
    finishedAt: AT,
    host: {
      host: 'host',
      os: 'Ubuntu 24.04',
      kernelRelease: '6.8.0',
      node: '20.19.0',
      virtualization: null,
      cpuModel: 'AMD Ryzen 7 5800HS',
      cores: 8,
      isa: 'avx2',
      ramBytes: 16 * 2 ** 30,
      cgroupLimitBytes: null,
      driver: null,
      cuda: null,
      devices: [{name: 'ryzen-7-5800hs', title: 'AMD Ryzen 7 5800HS', kind: 'cpu', known: true, forced: false}],
    },
    caveats: [],
    samplers: [],
    ...over,
  };
}

export const WEIGHTS: WeightsRecord = {
  sha256: 'a'.repeat(64),
  weightsBytes: 807_000_000,
  parameters: 1_235_814_400,
  bitsPerWeight: 5.224,
  bytesPerToken: 807_000_000,
  kvBytesPerToken: 32_768,
  architectureName: 'llama-3.2-1b',
  sourceText: 'synthetic:llama-3.2-1b seed 1',
  synthetic: true,
};

/** A request whose first token comes after `ttftUs`, the others every `tpotUs`. */
export function buildRequest(
  index: number,
  {
    ttftUs = 100_000,
    tpotUs = 20_000,
    tokens = 5,
    startNs = index * 1e9,
    ...over
  }: Partial<RequestEvent> & {
    ttftUs?: number;
    tpotUs?: number;
    tokens?: number;
  } = {},
): RequestEvent {
  return {
    type: 'request',
    phase: 'measure',
    index,
    lane: 0,
    promptTokens: 8,
    evaluatedTokens: 8,
    cachedTokens: 0,
    batch: 1,
    startNs,
    tokenNs: Array.from({length: tokens}, (_, token) => startNs + Math.round((ttftUs + token * tpotUs) * 1000)),
    ...over,
  };
}

export function buildStat(channel: string, over: Partial<PhaseStat> = {}): PhaseStat {
  return {
    channel,
    phase: 'measure',
    n: 100,
    gaps: 0,
    spanS: 10,
    periodMs: 50,
    min: 1,
    max: 3,
    mean: 2,
    median: 2,
    first: 1,
    last: 3,
    ...over,
  };
}

type Finished = Extract<JournalRecord, {type: 'round_finished'}>;

/** The journal lines of one round: load for 250 ms, the requests, done. */
export function buildRound(
  cellId: string,
  round: number,
  requests: readonly RequestEvent[],
  over: Partial<Finished> & {readonly loadedCaveats?: readonly string[]; readonly kernel?: string} = {},
): JournalRecord[] {
  const {loadedCaveats = [], kernel = 'cpu-haswell', ...end} = over;
  const attempt = end.attempt ?? `${cellId}-${round}-${end.canary ?? false}`;
  const events: WorkerEvent[] = [
    {type: 'ready', tNs: 0, protocol: 1, runnerVersion: '3.22.1'},
    {
      type: 'loaded',
      tNs: 250e6,
      kernel,
      engineBuild: 'prebuilt 0.5.0',
      dtype: 'f16',
      isa: 'avx2',
      weightsBytes: 807_000_000,
      parameters: 1_235_814_400,
      effective: {},
      caveats: [...loadedCaveats],
    },
    {type: 'phase', tNs: 251e6, name: 'warmup'},
    {...buildRequest(0), phase: 'warmup'},
    {type: 'phase', tNs: 252e6, name: 'measure'},
    ...requests,
    {type: 'done', tNs: 9e9, stopped: 'enough'},
  ];
  return [
    {type: 'round_started', cellId, round, attempt, canary: end.canary ?? false, at: AT},
    ...events.map((event): JournalRecord => ({type: 'event', cellId, attempt, tMs: 0, event})),
    {
      type: 'round_finished',
      cellId,
      round,
      attempt,
      canary: false,
      status: 'ok',
      reason: '',
      error: null,
      stats: [],
      caveats: [],
      energyJ: null,
      energySource: null,
      overheadS: 1,
      at: '2026-11-23T12:01:00.000Z',
      ...end,
    },
  ];
}

export function planned(cell: Cell, over: Partial<Extract<JournalRecord, {type: 'cell_planned'}>> = {}): JournalRecord {
  return {type: 'cell_planned', cell, verdict: 'run', reason: 'runs here', refusedAs: null, ...over};
}
