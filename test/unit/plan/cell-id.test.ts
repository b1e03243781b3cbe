import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {type Cell, CellSchema} from '../../../harness/contract/cell.ts';
import {cellId} from '../../../harness/plan/cell-id.ts';

const CELL: Cell = CellSchema.parse({
  id: '000000000000',
  matrix: 'm',
  model: 'a',
  source: 'synthetic:bench-tiny',
  weightsSeed: 1,
  format: 'gguf-f16',
  runner: {id: 'llama-cpp'},
  kernel: 'auto',
  device: 't4',
  deviceKind: 'cuda',
  isa: 'native',
  workload: {
    name: 'w',
    promptTokens: 8,
    generatedTokens: 4,
    batch: 1,
    concurrency: 1,
    prefixCache: 'off',
    prompts: null,
    promptsSha256: null,
  },
  settings: {
    threads: 2,
    gpuLayers: 999,
    batchTokens: 2048,
    ubatchTokens: 512,
    contextTokens: 256,
    mmap: true,
    flashAttention: true,
    kvType: 'f16',
    engineBuild: 'prebuilt',
    loop: 'generate',
    simulate: {a: 1, b: 2},
  },
  stop: {
    warmupMinRequests: 1,
    warmupMaxRequests: 5,
    minRequests: 22,
    maxRequests: 171,
    minSeconds: 0,
    relativeHalfWidth: 0.02,
    budgetSeconds: 120,
  },
  limits: {loadSeconds: 600, idleSeconds: 120},
  rounds: 3,
  promptSeed: 1,
});

describe('cellId', () => {
  test('is twelve hex digits that stay the same over releases', () => {
    expect(cellId(CELL)).toMatchInlineSnapshot(`"010ed687b782"`);
  });

  test('does not depend on the order of settings', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(Object.entries(CELL.settings), {minLength: 11}), (entries) => {
        const settings = {...(Object.fromEntries(entries) as Cell['settings']), simulate: {b: 2, a: 1}};
        expect(cellId({...CELL, settings})).toBe(cellId(CELL));
      }),
    );
  });

  test.each<[string, Partial<Cell>]>([
    ['model', {model: 'b'}],
    ['source', {source: 'file:x'}],
    ['seed of the weights', {weightsSeed: 2}],
    ['format', {format: 'gguf-q8_0'}],
    ['runner', {runner: {id: 'simulated'}}],
    ['command of the runner', {runner: {id: 'llama-cpp', command: ['x']}}],
    ['kernel', {kernel: 'marlin'}],
    ['device', {device: 'h200'}],
    ['instruction set', {isa: 'avx2'}],
    ['threads asked for', {threadsAsked: 'cores'}],
    ...Object.entries({
      name: 'v',
      promptTokens: 9,
      generatedTokens: 5,
      batch: 2,
      concurrency: 2,
      prefixCache: 'shared:2',
      promptsSha256: 'f',
    }).map(
      ([key, value]) => [`workload ${key}`, {workload: {...CELL.workload, [key]: value}}] as [string, Partial<Cell>],
    ),
    ...Object.entries({
      threads: 3,
      gpuLayers: 0,
      batchTokens: 1,
      ubatchTokens: 1,
      contextTokens: 512,
      mmap: false,
      flashAttention: false,
      kvType: 'f32',
      engineBuild: 'native',
      loop: 'hand',
      simulate: {a: 2, b: 2},
    }).map(
      ([key, value]) => [`setting ${key}`, {settings: {...CELL.settings, [key]: value}}] as [string, Partial<Cell>],
    ),
  ])('changes with the %s', (_name, change) => {
    expect(cellId({...CELL, ...change})).not.toBe(cellId(CELL));
  });

  test.each<[string, Partial<Cell>]>([
    ['when measuring stops', {stop: {...CELL.stop, budgetSeconds: 1, minRequests: 1}}],
    ['limits', {limits: {loadSeconds: 1, idleSeconds: 1}}],
    ['rounds', {rounds: 9}],
    ['the name of the matrix', {matrix: 'n'}],
  ])('does not change with %s', (_name, change) => {
    expect(cellId({...CELL, ...change})).toBe(cellId(CELL));
  });

  test('does not change with the cores of the machine when threads are asked for as cores', () => {
    const on = (threads: number) => cellId({...CELL, threadsAsked: 'cores', settings: {...CELL.settings, threads}});
    expect(on(2)).toBe(on(64));
  });
});
