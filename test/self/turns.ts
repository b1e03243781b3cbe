import {studentCritical} from '../../harness/derive/special.ts';
import type {Figure} from './section.ts';

/**
 * A living process that repeats one piece of work, and is let run in turns. Two such processes measure in turn what two
 * that run one after the other cannot: a machine that drifts by several percent within seconds is the same for both.
 */
export interface Contestant {
  /**
   * Lets it run until `count` repetitions went by without a stop in them, then stops it.
   *
   * @returns Their numbers; null when it has run all that it was asked for.
   */
  turn(count: number): Promise<readonly number[] | null>;
  /** Lets it run to its end. @returns tokens/s of every repetition, by its number. */
  finish(): Promise<readonly number[]>;
  /** Ends it, however far it is. Harmless after {@link finish}. */
  end(): Promise<void>;
}

/**
 * Stops and continues one process by signals. The repetition in which it was stopped counts the time it stood still, and
 * finds cold caches when it goes on: it belongs to no turn.
 */
export class Baton {
  readonly #signal: (name: 'SIGSTOP' | 'SIGCONT') => void;
  #begun = -1;
  #stopAt = 0;
  #reached: () => void = () => undefined;
  #over = false;
  #failure: Error | null = null;

  constructor(signal: (name: 'SIGSTOP' | 'SIGCONT') => void) {
    this.#signal = signal;
  }

  /** The process begins a repetition. It is stopped here when that one is no longer wanted. */
  begins(repetition: number): void {
    this.#begun = repetition;
    if (repetition < this.#stopAt) return;
    this.#signal('SIGSTOP');
    this.#reached();
  }

  /** The process has ended: well, or with an error. */
  ends(error: Error | null): void {
    this.#over = true;
    this.#failure ??= error;
    this.#reached();
  }

  /** Waits until the first repetition began; the process is stopped in it. */
  async started(): Promise<void> {
    if (this.#begun < 0 && !this.#over) await this.#wait();
    if (this.#failure !== null) throw this.#failure;
  }

  /** @throws {Error} What the process ended with. */
  async turn(count: number): Promise<readonly number[] | null> {
    if (this.#failure !== null) throw this.#failure;
    if (this.#over) return null;
    // More may have begun than was wanted: the signal takes its time.
    const spoiled = this.#begun;
    this.#stopAt = spoiled + count + 1;
    const reached = this.#wait();
    this.#signal('SIGCONT');
    await reached;
    if (this.#failure !== null) throw this.#failure;
    return this.#over ? null : Array.from({length: count}, (_, index) => spoiled + 1 + index);
  }

  /** Lets it run freely from now on. */
  release(): void {
    this.#stopAt = Number.POSITIVE_INFINITY;
    this.#signal('SIGCONT');
  }

  async #wait(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#reached = resolve;
    });
  }
}

export interface Turns {
  /** Pairs of processes. What differs from process to process (where its memory lies) is the unit of the interval. */
  readonly processes: number;
  /** Turns of each side within a pair of processes. */
  readonly turns: number;
  /** Repetitions in a turn that count. */
  readonly repetitions: number;
}

/** Repetitions that a contestant must be able to run: those that count, those in which it is stopped, and two to spare. */
export function repetitionsOf({turns, repetitions}: Turns): number {
  return turns * (repetitions + 1) + 3;
}

/**
 * Two kinds of contestants against each other: pairs of processes, each pair in turns, A B B A.
 *
 * @returns For each pair of processes the median over its turns of log (rate of A ÷ rate of B).
 */
export async function logRatios(
  a: () => Promise<Contestant>,
  b: () => Promise<Contestant>,
  {processes, turns, repetitions}: Turns,
  onPair: (logs: readonly number[]) => void = () => undefined,
): Promise<readonly number[]> {
  const logs: number[] = [];
  for (let pair = 0; pair < processes; pair++) {
    const running: Contestant[] = [];
    try {
      // Who starts first gets the memory that the other one finds taken: they take turns in that, too.
      const begin = pair % 2 === 0 ? [a, b] : [b, a];
      for (const start of begin) running.push(await start());
      const [first, second] = running as [Contestant, Contestant]; // Two were pushed.
      const [one, other] = pair % 2 === 0 ? [first, second] : [second, first];
      const seen: [one: readonly number[], other: readonly number[]][] = [];
      for (let turn = 0; turn < turns; turn++) {
        const order = turn % 2 === 0 ? [one, other] : [other, one];
        const [sooner, later] = [await order[0]?.turn(repetitions), await order[1]?.turn(repetitions)];
        if (sooner == null || later == null) break;
        seen.push(turn % 2 === 0 ? [sooner, later] : [later, sooner]);
      }
      const rates = [await one.finish(), await other.finish()] as const;
      logs.push(middle(seen.map(([ours, theirs]) => Math.log(meanRate(rates[0], ours) / meanRate(rates[1], theirs)))));
      onPair(logs);
    } finally {
      await Promise.all(running.map((contestant) => contestant.end()));
    }
  }
  return logs;
}

/** Of equal pieces of work: all tokens by all seconds. */
function meanRate(rates: readonly number[], of: readonly number[]): number {
  const inverse = of.map((index) => 1 / (rates[index] ?? Number.NaN));
  return inverse.length / inverse.reduce((sum, value) => sum + value, 0);
}

function middle(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] ?? Number.NaN) + (sorted[sorted.length >> 1] ?? Number.NaN)) / 2;
}

export interface RatioInterval {
  readonly ratio: number;
  /** 95 %; NaN below two pairs. */
  readonly low: number;
  readonly high: number;
}

/**
 * Geometric mean of ratios, with Student's t over the pairs of processes. Which side of a pair started first makes several
 * percent (its memory lies elsewhere), always in favour of the later one: the two kinds of pairs are averaged apart, and
 * the interval rests on what differs within a kind.
 */
export function ratioInterval(logs: readonly number[]): RatioInterval {
  const kinds = [0, 1]
    .map((parity) => logs.filter((_, index) => index % 2 === parity))
    .filter((kind) => kind.length > 0);
  const means = kinds.map((kind) => kind.reduce((sum, log) => sum + log, 0) / kind.length);
  const centre = means.reduce((sum, mean) => sum + mean, 0) / means.length;
  const squares = kinds.reduce(
    (sum, kind, at) => sum + kind.reduce((inner, log) => inner + (log - (means[at] ?? 0)) ** 2, 0),
    0,
  );
  const df = logs.length - kinds.length;
  const perKind = kinds.reduce((sum, kind) => sum + 1 / kind.length, 0) / kinds.length ** 2;
  const reach = df < 1 ? Number.NaN : studentCritical(df, 0.95) * Math.sqrt((squares / df) * perKind);
  return {ratio: Math.exp(centre), low: Math.exp(centre - reach), high: Math.exp(centre + reach)};
}

/** A ratio beside its least value. What the interval cannot tell is not called met or missed. */
export function ratioFigure(what: string, logs: readonly number[], goal: number | null): Figure {
  const {ratio, low, high} = ratioInterval(logs);
  const value = `${ratio.toFixed(4)} (95 % interval ${low.toFixed(4)}–${high.toFixed(4)}, ${logs.length} pairs of processes)`;
  if (goal === null) return {what, value, goal: 'stated', met: null};
  const met = low >= goal ? true : high < goal ? false : null;
  return {what, value, goal: `≥ ${goal}`, met, ...(met === null ? {resolved: false} : {})};
}
