import {setTimeout as delay} from 'node:timers/promises';
import type {Cell} from '../../../harness/contract/cell.ts';
import type {RequestRow, ResultRow} from '../../../harness/contract/columns.ts';
import {COLUMN_NAMES, REQUEST_COLUMN_NAMES} from '../../../harness/contract/columns.ts';
import type {HostFacts} from '../../../harness/contract/device.ts';
import {BenchError} from '../../../harness/contract/errors.ts';
import type {JournalRecord, Manifest} from '../../../harness/contract/journal.ts';
import type {Plan, PlannedCell} from '../../../harness/contract/plan.ts';
import type {Runner} from '../../../harness/contract/runner.ts';
import type {SweepEvent} from '../../../harness/contract/sweep-event.ts';
import type {ModelArtifact, WeightsStore} from '../../../harness/contract/weights.ts';
import {cellRecords} from '../../../harness/derive/cell-records.ts';
import type {SweepInput} from '../../../harness/exec/sweep.ts';
import {RunFolder} from '../../../harness/store/run-folder.ts';
import {fixtureCell, nodeLaunch} from './fixture-cell.ts';

export const fixtureHost: HostFacts = {
  host: 'box',
  os: 'Linux',
  kernelRelease: '6.1',
  node: process.version,
  virtualization: null,
  cpu: {
    model: 'Test CPU',
    vendor: 'test',
    architecture: 'x64',
    usableCores: 2,
    physicalCores: 2,
    logicalCores: 2,
    flags: [],
    isa: 'avx2',
    l3Bytes: null,
    governor: null,
  },
  memory: {totalBytes: 8e9, availableBytes: 6e9, cgroupLimitBytes: null, cgroupVersion: null, swapTotalBytes: 0},
  gpus: [],
  devices: [{name: 'test-cpu', title: 'Test CPU', kind: 'cpu', gpuIndex: null, entry: null, forced: false}],
  software: {
    llamaPrebuiltDir: null,
    llamaNativeDir: null,
    llamaGpu: [],
    python: null,
    pythonReason: 'not looked for',
  },
};

export function fixtureManifest(runId: string): Manifest {
  return {
    schema: 1,
    runId,
    matrix: 'fixture',
    matrixSha256: '00',
    matrixText: 'matrix: fixture\n',
    planId: 'p1',
    command: 'bench matrix',
    harnessVersion: '0.1.0',
    gitCommit: null,
    startedAt: '2026-11-23T21:00:00.000Z',
    finishedAt: null,
    host: {
      host: 'box',
      os: 'Linux',
      kernelRelease: '6.1',
      node: process.version,
      virtualization: null,
      cpuModel: 'Test CPU',
      cores: 2,
      isa: 'avx2',
      ramBytes: 8e9,
      cgroupLimitBytes: null,
      driver: null,
      cuda: null,
      devices: [],
    },
    caveats: [],
    samplers: [],
  };
}

export function planned(cell: Cell, changes: Partial<PlannedCell> = {}): PlannedCell {
  const estimate = {seconds: 10, weightsBytes: 1, memoryBytes: 1, diskBytes: 0};
  return {cell, verdict: 'run', reason: 'runs here', refusedAs: null, estimate, ...changes};
}

/** A cell whose worker behaves as `kernel` says. */
export const modeCell = (index: number, mode: string, changes: Partial<Cell> = {}): Cell =>
  fixtureCell({id: `00000000000${index}`, kernel: mode, ...changes});

export function fixturePlan(cells: readonly PlannedCell[], changes: Partial<Plan> = {}): Plan {
  return {
    schema: 1,
    planId: 'p1',
    matrix: 'fixture',
    matrixSha256: '00',
    matrixDir: '/tmp',
    harness: '0.1.0',
    samplePeriodMs: 10,
    order: 'interleaved',
    seed: 1,
    rounds: 2,
    canary: true,
    cells: [...cells],
    ...changes,
  };
}

const runner: Runner = {
  id: 'fixture',
  doc: 'fixture',
  needsWeights: true,
  supports: () => ({ok: true}),
  launch: ({kernel}) => nodeLaunch(kernel),
};

const artifact: ModelArtifact = {
  format: 'gguf-q4_k_m',
  path: '/tmp/model.gguf',
  weightsBytes: 42,
  sha256: 'ab',
  parameters: 84,
  architectureName: 'tiny',
  bitsPerWeight: 4,
  bytesPerToken: 42,
  kvBytesPerToken: 1,
  sourceText: 'synthetic:tiny seed 1',
  synthetic: true,
};

/** Finds every model but `missing`, and `away` while the network is down. */
export function fixtureWeights(network: {up: boolean} = {up: true}): WeightsStore {
  return {
    estimate: async () => null,
    architecture: () => null,
    async ensure({source}) {
      await delay(1);
      if (source === 'missing') throw new BenchError('UNSUPPORTED', 'missing does not come in this format');
      if (source === 'away' && !network.up) throw new BenchError('NETWORK', 'no route to the hub');
      return artifact;
    },
  };
}

/** Enough of harness/derive for exec: a row a cell, a row a request. */
export function deriveRows(records: readonly JournalRecord[], manifest: Manifest) {
  const known = cellRecords(records);
  const blankResult = Object.fromEntries(COLUMN_NAMES.map((name) => [name, null])) as unknown as ResultRow;
  const blankRequest = Object.fromEntries(REQUEST_COLUMN_NAMES.map((name) => [name, null])) as unknown as RequestRow;
  const results = known.map(({cell, rounds, verdict, refusedAs}): ResultRow => {
    const bad = rounds.find(({status}) => status !== 'ok');
    const status =
      verdict === 'run' ? (bad?.status ?? (rounds.length > 0 ? 'ok' : 'waiting')) : (refusedAs ?? 'waiting');
    return {
      ...blankResult,
      schema_version: 1,
      run_id: manifest.runId,
      cell_id: cell.id,
      status,
      status_reason: bad?.reason ?? null,
      rounds: rounds.length,
      requests: rounds.reduce((sum, {requests}) => sum + requests.length, 0),
    };
  });
  const requests = known.flatMap(({cell, rounds}) =>
    rounds.flatMap(({index, requests: measured}) =>
      measured.map((event): RequestRow => ({...blankRequest, cell_id: cell.id, round: index, request: event.index})),
    ),
  );
  return {results, requests};
}

export async function fixtureInput(
  out: string,
  plan: Plan,
  changes: Partial<SweepInput> = {},
): Promise<SweepInput & {readonly events: SweepEvent[]}> {
  const events: SweepEvent[] = [];
  const name = {matrix: plan.matrix, device: 'test-cpu', host: 'box'};
  const folder =
    (await RunFolder.findUnfinished(out, {...name, planId: plan.planId})) ??
    (await RunFolder.create(out, name, new Date()));
  return {
    plan,
    host: fixtureHost,
    runners: new Map([['fixture', runner]]),
    samplers: [],
    weights: fixtureWeights(),
    folder,
    manifest: fixtureManifest(folder.runId),
    hostCaveats: [],
    deriveRows,
    signal: new AbortController().signal,
    measureBandwidth: async () => ({bytesPerS: 1e10, arrayBytes: 2 ** 30, cacheBytes: 2 ** 25}),
    onEvent: (event) => events.push(event),
    settle: async () => {},
    events,
    ...changes,
  };
}
