import type {Caveat} from '../contract/caveats.ts';
import type {Series} from '../contract/sampler.ts';
import {
  ENERGY_AGREEMENT,
  GPU_ENERGY_MIN_S,
  POWER_MAX_GAP_S,
  POWER_MIN_COVERAGE,
  RAPL_ENERGY_MIN_S,
} from './thresholds.ts';

export interface Energy {
  /** Joules between the two times; null when it could not be had honestly. */
  readonly energyJ: number | null;
  /** `nvml-counter`, `nvml-power`, `nvidia-smi-power`, `rapl-package`; null without a figure. */
  readonly source: string | null;
  readonly caveats: readonly Caveat[];
}

interface Point {
  readonly tS: number;
  readonly value: number;
}

const NONE: Energy = {energyJ: null, source: null, caveats: []};
const SHORT: Energy = {energyJ: null, source: null, caveats: [{code: 'short-for-energy'}]};

/**
 * Energy between two times, from the best source among the series: the GPU's energy counter, else its power integrated
 * by the trapezoid rule, else RAPL. Both ends are interpolated. Where the GPU gives counter and power, the two are
 * compared.
 *
 * No figure, but the caveat `short-for-energy`, for a window that is too short for the sensor, has a pause of more
 * than 3 s, or is covered by samples for less than three quarters.
 *
 * @param deviceKind What the cell ran on: the energy of a CPU says nothing of a cell on a GPU.
 */
export function energyOf(
  series: readonly Series[],
  fromMs: number,
  toMs: number,
  deviceKind: 'cpu' | 'cuda' = 'cpu',
): Energy {
  const fromS = fromMs / 1000;
  const toS = toMs / 1000;
  if (!(toS > fromS)) return NONE;
  const find = (channel: string): Series | undefined => series.find((one) => one.channel === channel);
  const counter = find('gpu_energy_j');
  const power = find('gpu_power_w');
  const rapl = find('rapl_package_j');

  if (counter !== undefined || power !== undefined) {
    if (toS - fromS < GPU_ENERGY_MIN_S) return SHORT;
    const counted = counter === undefined ? null : counterEnergy(counter, fromS, toS);
    const integrated = power === undefined ? null : integratedEnergy(power, fromS, toS);
    if (counted !== null) {
      const ratio = integrated === null ? 1 : integrated / counted;
      const caveats: Caveat[] =
        Math.abs(ratio - 1) > ENERGY_AGREEMENT ? [{code: 'energy-disagrees', value: ratio.toFixed(2)}] : [];
      return {energyJ: counted, source: 'nvml-counter', caveats};
    }
    const source = power?.source === 'nvml' ? 'nvml-power' : 'nvidia-smi-power';
    return integrated === null ? SHORT : {energyJ: integrated, source, caveats: []};
  }
  if (rapl === undefined || deviceKind === 'cuda') return NONE;
  if (toS - fromS < RAPL_ENERGY_MIN_S) return SHORT;
  const counted = counterEnergy(rapl, fromS, toS);
  return counted === null ? SHORT : {energyJ: counted, source: 'rapl-package', caveats: []};
}

/** Difference of a cumulative counter; a counter that runs backwards gives nothing. */
function counterEnergy(series: Series, fromS: number, toS: number): number | null {
  const points = pointsOf(series);
  if (points.some(({value}, index) => value < (points[index - 1]?.value ?? value))) return null;
  const slopes = points.slice(1).flatMap((point, index) => {
    const before = points[index];
    return before === undefined ? [] : [{fromS: before.tS, toS: point.tS, before, point}];
  });
  return integrate(slopes, fromS, toS, ({before, point}, a, b) => {
    const wattS = (point.value - before.value) / (point.tS - before.tS);
    return wattS * (b - a);
  });
}

/** Trapezoids of a power, each cut to the window. */
function integratedEnergy(series: Series, fromS: number, toS: number): number | null {
  const points = pointsOf(series);
  const within = points.filter(({tS}) => tS >= fromS && tS <= toS).length;
  if (series.periodMs > 0 && within < (POWER_MIN_COVERAGE * (toS - fromS)) / (series.periodMs / 1000) - 1) return null;
  const pieces = points.slice(1).flatMap((point, index) => {
    const before = points[index];
    return before === undefined ? [] : [{fromS: before.tS, toS: point.tS, before, point}];
  });
  return integrate(pieces, fromS, toS, ({before, point}, a, b) => {
    const at = (t: number): number =>
      before.value + ((point.value - before.value) * (t - before.tS)) / (point.tS - before.tS);
    return ((at(a) + at(b)) / 2) * (b - a);
  });
}

interface Piece {
  readonly fromS: number;
  readonly toS: number;
  readonly before: Point;
  readonly point: Point;
}

/**
 * Sum over the pieces inside the window. What no piece covers, at the edges, is counted with the mean of what is
 * covered; null when that is more than a quarter of the window, or a pause is too long.
 */
function integrate(
  pieces: readonly Piece[],
  fromS: number,
  toS: number,
  energy: (piece: Piece, a: number, b: number) => number,
): number | null {
  let joules = 0;
  let coveredS = 0;
  for (const piece of pieces) {
    const a = Math.max(fromS, piece.fromS);
    const b = Math.min(toS, piece.toS);
    if (b <= a) continue;
    if (piece.toS - piece.fromS > POWER_MAX_GAP_S) return null;
    joules += energy(piece, a, b);
    coveredS += b - a;
  }
  const windowS = toS - fromS;
  return coveredS < POWER_MIN_COVERAGE * windowS ? null : joules * (windowS / coveredS);
}

function pointsOf({tMs, values}: Series): Point[] {
  const points: Point[] = [];
  for (const [index, t] of tMs.entries()) {
    const value = values[index] ?? null;
    // Two readings at one time would make a piece without width.
    if (value !== null && t / 1000 > (points.at(-1)?.tS ?? Number.NEGATIVE_INFINITY))
      points.push({tS: t / 1000, value});
  }
  return points;
}
