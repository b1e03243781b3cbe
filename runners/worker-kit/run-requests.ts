import {Bench} from 'tinybench';
import type {CaveatCode} from '../../harness/contract/caveats.ts';
import {BenchError} from '../../harness/contract/errors.ts';
import type {WorkerEventInput, WorkOrder} from '../../harness/contract/protocol.ts';
import {type Engine, type EngineRequest, type EngineResult, toNs} from './engine.ts';
import type {PromptSource, RequestPrompt} from './prompt-source.ts';
import {sharedPrefix} from './prompt-tokens.ts';
import {isCorrect} from './prompts-file.ts';
import {type Stopped, StopRule} from './stop-rule.ts';

type Phase = 'warmup' | 'measure';

export interface RunRequests {
  readonly order: WorkOrder;
  readonly engine: Engine;
  readonly prompts: PromptSource;
  send(event: WorkerEventInput): void;
  /** Stands still for so many milliseconds. Default: the whole thread sleeps. */
  readonly rest?: (ms: number) => void;
}

/**
 * After each event the worker rests for a moment, in proportion to its request: the harness reads, checks and keeps the
 * event then, on a core that is free, and not beside the next request, where the threads of the engine hold them all.
 */
const REST_SHARE = 0.02;
const LONGEST_REST_MS = 3;
/** Below this a wake costs more than it gives. */
const SHORTEST_REST_MS = 0.2;

const sleeper = new Int32Array(new SharedArrayBuffer(4));
const sleep = (ms: number): void => void Atomics.wait(sleeper, 0, 0, ms);

export interface RequestsOutcome {
  readonly stopped: Stopped;
  /** What was seen only while measuring. */
  readonly caveats: readonly CaveatCode[];
}

/**
 * Warm-up, then measured requests until the stop rule is met, one after the other.
 *
 * tinybench drives the loop: its task is one request, its hooks make the prompt before and write the event after, and
 * the latency it records is the engine's own (`overriddenDuration`), without the loop around it. Its statistics are not
 * used: it has no p90, and the raw times go to the journal.
 *
 * @throws {BenchError} What the engine throws.
 */
export async function runRequests({order, engine, prompts, send, rest = sleep}: RunRequests): Promise<RequestsOutcome> {
  const {workload, stop} = order.cell;
  const prefix = sharedPrefix(order, engine.vocabulary);
  if (prefix.length > 0) await engine.prime(prefix);

  const rule = new StopRule(stop, engine.now());
  // The same two buffers serve every request: nothing is allocated while one is timed.
  const tokenMs = new Float64Array(workload.generatedTokens);
  const tokens = new Int32Array(workload.generatedTokens * workload.batch);
  const makeRequest = (name: Phase, index: number, prompt: RequestPrompt): EngineRequest => ({
    phase: name,
    index,
    prompts: prompt.sequences,
    generatedTokens: workload.generatedTokens,
    sharedTokens: prefix.length,
    tokenMs,
    tokens,
  });

  const phase = async (name: Phase, maxRequests: number, isLast: (latencyMs: number) => boolean): Promise<void> => {
    send({type: 'phase', tNs: toNs(engine.now()), name});
    let index = 0;
    let prompt = prompts.at(name, index);
    let request = makeRequest(name, index, prompt);
    let result: EngineResult | null = null;
    let tookMs = 0;
    await drive({
      maxRequests,
      now: engine.now,
      prepare() {
        prompt = prompts.at(name, index);
        request = makeRequest(name, index, prompt);
        result = null;
      },
      async run() {
        const began = performance.now();
        result = await engine.generate(request);
        // By a clock of its own: an engine may tell times that never passed.
        tookMs = performance.now() - began;
        return lastOf(tokenMs) - result.startMs;
      },
      finish() {
        // A request that threw has no result; the loop ends with its error.
        if (result === null) return true;
        const latencyMs = lastOf(tokenMs) - result.startMs;
        send(requestEvent(prompt, result, request, engine));
        const restMs = Math.min(LONGEST_REST_MS, REST_SHARE * tookMs);
        if (restMs >= SHORTEST_REST_MS) rest(restMs);
        index++;
        return isLast(latencyMs);
      },
    });
  };

  if (!rule.isWarm(engine.now())) {
    await phase('warmup', stop.warmupMaxRequests, (latencyMs) => {
      rule.addWarmup(latencyMs);
      return rule.isWarm(engine.now());
    });
  }
  const unsteady = stop.warmupMaxRequests > 0 && !rule.isSteady;

  rule.startMeasuring(engine.now());
  let stopped: Stopped | null = null;
  await phase('measure', stop.maxRequests, (latencyMs) => {
    stopped = rule.add(latencyMs, engine.now());
    return stopped !== null;
  });
  return {stopped: stopped ?? 'max', caveats: unsteady ? ['unsteady-warmup'] : []};
}

interface Drive {
  readonly maxRequests: number;
  readonly now: () => number;
  prepare(): void;
  /** @returns The latency in ms. */
  run(): Promise<number>;
  /** @returns Whether that was the last request. */
  finish(): boolean;
}

async function drive({maxRequests, now, prepare, run, finish}: Drive): Promise<void> {
  const enough = new AbortController();
  const bench = new Bench({
    iterations: Math.max(1, maxRequests),
    time: 0,
    warmup: false,
    now,
    signal: enough.signal,
  });
  bench.add(
    'request',
    async () => {
      const overriddenDuration = await run();
      return {overriddenDuration};
    },
    {
      beforeEach: prepare,
      afterEach() {
        if (finish()) enough.abort();
      },
    },
  );
  const [task] = await bench.run();
  const result = task?.result;
  if (result?.state === 'errored') throw result.error;
  if (result?.state !== 'completed' && result?.state !== 'aborted-with-statistics') {
    throw new BenchError('INTERNAL', `the request loop ended as "${result?.state ?? 'nothing'}"`);
  }
}

function requestEvent(
  prompt: RequestPrompt,
  result: EngineResult,
  request: EngineRequest,
  engine: Engine,
): WorkerEventInput {
  const event = {
    type: 'request',
    phase: request.phase,
    index: request.index,
    lane: 0,
    promptTokens: request.prompts[0]?.length ?? 0,
    evaluatedTokens: result.evaluatedTokens,
    cachedTokens: result.cachedTokens,
    batch: request.prompts.length,
    startNs: toNs(result.startMs),
    tokenNs: Array.from(request.tokenMs, toNs),
  } as const;
  if (prompt.answer === undefined) return event;
  const text = engine.detokenize(request.tokens.subarray(0, request.generatedTokens));
  return {...event, text, correct: isCorrect(text, prompt.answer)};
}

function lastOf(times: Float64Array): number {
  return times[times.length - 1] ?? Number.NaN;
}
