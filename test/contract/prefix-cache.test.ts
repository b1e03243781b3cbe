import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import type {RequestEvent} from '../../harness/contract/protocol.ts';
import type {Runner} from '../../harness/contract/runner.ts';
import {cellRecords} from '../../harness/derive/cell-records.ts';
import {requestRows} from '../../harness/derive/request-rows.ts';
import {resultRow} from '../../harness/derive/row.ts';
import {probePython} from '../../harness/device/python.ts';
import {LocalWeightsStore} from '../../harness/weights/local-weights-store.ts';
import {llamaCppRunner} from '../../runners/llama-cpp/runner.ts';
import {transformersRunner} from '../../runners/transformers/runner.ts';
import {find} from '../support/needs.ts';
import {planHost} from '../support/plan-hosts.ts';
import {eventsOf, runWorkerProgram, type WorkerRun} from '../support/run-worker.ts';
import {runnerHost} from '../support/runner-host.ts';
import {type OrderChanges, workOrder} from '../support/work-order.ts';
import {buildManifest, buildRound, planned} from '../unit/derive/build.ts';

const SLOW_MS = 240_000;
const PROMPT = 24;
const torchPython = find('python') ?? '';

describe.each([
  [llamaCppRunner, 'gguf-f16', false],
  [transformersRunner, 'fp32', torchPython === ''],
] as const)('a shared prefix through the runner', (runner: Runner, format, lacking) => {
  describe.skipIf(lacking)(runner.id, () => {
    let cache: string;
    let weightsPath: string;
    let host = runnerHost();
    beforeAll(async () => {
      cache = await mkdtemp(join(tmpdir(), 'bench-prefix-'));
      const store = new LocalWeightsStore({cacheDir: cache, env: {}});
      const wanted = {source: 'synthetic:bench-tiny', format, seed: 1};
      const ensured = await store.ensure(wanted, {signal: new AbortController().signal, onProgress: () => undefined});
      weightsPath = ensured.path;
      if (runner.id === 'transformers') {
        const {python, reason} = await probePython({cacheDir: cache, env: {BENCH_PYTHON: torchPython}});
        const base = planHost();
        host = {...base, software: {...base.software, python, pythonReason: reason}};
      }
    }, SLOW_MS);
    afterAll(async () => await rm(cache, {recursive: true, force: true}));

    const orderOf = (changes: OrderChanges) =>
      workOrder({weightsPath, ...changes, cell: {format, runner: {id: runner.id}}});
    const run = (changes: OrderChanges): Promise<WorkerRun> => {
      const order = orderOf(changes);
      expect(runner.supports(order.cell, host)).toEqual({ok: true});
      return runWorkerProgram(runner.launch(order.cell, host), order);
    };

    const cases: readonly (readonly [prefixCache: string, batch: number, cached: number])[] = [
      ['shared:12', 3, 12],
      [`shared:${PROMPT - 1}`, 1, PROMPT - 1],
      ['off', 1, 0],
      ['shared:1', 1, 1],
      ['shared:12', 1, 12],
    ];
    // Importing PyTorch takes seconds: the two that differ most stand for all.
    it.each(runner.id === 'transformers' ? cases.slice(0, 2) : cases)(
      '%s, batch %i: evaluated and cached tokens are told apart in every request, and make up the prompt',
      async (prefixCache, batch, cached) => {
        const {events, stderr} = await run({workload: {promptTokens: PROMPT, prefixCache, batch}});
        expect(events.at(-1)?.type, stderr).toBe('done');
        const requests = eventsOf(events, 'request');
        expect(requests.length).toBeGreaterThanOrEqual(4);
        for (const {promptTokens, cachedTokens, evaluatedTokens} of requests) {
          expect({promptTokens, cachedTokens}).toEqual({promptTokens: PROMPT, cachedTokens: cached});
          expect(cachedTokens + evaluatedTokens).toBe(promptTokens);
        }
      },
      SLOW_MS,
    );

    it(
      'ends in rows that say so: the prefill rate counts evaluated tokens only, and requests.csv has both',
      async () => {
        const workload = {promptTokens: PROMPT, prefixCache: 'shared:18'};
        const {events} = await run({workload});
        const measured = eventsOf(events, 'request').filter(({phase}) => phase === 'measure');
        const {cell} = orderOf({workload});
        const [record] = cellRecords([planned(cell), ...buildRound(cell.id, 0, measured)]);
        if (record === undefined) throw new Error('the journal has no cell');
        const row = resultRow(record, buildManifest(), []);
        expect(row.prefix_cache).toBe('shared:18');
        expect(row.caveats?.split(' ')).toContain('cached-prefix');
        expect(row.prompt_tokens).toBe(PROMPT);
        const seconds = (request: RequestEvent) =>
          Math.floor(((request.tokenNs[0] ?? 0) - request.startNs) / 1000) / 1e6;
        const rates = measured.map((request) => (PROMPT - 18) / seconds(request)).sort((a, b) => a - b);
        // Six significant digits in a row.
        expect((row.prefill_tokens_per_s ?? 0) / (rates[1] ?? 0)).toBeCloseTo(1, 4);
        for (const request of requestRows(record, 'run')) {
          expect(request).toMatchObject({prompt_tokens: PROMPT, evaluated_tokens: 6, cached_tokens: 18});
        }
      },
      SLOW_MS,
    );
  });
});
