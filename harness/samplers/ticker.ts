/**
 * Least period of what the kernel keeps between two readings anyway: CPU times and energy are sums, memory has its
 * high-water marks. Read more often they tell nothing more, and every reading is paid beside the worker. They share this
 * period, and with it one wake.
 */
export const KEPT_PERIOD_MS = 250;

/** What one subscriber wants of the ticker. */
interface Subscription {
  readonly periodMs: number;
  readonly nowMs: () => number;
  /** @param missed Deadlines that passed without a call since the last one. */
  readonly tick: (tMs: number, missed: number) => void;
  nextMs: number;
}

/**
 * One timer for all samplers of this process. Deadlines are multiples of the period on the subscriber's clock: a late
 * reading delays itself and not the later ones, and samplers with the same period wake the harness once, not once each.
 */
export class Ticker {
  readonly #subscriptions = new Set<Subscription>();
  #timer: NodeJS.Timeout | undefined;

  /** @returns The end of the subscription: after it no call comes. */
  every(periodMs: number, nowMs: () => number, tick: (tMs: number, missed: number) => void): () => void {
    const subscription: Subscription = {periodMs, nowMs, tick, nextMs: after(nowMs(), periodMs)};
    this.#subscriptions.add(subscription);
    this.#schedule();
    return () => {
      this.#subscriptions.delete(subscription);
      this.#schedule();
    };
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#subscriptions.size === 0) return;
    const waits = [...this.#subscriptions].map(({nextMs, nowMs}) => nextMs - nowMs());
    // A timer of Node fires up to a millisecond early: rounding up spares an empty wake-up.
    this.#timer = setTimeout(() => this.#wake(), Math.max(0, Math.ceil(Math.min(...waits))));
  }

  #wake(): void {
    // A copy: a call may end its own subscription or another one.
    for (const subscription of [...this.#subscriptions]) {
      const now = subscription.nowMs();
      if (now < subscription.nextMs || !this.#subscriptions.has(subscription)) continue;
      const missed = Math.floor((now - subscription.nextMs) / subscription.periodMs);
      subscription.nextMs = after(now, subscription.periodMs);
      subscription.tick(now, missed);
    }
    this.#schedule();
  }
}

/** The first multiple of the period after a time. */
function after(tMs: number, periodMs: number): number {
  return (Math.floor(tMs / periodMs) + 1) * periodMs;
}
