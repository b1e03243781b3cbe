import {setMaxListeners} from 'node:events';
import type {StopRule as StopSettings} from '../../harness/contract/cell.ts';
import {type Stopped, StopRule} from '../worker-kit/stop-rule.ts';

type Phase = 'warmup' | 'measure';

/** Leave to start one request. */
export interface Ticket {
  readonly phase: Phase;
  /** 0-based within the phase, among those that count; of the others, among themselves. */
  readonly index: number;
  /** False: it only keeps the load up while those that count come to their ends. */
  readonly counts: boolean;
}

/**
 * A closed loop of several lanes: each starts its next request when its last one has ended, so that as many are in
 * flight as there are lanes, always.
 *
 * Which requests count is decided by when they start, never by when they end: once the stop rule is met, those under way
 * are waited for, and others that do not count keep all lanes busy meanwhile. Dropping what is under way would drop the
 * slow ones; letting the lanes run empty would measure the last ones under a smaller load. The first requests of a
 * phase start while those of the phase before come to their ends, spread as they are in a steady state.
 */
export class ClosedLoop {
  readonly #rule: StopRule;
  readonly #now: () => number;
  readonly #max: Readonly<Record<Phase, number>>;
  readonly #onPhase: (phase: Phase) => void;
  readonly #warmupMax: number;
  #phase: Phase = 'warmup';
  #closed: boolean = false;
  #over: boolean = false;
  #started = 0;
  #ended = 0;
  #fillers = 0;
  #stopped: Stopped = 'max';
  #unsteady: boolean = false;

  /** @param onPhase Called before the first request of a phase starts. */
  constructor(
    settings: StopSettings,
    {lanes, now, onPhase}: {lanes: number; now: () => number; onPhase: (phase: Phase) => void},
  ) {
    // Lanes that start together disturb each other at first: each is warm after a request of its own.
    const max = settings.warmupMaxRequests === 0 ? 0 : Math.max(settings.warmupMaxRequests, lanes);
    const warm =
      lanes === 1
        ? settings
        : {
            ...settings,
            warmupMinRequests: Math.min(max, Math.max(settings.warmupMinRequests, lanes)),
            warmupMaxRequests: max,
          };
    this.#rule = new StopRule(warm, now());
    this.#now = now;
    this.#max = {warmup: max, measure: settings.maxRequests};
    this.#warmupMax = max;
    this.#onPhase = onPhase;
  }

  start(): void {
    if (this.#rule.isWarm(this.#now())) this.#measure();
    else this.#onPhase('warmup');
  }

  /** All requests that count have ended. */
  get over(): boolean {
    return this.#over;
  }

  get stopped(): Stopped {
    return this.#stopped;
  }

  /** Request times were still moving when the warm-up ended. */
  get unsteady(): boolean {
    return this.#unsteady;
  }

  /** @returns null when the loop is over. */
  next(): Ticket | null {
    if (this.#over) return null;
    if (this.#closed || this.#started >= this.#max[this.#phase]) {
      return {phase: this.#phase, index: this.#fillers++, counts: false};
    }
    return {phase: this.#phase, index: this.#started++, counts: true};
  }

  /** A request ended well. */
  ended(ticket: Ticket, latencyMs: number): void {
    if (!ticket.counts) return;
    this.#ended++;
    if (!this.#closed) this.#judge(latencyMs);
    if (this.#closed && this.#ended === this.#started) this.#advance();
  }

  #judge(latencyMs: number): void {
    if (this.#phase === 'warmup') {
      this.#rule.addWarmup(latencyMs);
      this.#closed = this.#rule.isWarm(this.#now());
      return;
    }
    const stopped = this.#rule.add(latencyMs, this.#now());
    if (stopped === null) return;
    this.#stopped = stopped;
    this.#closed = true;
  }

  #advance(): void {
    if (this.#phase === 'measure') this.#over = true;
    else {
      this.#unsteady = this.#warmupMax > 0 && !this.#rule.isSteady;
      this.#measure();
    }
  }

  #measure(): void {
    this.#phase = 'measure';
    this.#closed = false;
    this.#started = 0;
    this.#ended = 0;
    this.#rule.startMeasuring(this.#now());
    this.#onPhase('measure');
  }
}

/** Sends one request. @returns Its latency in ms. */
export type RunTicket = (ticket: Ticket, lane: number, signal: AbortSignal) => Promise<number>;

/**
 * Runs all lanes of a loop to its end.
 *
 * @throws What a request that counts throws, and what one throws that does not while the loop is not over; the requests
 *   of the other lanes are then given up.
 */
export async function runLanes(loop: ClosedLoop, lanes: number, run: RunTicket): Promise<void> {
  const ending = new AbortController();
  // Every request under way listens; Node takes more than ten for a leak.
  setMaxListeners(0, ending.signal);
  const lane = async (number: number): Promise<void> => {
    for (let ticket = loop.next(); ticket !== null; ticket = loop.next()) {
      try {
        loop.ended(ticket, await run(ticket, number, ending.signal));
      } catch (error) {
        if (loop.over) return;
        ending.abort();
        throw error;
      }
      if (loop.over) ending.abort();
    }
  };
  loop.start();
  const ends = await Promise.allSettled(Array.from({length: lanes}, (_, number) => lane(number)));
  // The first one that failed made the others fail.
  const failures = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
  const [failure] = failures.sort((a, b) => Number(wasGivenUp(a)) - Number(wasGivenUp(b)));
  if (failure !== undefined) throw failure;
}

function wasGivenUp(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'INTERRUPTED';
}
