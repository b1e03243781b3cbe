import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {RUNNERS} from '../../harness/cli/registry.ts';
import {CAVEAT_CODES} from '../../harness/contract/caveats.ts';
import type {HostFacts} from '../../harness/contract/device.ts';
import type {Runner} from '../../harness/contract/runner.ts';
import {llamaCppRunner} from '../../runners/llama-cpp/runner.ts';
import {nodeLlamaCppRunner} from '../../runners/node-llama-cpp/runner.ts';
import {eventsOf, runWorkerProgram, type WorkerRun} from '../support/run-worker.ts';
import {runnerHost} from '../support/runner-host.ts';
import {type TinyModel, tinyModel} from '../support/tiny-model.ts';
import {type OrderChanges, workOrder} from '../support/work-order.ts';

let model: TinyModel;
let host: HostFacts;

beforeAll(async () => {
  host = runnerHost();
  model = await tinyModel();
});
afterAll(() => model.remove());

function run(runner: Runner, changes: OrderChanges = {}): Promise<WorkerRun> {
  const order = workOrder({...changes, weightsPath: model.path, cell: {...changes.cell, runner: {id: runner.id}}});
  expect(runner.supports(order.cell, host)).toEqual({ok: true});
  return runWorkerProgram(runner.launch(order.cell, host), order);
}

/** Those of the registry that run the small GGUF model here; the others have suites of their own. */
const runners = [...RUNNERS.values()].filter(
  (runner) => runner.supports(workOrder({cell: {runner: {id: runner.id}}}).cell, runnerHost()).ok,
);

describe.each(runners)('the worker of $id', (runner) => {
  let outcome: WorkerRun;
  beforeAll(async () => {
    outcome = await run(runner);
  });

  it('says ready, loaded, its requests by phase, and done, and ends with 0', () => {
    const told = outcome.events.map((event) =>
      event.type === 'request' ? `${event.phase} ${event.index}` : event.type,
    );
    expect(told.filter((name) => !name.startsWith('warmup'))).toEqual([
      'ready',
      'loaded',
      'phase',
      'phase',
      'measure 0',
      'measure 1',
      'measure 2',
      'done',
    ]);
    expect(told.indexOf('warmup 0')).toBe(3);
    expect(outcome).toMatchObject({exitCode: 0, signal: null});
  });

  it('reports every setting of the cell as it took effect', () => {
    const {settings} = workOrder().cell;
    const [loaded] = eventsOf(outcome.events, 'loaded');
    expect(Object.keys(loaded?.effective ?? {})).toEqual(expect.arrayContaining(Object.keys(settings)));
    expect(loaded?.effective).toMatchObject({threads: 1, gpuLayers: 0, contextTokens: 256, mmap: true});
    expect(loaded?.weightsBytes).toBeGreaterThan(0);
    expect(CAVEAT_CODES).toEqual(expect.arrayContaining(loaded?.caveats ?? []));
  });

  it('computes every prompt token and gives every generated token a time, in order', () => {
    for (const request of eventsOf(outcome.events, 'request')) {
      expect(request).toMatchObject({promptTokens: 24, evaluatedTokens: 24, cachedTokens: 0, batch: 1});
      expect(request.tokenNs).toHaveLength(5);
      const times = [request.startNs, ...request.tokenNs];
      expect(times).toEqual([...times].sort((a, b) => a - b));
      expect(new Set(times).size).toBe(times.length);
    }
  });

  it('starts a request only after the one before ended', () => {
    const requests = eventsOf(outcome.events, 'request');
    for (const [index, request] of requests.entries()) {
      const end = requests[index - 1]?.tokenNs.at(-1) ?? 0;
      expect(request.startNs).toBeGreaterThanOrEqual(end);
    }
  });

  it('answers an order that is none with one typed failure', async () => {
    const {events, exitCode} = await runWorkerProgram(runner.launch(workOrder().cell, host), 'no order');
    expect(events).toMatchObject([{type: 'failed', error: {code: 'PROTOCOL_VIOLATION'}}]);
    expect(exitCode).toBe(1);
  });
});

describe.each([llamaCppRunner, nodeLlamaCppRunner])('a prompts file through $id', (runner) => {
  it('is run in the model’s own tokens and judged', async () => {
    const promptsPath = join(model.folder, `${runner.id}.jsonl`);
    const lines = ['the first prompt', 'another one', 'a third, longer prompt'].map((prompt, id) =>
      JSON.stringify({id, language: 'en', prompt, answer: 'no random weights say this'}),
    );
    writeFileSync(promptsPath, `${lines.join('\n')}\n`);
    const {events} = await run(runner, {promptsPath, workload: {promptTokens: 0, prompts: 'p', promptsSha256: null}});
    const requests = eventsOf(events, 'request').filter(({phase}) => phase === 'measure');
    expect(requests).toHaveLength(3);
    for (const request of requests) {
      expect(request.promptTokens).toBeGreaterThan(1);
      expect(request.evaluatedTokens).toBe(request.promptTokens);
      expect(request.correct).toBe(false);
      expect(typeof request.text).toBe('string');
    }
  });
});

it.each([1, 2, 4, 8, 16])('llama-cpp decodes a batch of %i in one go, and times its steps', async (batch) => {
  const {events, exitCode} = await run(llamaCppRunner, {workload: {batch}});
  expect(exitCode).toBe(0);
  const measured = eventsOf(events, 'request').filter(({phase}) => phase === 'measure');
  expect(measured).toHaveLength(3);
  for (const request of measured) {
    expect(request).toMatchObject({batch, promptTokens: 24, evaluatedTokens: 24, cachedTokens: 0});
    // A step of the batch has one time, however many sequences it serves.
    expect(request.tokenNs).toHaveLength(5);
    const times = [request.startNs, ...request.tokenNs];
    expect(times.every((time, index) => index === 0 || time > (times[index - 1] ?? 0))).toBe(true);
  }
});

it('llama-cpp decodes a batch together, computes each prompt, and keeps a shared prefix', async () => {
  const {events} = await run(llamaCppRunner, {workload: {batch: 3, prefixCache: 'shared:8'}});
  const requests = eventsOf(events, 'request');
  expect(requests.length).toBeGreaterThanOrEqual(4);
  for (const request of requests) {
    expect(request).toMatchObject({batch: 3, promptTokens: 24, evaluatedTokens: 16, cachedTokens: 8});
  }
});

it.skipIf(!readFileSync('/proc/cpuinfo', 'utf8').includes('avx2'))(
  'both ways into llama.cpp run the capped code when asked to, and say so',
  async () => {
    const {events} = await run(llamaCppRunner, {cell: {isa: 'native'}});
    expect(eventsOf(events, 'loaded')[0]?.kernel).toMatch(/^cpu-[a-z0-9]+$/);
    const cell = {...workOrder().cell, isa: 'avx2', deviceKind: 'cpu'} as const;
    for (const runner of [llamaCppRunner, nodeLlamaCppRunner]) {
      const order = {...workOrder({weightsPath: model.path}), cell};
      const capped = await runWorkerProgram(runner.launch(cell, host), order);
      expect(eventsOf(capped.events, 'loaded')).toMatchObject([{kernel: 'cpu-haswell', isa: 'avx2'}]);
    }
  },
);
