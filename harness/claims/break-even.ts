/** Where one way to serve stops being cheaper than another. */
export interface BreakEven {
  readonly a: string;
  readonly b: string;
  /** The cheaper one below the demand, or everywhere when there is no such demand. */
  readonly cheaperBelow: string;
  /** Requests an hour (or of a run); null: the same one is cheaper at every demand looked at. */
  readonly demand: number | null;
}

export interface Costly {
  readonly name: string;
  /** A month at a demand; null where it cannot be done. */
  readonly usdPerMonthAt: (demand: number) => number | null;
}

/** Demands looked at: a tenth of a request to ten million. */
const LOWEST = 0.1;
const HIGHEST = 1e7;
/** Steps between two of them, ×1.06: replicas make costs a staircase, and a step narrower than this is passed over. */
const STEPS = 320;

/**
 * The lowest demand at which the cheaper of two changes. Costs are staircases, so further changes may follow just above;
 * the first is the one that a growing service meets.
 *
 * @returns null when the two cost the same wherever both can be done.
 */
export function breakEven(a: Costly, b: Costly): BreakEven | null {
  /** Who is cheaper: −1 a, 1 b, 0 neither. */
  const side = (demand: number): number => {
    const [x, y] = [a.usdPerMonthAt(demand), b.usdPerMonthAt(demand)];
    if (x === null || y === null) return 0;
    return Math.abs(x - y) <= 1e-9 * Math.max(x, y) ? 0 : Math.sign(x - y);
  };
  let first = 0;
  let below = LOWEST;
  for (let step = 0; step <= STEPS; step++) {
    const demand = LOWEST * (HIGHEST / LOWEST) ** (step / STEPS);
    const now = side(demand);
    if (now === 0) continue;
    if (first === 0) first = now;
    else if (now !== first) {
      return {
        a: a.name,
        b: b.name,
        cheaperBelow: first < 0 ? a.name : b.name,
        demand: bisect(side, first, below, demand),
      };
    }
    below = demand;
  }
  return first === 0 ? null : {a: a.name, b: b.name, cheaperBelow: first < 0 ? a.name : b.name, demand: null};
}

/** The demand between two at which `first` stops being cheaper. */
function bisect(side: (demand: number) => number, first: number, low: number, high: number): number {
  let [from, to] = [low, high];
  for (let turn = 0; turn < 60; turn++) {
    const middle = (from + to) / 2;
    if (side(middle) === first) from = middle;
    else to = middle;
  }
  return to;
}
