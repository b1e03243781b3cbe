import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import type {StopRule} from '../../../../harness/contract/cell.ts';
import {ClosedLoop, runLanes, type Ticket} from '../../../../runners/openai-http/closed-loop.ts';

const STOP: StopRule = {
  warmupMinRequests: 1,
  warmupMaxRequests: 3,
  minRequests: 10,
  maxRequests: 10,
  minSeconds: 0,
  relativeHalfWidth: 1,
  budgetSeconds: 1e6,
};

interface Sent {
  readonly ticket: Ticket;
  readonly lane: number;
  readonly startMs: number;
  /** null: given up when the loop was over. */
  endMs: number | null;
}

/** Runs a loop on a clock of its own: the request that ends first goes on first. */
async function simulate(stop: StopRule, lanes: number, durationOf: (nth: number) => number) {
  let nowMs = 0;
  const waiting: {readonly atMs: number; readonly wake: () => void}[] = [];
  const sent: Sent[] = [];
  const phases: {readonly name: string; readonly atMs: number}[] = [];
  const loop = new ClosedLoop(stop, {lanes, now: () => nowMs, onPhase: (name) => phases.push({name, atMs: nowMs})});
  const tick = () => {
    waiting.sort((a, b) => a.atMs - b.atMs);
    const next = waiting.shift();
    if (next === undefined) return;
    nowMs = next.atMs;
    next.wake();
    setImmediate(tick);
  };
  const ended = runLanes(loop, lanes, (ticket, lane, signal) => {
    const one: Sent = {ticket, lane, startMs: nowMs, endMs: null};
    const endMs = nowMs + durationOf(sent.length);
    sent.push(one);
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('given up')));
      waiting.push({
        atMs: endMs,
        wake: () => {
          if (signal.aborted) return;
          one.endMs = endMs;
          resolve(endMs - one.startMs);
        },
      });
    });
  });
  setImmediate(tick);
  await ended;
  const counted = sent.filter(({ticket}) => ticket.counts && ticket.phase === 'measure');
  return {loop, phases, sent, counted};
}

describe('ClosedLoop', () => {
  test('with one lane is one request after the other, and all of them count', async () => {
    const {sent, phases, loop} = await simulate(STOP, 1, () => 5);
    expect(sent.map(({ticket}) => `${ticket.phase} ${ticket.index}`)).toEqual([
      'warmup 0',
      'warmup 1',
      ...Array.from({length: 10}, (_, index) => `measure ${index}`),
    ]);
    expect(sent.every(({ticket}) => ticket.counts)).toBe(true);
    expect(phases).toEqual([
      {name: 'warmup', atMs: 0},
      {name: 'measure', atMs: 10},
    ]);
    expect({stopped: loop.stopped, unsteady: loop.unsteady}).toEqual({stopped: 'enough', unsteady: false});
  });

  test('without warm-up measures from the first request on', async () => {
    const {sent, phases} = await simulate({...STOP, warmupMinRequests: 0, warmupMaxRequests: 0}, 2, () => 5);
    expect(phases).toEqual([{name: 'measure', atMs: 0}]);
    expect(sent[0]?.ticket).toEqual({phase: 'measure', index: 0, counts: true});
  });

  test('keeps every lane busy until the last request that counts has ended, whatever requests take', async () => {
    const durations = fc.array(fc.integer({min: 1, max: 500}), {minLength: 1, maxLength: 40});
    const lanesIn = fc.integer({min: 1, max: 9});
    await fc.assert(
      fc.asyncProperty(durations, lanesIn, fc.integer({min: 1, max: 30}), async (ms, lanes, least) => {
        const stop = {...STOP, minRequests: least, maxRequests: least + 5};
        const {sent, counted} = await simulate(stop, lanes, (nth) => ms[nth % ms.length] ?? 1);
        expect(counted.length).toBeGreaterThanOrEqual(least);
        expect(counted.map(({ticket}) => ticket.index)).toEqual(counted.map((_, index) => index));
        expect(counted.every(({endMs}) => endMs !== null)).toBe(true);
        const overMs = Math.max(...counted.map(({endMs}) => endMs ?? 0));
        for (let lane = 0; lane < lanes; lane++) {
          const own = sent.filter((one) => one.lane === lane);
          expect(own[0]?.startMs).toBe(0);
          for (const [index, {endMs}] of own.entries()) {
            const next = own[index + 1];
            // One request follows the other without a gap; what is given up was under way at the end.
            if (next === undefined) expect(endMs ?? overMs).toBeGreaterThanOrEqual(overMs);
            else expect(next.startMs).toBe(endMs);
          }
        }
      }),
      {numRuns: 60},
    );
  });

  test('does not favour fast requests: those under way when the rule is met are waited for', async () => {
    // Every fourth request takes ten times as long; dropping what is under way at the end would drop those.
    const stop = {...STOP, minRequests: 40, maxRequests: 40};
    const {counted} = await simulate(stop, 8, (nth) => (nth % 4 === 0 ? 1000 : 100));
    const slow = counted.filter(({startMs, endMs}) => (endMs ?? 0) - startMs === 1000).length;
    expect(slow / counted.length).toBeCloseTo(0.25, 1);
  });

  test('ends at the first failure of a request, and gives the others up', async () => {
    const given: unknown[] = [];
    const loop = new ClosedLoop(STOP, {lanes: 3, now: () => 0, onPhase: () => undefined});
    const failing = runLanes(loop, 3, (_ticket, lane, signal) =>
      lane === 1
        ? Promise.reject(new Error('lane 1 broke'))
        : new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              given.push(lane);
              reject(Object.assign(new Error('given up'), {code: 'INTERRUPTED'}));
            });
          }),
    );
    await expect(failing).rejects.toThrow('lane 1 broke');
    expect(given).toEqual([0, 2]);
  });
});
