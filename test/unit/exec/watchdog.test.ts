import {setTimeout as delay} from 'node:timers/promises';
import {expect, test} from 'vitest';
import type {BenchError} from '../../../harness/contract/errors.ts';
import type {WorkerEvent} from '../../../harness/contract/protocol.ts';
import {Watchdog} from '../../../harness/exec/watchdog.ts';
import {fixtureCell} from './fixture-cell.ts';

const LOADED: WorkerEvent = {
  type: 'loaded',
  tNs: 0,
  kernel: 'k',
  engineBuild: 'b',
  dtype: 'f32',
  isa: 'none',
  weightsBytes: null,
  parameters: null,
  effective: {},
  caveats: [],
};
const phase: WorkerEvent = {type: 'phase', tNs: 0, name: 'warmup'};
const {stop} = fixtureCell();

/** Feeds an event every 20 ms until something barks, at most for 5 s. */
async function barkOf(watchdog: Watchdog, barks: readonly BenchError[], event: WorkerEvent): Promise<string> {
  for (let step = 0; step < 250 && barks.length === 0; step++) {
    watchdog.see(event);
    await delay(20);
  }
  watchdog.stop();
  return `${barks[0]?.code}: ${barks[0]?.message}`;
}

test('a worker that goes on and on is ended after load + 3 × budget + idle, however much it says', async () => {
  const cell = fixtureCell({
    limits: {loadSeconds: 0.05, idleSeconds: 0.3},
    stop: {...stop, budgetSeconds: 0.05},
  });
  const barks: BenchError[] = [];
  const watchdog = new Watchdog(cell, (error) => barks.push(error));
  watchdog.start();
  watchdog.see(LOADED);
  expect(await barkOf(watchdog, barks, phase)).toMatch(/^CELL_TIMEOUT: .*\(load \+ 3 × budget \+ idle\)$/);
});

test('a worker that is done, or stopped, is left alone', async () => {
  const cell = fixtureCell({limits: {loadSeconds: 0.05, idleSeconds: 0.05}, stop: {...stop, budgetSeconds: 0.01}});
  const barks: BenchError[] = [];
  const watchdog = new Watchdog(cell, (error) => barks.push(error));
  watchdog.start();
  watchdog.see(LOADED);
  watchdog.see({type: 'done', tNs: 0, stopped: 'enough', caveats: []});
  await delay(300);
  expect(barks).toEqual([]);
});
