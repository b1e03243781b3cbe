import type {CaveatCode} from '../../harness/contract/caveats.ts';
import {BenchError} from '../../harness/contract/errors.ts';
import type {WorkerEventInput, WorkOrder} from '../../harness/contract/protocol.ts';
import {sharedPrefixTokens} from '../../harness/contract/workload.ts';
import {toNs} from '../worker-kit/engine.ts';
import {isCorrect} from '../worker-kit/prompts-file.ts';
import {type Answered, type Client, saltOf} from './client.ts';
import {ClosedLoop, runLanes, type Ticket} from './closed-loop.ts';
import type {ServerPrompt} from './prompts.ts';
import type {Rehearsed} from './rehearsal.ts';

export interface Measuring {
  readonly order: WorkOrder;
  readonly client: Client;
  readonly rehearsed: Rehearsed;
  readonly now: () => number;
  send(event: WorkerEventInput): void;
}

/**
 * Warm-up and measured requests of all lanes, until the stop rule is met.
 *
 * @returns What the event `done` says.
 * @throws {BenchError} What a request throws: a failed request fails the round, it is not left out of the figures.
 */
export async function measure({
  order,
  client,
  rehearsed,
  now,
  send,
}: Measuring): Promise<Pick<Extract<WorkerEventInput, {type: 'done'}>, 'stopped' | 'caveats'>> {
  const {workload, stop} = order.cell;
  const tally = new Tally();
  const loop = new ClosedLoop(stop, {
    lanes: workload.concurrency,
    now,
    onPhase: (name) => send({type: 'phase', tNs: toNs(now()), name}),
  });
  await runLanes(loop, workload.concurrency, async (ticket, lane, signal) => {
    const {phase, index, counts} = ticket;
    const prompt = rehearsed.prompts.at(ticket);
    const answered = await client.ask({
      prompt,
      generatedTokens: workload.generatedTokens,
      ignoreEos: rehearsed.ignoreEos,
      cacheable: sharedPrefixTokens(workload) > 0,
      salt: saltOf(order, phase, index, counts),
      signal,
    });
    const event = requestEvent({ticket, lane, order, prompt, answered, rehearsed});
    if (counts) {
      send(event);
      if (phase === 'measure') tally.add(answered);
    }
    return (answered.times.tokenMs.at(-1) ?? answered.startMs) - answered.startMs;
  });
  return {stopped: loop.stopped, caveats: [...tally.caveats(), ...(loop.unsteady ? ['unsteady-warmup'] : [])]};
}

/** What only shows in the answers. */
class Tally {
  #tokens = 0;
  #grouped = 0;
  #uncounted: boolean = false;
  #cacheUnknown: boolean = false;

  add({times, generatedTokens, countedByServer, cachedTokens, streamed}: Answered): void {
    this.#tokens += generatedTokens;
    // Of an answer that came whole another caveat speaks.
    this.#grouped += streamed ? times.grouped : 0;
    this.#uncounted ||= !countedByServer;
    this.#cacheUnknown ||= cachedTokens === null;
  }

  caveats(): string[] {
    const codes: CaveatCode[] = [];
    if (this.#uncounted) codes.push('pieces-counted');
    if (this.#cacheUnknown) codes.push('cache-unknown');
    const groups: CaveatCode = 'tokens-in-groups';
    return this.#grouped === 0 ? codes : [...codes, `${groups}=${(this.#grouped / this.#tokens).toFixed(2)}`];
  }
}

interface Asked {
  readonly ticket: Ticket;
  readonly lane: number;
  readonly order: WorkOrder;
  readonly prompt: ServerPrompt;
  readonly answered: Answered;
  readonly rehearsed: Rehearsed;
}

/** @throws {BenchError} WRONG_TOKEN_COUNT when lengths are to be as asked and are not. */
function requestEvent({ticket, lane, order, prompt, answered, rehearsed}: Asked): WorkerEventInput {
  const {workload} = order.cell;
  const {generatedTokens, times, startMs} = answered;
  if (generatedTokens !== workload.generatedTokens && !rehearsed.answersVary) {
    throw new BenchError(
      'WRONG_TOKEN_COUNT',
      `the answer ended after ${generatedTokens} of ${workload.generatedTokens} tokens (finish_reason ${answered.finishReason ?? 'none'}): the server does not honour ignore_eos; fixed_length: false measures it as it is`,
    );
  }
  const promptTokens = answered.promptTokens ?? prompt.tokens ?? workload.promptTokens;
  const cachedTokens = Math.min(answered.cachedTokens ?? 0, promptTokens);
  const tokenNs = rehearsed.streams ? times.tokenMs.map(toNs) : times.tokenMs.slice(-1).map(toNs);
  const event = {
    type: 'request',
    phase: ticket.phase,
    index: ticket.index,
    lane,
    promptTokens,
    evaluatedTokens: promptTokens - cachedTokens,
    cachedTokens,
    batch: 1,
    startNs: toNs(startMs),
    tokenNs,
    ...(tokenNs.length === generatedTokens ? {} : {generatedTokens}),
  } as const;
  if (prompt.answer === undefined) return event;
  return {...event, text: answered.text, correct: isCorrect(answered.text, prompt.answer)};
}
