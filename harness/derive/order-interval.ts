import type {Interval} from './bootstrap.ts';
import {effectiveSampleSize} from './effective-sample-size.ts';
import {interpolatedRanks} from './order-statistics.ts';
import {ascending} from './quantile.ts';

/**
 * 95 % interval of a quantile of all values, whatever their distribution, wider where values of a round resemble their
 * neighbours. It speaks of rounds like these, and knows nothing of others.
 *
 * @param worth How many independent values they are worth, where it is known; else it is estimated from neighbours.
 * @returns null when there are too few values: 29 for a p90, 6 for a median; or when they are worth fewer, where that is given.
 */
export function orderInterval(rounds: readonly (readonly number[])[], p: number, worth?: number): Interval | null {
  const sorted = ascending(rounds.flat());
  if (worth !== undefined && interpolatedRanks(worth, p) === null) return null;
  const ranks = interpolatedRanks(sorted.length, p, worth ?? effectiveSampleSize(rounds));
  return ranks === null ? null : {low: valueAt(sorted, ranks.low), high: valueAt(sorted, ranks.high)};
}

/** The value at a 1-based place, between two values on the straight line. */
function valueAt(sorted: readonly number[], place: number): number {
  const below = sorted[Math.floor(place) - 1] ?? Number.NaN;
  const above = sorted[Math.ceil(place) - 1] ?? Number.NaN;
  // Equal neighbours are returned as they are: rounding must not move a bound off the only value there is.
  return below === above ? below : below + (above - below) * (place - Math.floor(place));
}
