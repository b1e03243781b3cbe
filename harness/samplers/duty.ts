/**
 * Spaces out a dear reading so that it takes at most a share of the time: after one that took 20 ms at a share of
 * 0.002, the next comes 10 s later at the earliest.
 */
export class Duty {
  readonly #share: number;
  readonly #costMs: () => number;
  #nextMs = Number.NEGATIVE_INFINITY;

  /** @param costMs A clock fine enough to time one reading. */
  constructor(share: number, costMs: () => number = () => performance.now()) {
    this.#share = share;
    this.#costMs = costMs;
  }

  due(tMs: number): boolean {
    return tMs >= this.#nextMs;
  }

  /** Runs a reading and puts the next one off by what it cost. */
  spend<T>(tMs: number, reading: () => T): T {
    const began = this.#costMs();
    try {
      return reading();
    } finally {
      const cost = this.#costMs() - began;
      this.#nextMs = tMs + cost / this.#share;
    }
  }
}
