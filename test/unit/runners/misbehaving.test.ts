import {readFileSync, truncateSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import type {HostFacts} from '../../../harness/contract/device.ts';
import {runWorker} from '../../../harness/exec/worker-process.ts';
import {llamaCppRunner} from '../../../runners/llama-cpp/runner.ts';
import {nodeLlamaCppRunner} from '../../../runners/node-llama-cpp/runner.ts';
import {simulatedRunner} from '../../../runners/simulated/runner.ts';
import {eventsOf, runWorkerProgram} from '../../support/run-worker.ts';
import {runnerHost} from '../../support/runner-host.ts';
import {type TinyModel, tinyModel} from '../../support/tiny-model.ts';
import {type OrderChanges, workOrder} from '../../support/work-order.ts';

let model: TinyModel;
let host: HostFacts;
beforeAll(async () => {
  host = runnerHost();
  model = await tinyModel();
});
afterAll(() => model.remove());

/** Writes a spoiled copy of the model and gives its path. */
function spoiled(name: string, spoil: (bytes: Buffer) => Uint8Array): string {
  const path = join(model.folder, name);
  writeFileSync(path, spoil(readFileSync(model.path)));
  return path;
}

const CASES = [
  ['missing', () => join(model.folder, 'no-such-file.gguf'), 'MODEL_CORRUPT', /no such file/],
  ['empty', () => spoiled('empty.gguf', () => Buffer.alloc(0)), 'MODEL_CORRUPT', /magic/],
  [
    'of bad magic',
    () => spoiled('magic.gguf', (bytes) => Buffer.concat([Buffer.from('XXXX'), bytes.subarray(4)])),
    'MODEL_CORRUPT',
    /magic/i,
  ],
  ['cut in its header', () => spoiled('header.gguf', (bytes) => bytes.subarray(0, 200)), 'MODEL_CORRUPT', /./],
  [
    'cut in its tensors',
    () => spoiled('cut.gguf', (bytes) => bytes.subarray(0, bytes.length - 5000)),
    'MODEL_CORRUPT',
    /not within the file bounds/,
  ],
  [
    'of an unknown architecture',
    () => spoiled('arch.gguf', (bytes) => renamed(bytes, 'llama')),
    'UNSUPPORTED',
    /lxama/,
  ],
  ['without attention heads', () => spoiled('heads.gguf', withoutHeads), 'MODEL_CORRUPT', /wrong shape/],
] as const;

/** llama.attention.head_count set to 0 in place: key, type 4, value. */
function withoutHeads(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const key = 'llama.attention.head_count';
  const at = copy.indexOf(key) + key.length;
  expect(copy.readUInt32LE(at)).toBe(4);
  copy.writeUInt32LE(0, at + 4);
  return copy;
}

/** The value of general.architecture changed in place: key, type 8, length, text. */
function renamed(bytes: Buffer, from: string): Buffer {
  const copy = Buffer.from(bytes);
  const at = copy.indexOf('general.architecture') + 'general.architecture'.length + 4 + 8;
  expect(copy.toString('utf8', at, at + from.length)).toBe(from);
  copy.write('lxama', at);
  return copy;
}

describe.each(CASES)('a model file that is %s', (_, make, code, words) => {
  it('ends llama-cpp with a typed failure in the engine’s own words', async () => {
    const order = workOrder({weightsPath: make()});
    const {events, exitCode, signal} = await runWorkerProgram(llamaCppRunner.launch(order.cell, host), order);
    const [failed] = eventsOf(events, 'failed');
    expect(failed?.error).toMatchObject({code});
    expect(failed?.error.message).toMatch(words);
    expect({exitCode, signal}).toEqual({exitCode: 1, signal: null});
  });
});

it('weights that are not numbers end llama-cpp with NOT_A_NUMBER', async () => {
  // Half-precision NaN over the second half of the file: tensors only.
  const weightsPath = spoiled('nan.gguf', (bytes) => bytes.fill(0x7e, bytes.length / 2));
  const order = workOrder({weightsPath});
  const {events} = await runWorkerProgram(llamaCppRunner.launch(order.cell, host), order);
  expect(eventsOf(events, 'failed')).toMatchObject([{error: {code: 'NOT_A_NUMBER'}}]);
  expect(eventsOf(events, 'request').filter(({phase}) => phase === 'measure')).toEqual([]);
});

it('a context that memory does not hold ends llama-cpp with DOES_NOT_FIT', async () => {
  const order = workOrder({weightsPath: model.path, settings: {contextTokens: 8_000_000}});
  const {file, args, env} = llamaCppRunner.launch(order.cell, host);
  // The limit stands for a small machine: a context that no machine holds would first fill this one.
  const limited = {file: 'sh', args: ['-c', 'ulimit -d 1000000 && exec "$@"', 'sh', file, ...args], env};
  const {events} = await runWorkerProgram(limited, order);
  expect(eventsOf(events, 'failed')).toMatchObject([{error: {code: 'DOES_NOT_FIT'}}]);
});

it('a folder without libraries ends llama-cpp with ENGINE_UNAVAILABLE', async () => {
  const order = workOrder({weightsPath: model.path});
  const launch = llamaCppRunner.launch(order.cell, host);
  const {events} = await runWorkerProgram({...launch, env: {...launch.env, BENCH_LLAMA_DIR: model.folder}}, order);
  expect(eventsOf(events, 'failed')).toMatchObject([{error: {code: 'ENGINE_UNAVAILABLE'}}]);
});

it('an engine that aborts leaves SIGABRT and its last words on standard error', async () => {
  // node-llama-cpp tokenizes while it loads, and llama.cpp asserts that there is a tokenizer.
  const weightsPath = spoiled('tokenizer.gguf', (bytes) => {
    const copy = Buffer.from(bytes);
    const at = copy.indexOf('tokenizer.ggml.model') + 'tokenizer.ggml.model'.length + 4 + 8;
    expect(copy.toString('utf8', at, at + 4)).toBe('gpt2');
    copy.write('none', at);
    return copy;
  });
  const order = workOrder({weightsPath, cell: {runner: {id: 'node-llama-cpp'}}});
  const {events, signal, stderr} = await runWorkerProgram(nodeLlamaCppRunner.launch(order.cell, host), order);
  expect(signal).toBe('SIGABRT');
  expect(stderr).toContain('GGML_ASSERT');
  expect(events.map(({type}) => type)).toEqual(['ready']);
});

it('a model file that is cut short while it is mapped is a crash that says so', async () => {
  const weightsPath = spoiled('shrinking.gguf', (bytes) => bytes);
  const {error} = await round(weightsPath, () => truncateSync(weightsPath, 4096));
  expect(error).toMatchObject({code: 'WORKER_CRASHED'});
  expect(error).toHaveProperty('message', expect.stringContaining('SIGBUS (a mapped file became shorter'));
});

/** Runs llama-cpp as a round of a sweep does. */
async function round(weightsPath: string, onLoaded: () => void = () => undefined): Promise<{readonly error: unknown}> {
  const order = workOrder({weightsPath, stop: {minRequests: 2000, maxRequests: 2000}});
  const error: unknown = await runWorker(llamaCppRunner.launch(order.cell, host), order, {
    signal: new AbortController().signal,
    logPath: join(model.folder, 'round.log'),
    logTitle: 'test',
    killGraceMs: 200,
    prepare: async () => undefined,
    emit: ({type}) => {
      if (type === 'loaded') onLoaded();
    },
  }).then(
    () => null,
    (reason: unknown) => reason,
  );
  return {error};
}

describe('the simulated runner', () => {
  const simulate = (settings: Record<string, number>, changes: OrderChanges = {}) => {
    const order = workOrder({...changes, settings: {simulate: settings}});
    return runWorkerProgram(simulatedRunner.launch(order.cell, host), order);
  };

  it('gives exactly the times it was told', async () => {
    const {events} = await simulate({load_ms: 50, prefill_us_per_token: 1000, decode_us_per_token: 2000});
    expect(eventsOf(events, 'loaded')).toMatchObject([{tNs: 50e6, kernel: 'simulated', caveats: ['simulated']}]);
    const [request] = eventsOf(events, 'request');
    expect(request?.tokenNs.map((time) => time - (request.startNs ?? 0))).toEqual([26e6, 28e6, 30e6, 32e6, 34e6]);
  });

  it('gives the same times for the same seed, others for another round', async () => {
    const [a, b, c] = await Promise.all([
      simulate({jitter_ratio: 0.2}),
      simulate({jitter_ratio: 0.2}),
      simulate({jitter_ratio: 0.2}, {round: 1}),
    ]);
    expect(a.events).toEqual(b.events);
    expect(a.events).not.toEqual(c.events);
  });

  it('fails, exits, dies or claims a cached token when told to', async () => {
    const [failed, exited, killed, cached, unfit] = await Promise.all([
      simulate({fail_at: 1}),
      simulate({fail_at: 1, exit_code: 7}),
      simulate({fail_at: 1, signal: 9}),
      simulate({cache_at: 1}),
      simulate({does_not_fit: 1}),
    ]);
    expect(eventsOf(failed.events, 'failed')).toMatchObject([{error: {code: 'WORKER_CRASHED'}}]);
    expect(exited).toMatchObject({exitCode: 7, signal: null});
    expect(killed).toMatchObject({exitCode: null, signal: 'SIGKILL'});
    const measured = eventsOf(cached.events, 'request').filter(({phase}) => phase === 'measure');
    expect(measured.map(({evaluatedTokens}) => evaluatedTokens)).toEqual([24, 23, 24]);
    expect(eventsOf(unfit.events, 'failed')).toMatchObject([{error: {code: 'DOES_NOT_FIT'}}]);
  });

  it('refuses a key that it does not know', () => {
    const {cell} = workOrder({settings: {simulate: {speed: 1}}});
    const support = simulatedRunner.supports(cell, host);
    expect(support.ok ? '' : support.reason).toMatch(/^simulated knows no simulate key speed; it knows load_ms/);
  });
});
