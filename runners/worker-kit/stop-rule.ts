import type {StopRule as StopSettings} from '../../harness/contract/cell.ts';
import {median, relativeHalfWidth} from './median-interval.ts';

/** Two requests in a row whose latencies differ by no more than this are steady. */
const STEADY_RATIO = 0.05;

export type Stopped = 'enough' | 'max' | 'budget';

/** Decides after every request whether another one is due. Counts and clock come from outside; it does no timing. */
export class StopRule {
  readonly #settings: StopSettings;
  readonly #startMs: number;
  readonly #warmupMs: number[] = [];
  readonly #latenciesMs: number[] = [];
  #measureStartMs: number;

  /** @param startMs When loading ended: the budget counts from here. */
  constructor(settings: StopSettings, startMs: number) {
    this.#settings = settings;
    this.#startMs = startMs;
    this.#measureStartMs = startMs;
  }

  /** Whether warm-up may end now. Asked before the first warm-up request, too. */
  isWarm(nowMs: number): boolean {
    const {warmupMinRequests, warmupMaxRequests} = this.#settings;
    const done = this.#warmupMs.length;
    if (done >= warmupMaxRequests) return true;
    if (done > 0 && this.#isSpent(nowMs)) return true;
    return done >= warmupMinRequests && this.isSteady;
  }

  /** True when the last two warm-up requests took the same time; false with fewer than two. */
  get isSteady(): boolean {
    const [last, before] = this.#warmupMs.slice(-2).reverse();
    if (last === undefined || before === undefined) return false;
    return Math.abs(last - before) <= STEADY_RATIO * before;
  }

  addWarmup(latencyMs: number): void {
    this.#warmupMs.push(latencyMs);
  }

  startMeasuring(nowMs: number): void {
    this.#measureStartMs = nowMs;
  }

  /** @returns Why measuring ends now, or null when another request is due. */
  add(latencyMs: number, nowMs: number): Stopped | null {
    const {minRequests, maxRequests, minSeconds, relativeHalfWidth: wanted} = this.#settings;
    this.#latenciesMs.push(latencyMs);
    const done = this.#latenciesMs.length;
    const enoughTime = nowMs - this.#measureStartMs >= minSeconds * 1000;
    if (done >= minRequests && enoughTime && relativeHalfWidth(this.#latenciesMs) <= wanted) return 'enough';
    if (done >= maxRequests) return 'max';
    return this.#isSpent(nowMs) ? 'budget' : null;
  }

  /** Median latency so far, in ms. */
  get medianMs(): number {
    return median([...this.#latenciesMs].sort((a, b) => a - b));
  }

  #isSpent(nowMs: number): boolean {
    return nowMs - this.#startMs >= this.#settings.budgetSeconds * 1000;
  }
}
