import {fileURLToPath} from 'node:url';
import type {Cell} from '../../../harness/contract/cell.ts';
import type {Launch} from '../../../harness/contract/runner.ts';

/** Absolute path of a fixture worker. */
export const workerPath = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/workers/${name}`, import.meta.url));

export const nodeLaunch = (mode: string): Launch => ({
  file: process.execPath,
  args: [workerPath('worker.mjs'), mode],
  env: {},
});
export const pythonLaunch = (mode: string): Launch => ({
  file: 'python3',
  args: [workerPath('worker.py'), mode],
  env: {},
});

/** A cell for fixture workers. */
export function fixtureCell(changes: Partial<Cell> = {}): Cell {
  return {
    id: '0123456789ab',
    matrix: 'fixture',
    model: 'tiny',
    source: 'synthetic:tiny',
    weightsSeed: 1,
    format: 'gguf-q4_k_m',
    runner: {id: 'fixture'},
    kernel: 'auto',
    device: 'test-cpu',
    deviceKind: 'cpu',
    isa: 'native',
    workload: {
      name: 'short',
      promptTokens: 8,
      generatedTokens: 4,
      batch: 1,
      concurrency: 1,
      prefixCache: 'off',
      prompts: null,
      promptsSha256: null,
    },
    settings: {
      threads: 1,
      gpuLayers: 0,
      batchTokens: 512,
      ubatchTokens: 512,
      contextTokens: 256,
      mmap: true,
      flashAttention: false,
      kvType: 'f16',
      engineBuild: 'prebuilt',
      loop: 'hand',
    },
    stop: {
      warmupMinRequests: 1,
      warmupMaxRequests: 1,
      minRequests: 3,
      maxRequests: 3,
      minSeconds: 0,
      relativeHalfWidth: 0.5,
      budgetSeconds: 30,
    },
    limits: {loadSeconds: 30, idleSeconds: 30},
    rounds: 2,
    promptSeed: 1,
    ...changes,
  };
}
