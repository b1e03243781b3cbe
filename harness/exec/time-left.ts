import type {Cell} from '../contract/cell.ts';
import type {PlannedCell} from '../contract/plan.ts';

/** Guesses how long a sweep still takes: by what rounds of a cell took here, before the first by the plan's upper bound. */
export class TimeLeft {
  readonly #planned: readonly PlannedCell[];
  readonly #measured = new Map<string, {seconds: number; rounds: number}>();

  constructor(planned: readonly PlannedCell[]) {
    this.#planned = planned;
  }

  took({id}: Cell, seconds: number): void {
    const before = this.#measured.get(id) ?? {seconds: 0, rounds: 0};
    this.#measured.set(id, {seconds: before.seconds + seconds, rounds: before.rounds + 1});
  }

  /** @returns null when nothing is known of a cell that is still due. */
  seconds(roundsLeft: (cell: Cell) => number): number | null {
    let sum = 0;
    for (const {cell, estimate} of this.#planned) {
      const left = roundsLeft(cell);
      if (left <= 0) continue;
      const measured = this.#measured.get(cell.id);
      const each = measured === undefined ? estimate.seconds : measured.seconds / measured.rounds;
      if (each === null) return null;
      sum += left * (measured === undefined ? each / cell.rounds : each);
    }
    return sum;
  }
}
