import type {Series} from '../contract/sampler.ts';
import type {Unit} from '../contract/units.ts';

/** Channels of one sampler that are read together: one time axis, one count of gaps. */
export class SeriesLog<const Channel extends string> {
  readonly #units: Readonly<Record<Channel, Unit>>;
  readonly #periodMs: number;
  readonly #tMs: number[] = [];
  readonly #values: ReadonlyMap<Channel, (number | null)[]>;
  #gaps = 0;
  #missed = 0;

  /** @param units The channels, in the order of the output, each with its unit. */
  constructor(units: Readonly<Record<Channel, Unit>>, periodMs: number) {
    this.#units = units;
    this.#periodMs = periodMs;
    this.#values = new Map(this.#channels().map((channel) => [channel, []]));
  }

  /** One reading. A channel that is absent or null failed; when all of them did, it is a gap. */
  push(tMs: number, reading: Readonly<Partial<Record<Channel, number | null>>>, missed = 0): void {
    this.#tMs.push(tMs);
    this.#gaps += missed;
    this.#missed += missed;
    let failed = true;
    for (const [channel, values] of this.#values) {
      const value = reading[channel] ?? null;
      values.push(value);
      if (value !== null) failed = false;
    }
    if (failed) this.#gaps++;
  }

  /** Raises the latest value of a channel to what was found to have happened after it. A reading that failed stays failed. */
  raiseLast(channel: Channel, value: number): void {
    const values = this.#values.get(channel) ?? [];
    const last = values.at(-1) ?? null;
    if (last !== null && value > last) values[values.length - 1] = value;
  }

  /** Share of the wanted readings that are missing. */
  get gapRatio(): number {
    const wanted = this.#tMs.length + this.#missed;
    return wanted === 0 ? 0 : this.#gaps / wanted;
  }

  /** Readings of one channel that succeeded. */
  known(channel: Channel): readonly number[] {
    return (this.#values.get(channel) ?? []).filter((value) => value !== null);
  }

  /** Channels without a single value are left out: a counter that the machine lacks is no series of nulls. */
  series(): readonly Series[] {
    return [...this.#values].flatMap(([channel, values]) =>
      values.every((value) => value === null)
        ? []
        : [{channel, unit: this.#units[channel], tMs: this.#tMs, values, periodMs: this.#periodMs, gaps: this.#gaps}],
    );
  }

  #channels(): Channel[] {
    // The keys of an object literal with these keys.
    return Object.keys(this.#units) as Channel[];
  }
}
