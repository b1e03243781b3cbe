import {expect, test} from 'vitest';
import type {WorkerEventInput} from '../../../harness/contract/protocol.ts';
import type {Engine, EngineRequest} from '../../../runners/worker-kit/engine.ts';
import {runRequests} from '../../../runners/worker-kit/run-requests.ts';
import {workOrder} from '../../support/work-order.ts';

const order = workOrder({
  stop: {
    warmupMinRequests: 0,
    warmupMaxRequests: 0,
    minRequests: 3,
    maxRequests: 3,
    minSeconds: 0,
    relativeHalfWidth: 1000,
    budgetSeconds: 60,
  },
});

/** An engine that says that a request took a second, and really takes `busyMs`. */
function engine(busyMs: number): Engine {
  let nowMs = 0;
  // What the loop asks of an engine; the rest of it has no part here.
  return {
    now: () => nowMs,
    vocabulary: {size: 100, isSpecial: () => false},
    contextTokens: 4096,
    prime: () => undefined,
    generate({prompts, tokenMs}: EngineRequest) {
      for (const end = performance.now() + busyMs; performance.now() < end; );
      const startMs = nowMs;
      nowMs += 1000;
      tokenMs.fill(nowMs);
      return {startMs, evaluatedTokens: prompts[0]?.length ?? 0, cachedTokens: 0};
    },
  } as unknown as Engine;
}

async function log(busyMs: number): Promise<(string | number)[]> {
  const seen: (string | number)[] = [];
  await runRequests({
    order,
    engine: engine(busyMs),
    prompts: {cut: false, at: () => ({sequences: [Int32Array.of(1)], answer: undefined})},
    send: (event: WorkerEventInput) => seen.push(event.type),
    rest: (ms) => seen.push(ms),
  });
  return seen;
}

test('after each event the worker rests for a fiftieth of what the request really took', async () => {
  const seen = await log(20);
  expect(seen.filter((one) => typeof one === 'string')).toEqual(['phase', 'request', 'request', 'request']);
  expect(seen.map((one) => typeof one)).toEqual(['string', 'string', 'number', 'string', 'number', 'string', 'number']);
  for (const ms of seen.filter((one) => typeof one === 'number')) {
    expect(ms).toBeGreaterThanOrEqual(0.4);
    expect(ms).toBeLessThanOrEqual(3);
  }
});

test('requests that are over at once are not held up', async () => {
  expect(await log(0)).toEqual(['phase', 'request', 'request', 'request']);
});
