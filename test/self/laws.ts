import {normal, type Random} from '../../harness/derive/random.ts';
import {normalCdf, normalQuantile} from '../../harness/derive/special.ts';

/** How the time of a request varies within a round. */
interface Law {
  /** The time that belongs to a standard normal score: same rank, other distribution. Scores carry the autocorrelation. */
  time(score: number): number;
  /** Share of requests that take at most this long. */
  below(time: number): number;
}

/** What multiplies all times of a round, on the log scale, by its quantile function. */
type Effect = (u: number) => number;

export interface Variation {
  readonly name: string;
  readonly law: Law;
  /** Autocorrelation of neighbouring requests, of their scores: an AR(1) process. */
  readonly rho?: number;
  /** How much slower the last request of a round is than its first, on the log scale: linear. */
  readonly drift?: number;
  readonly effect?: Effect;
  /** Most rounds are alike and a few are slowed, some by much: what a few rounds may not have met. */
  readonly oneSided?: true;
}

export const lognormal = (sigma: number): Law => ({
  time: (score) => Math.exp(sigma * score),
  below: (time) => normalCdf(Math.log(time) / sigma),
});

export const weibull = (shape: number): Law => ({
  time: (score) => (-Math.log(normalCdf(-score))) ** (1 / shape),
  below: (time) => 1 - Math.exp(-(time ** shape)),
});

export const pareto = (shape: number): Law => ({
  time: (score) => normalCdf(-score) ** (-1 / shape),
  below: (time) => (time <= 1 ? 0 : 1 - time ** -shape),
});

/** The sum of `shape` exponential times. */
export const gamma = (shape: number): Law =>
  inverted((time) => {
    let term = 1;
    let sum = 1;
    for (let k = 1; k < shape; k++) {
      term *= time / k;
      sum += term;
    }
    return 1 - Math.exp(-time) * sum;
  });

/** Two modes: a share of the requests takes `factor` times as long, as when a collector of garbage runs in between. */
export const pauses = (sigma: number, share: number, factor: number): Law =>
  inverted(
    (time) => (1 - share) * normalCdf(Math.log(time) / sigma) + share * normalCdf(Math.log(time / factor) / sigma),
  );

export const normalEffect =
  (sigma: number): Effect =>
  (u) =>
    sigma * normalQuantile(u);

/** Rounds are only ever slowed: most a little, some a lot. */
export const exponentialEffect =
  (mean: number): Effect =>
  (u) =>
    -mean * Math.log1p(-u);

/** Student's t with 4 degrees of freedom (its quantiles: Shaw 2006), scaled to this standard deviation. */
export const heavyEffect =
  (sigma: number): Effect =>
  (u) => {
    const alpha = 4 * u * (1 - u);
    const q = Math.cos(Math.acos(Math.sqrt(alpha)) / 3) / Math.sqrt(alpha);
    return (sigma / Math.SQRT2) * Math.sign(u - 0.5) * 2 * Math.sqrt(Math.max(0, q - 1));
  };

/** Rounds of requests. */
export function draw({law, rho = 0, drift = 0, effect}: Variation, random: Random, rounds: number, requests: number) {
  return Array.from({length: rounds}, () => {
    const shift = effect === undefined ? 0 : effect(Math.max(random(), 1e-9));
    return scores(random, requests, rho).map(
      (score, index) => law.time(score) * Math.exp(shift + positionShift(index, requests, drift)),
    );
  });
}

const NODES = 400;

/** The time that a share p of all requests of all possible rounds stays below. */
export function trueQuantile({law, drift = 0, effect}: Variation, p: number, requests: number): number {
  const shifts = effect === undefined ? [0] : Array.from({length: NODES}, (_, node) => effect((node + 0.5) / NODES));
  const positions =
    drift === 0 ? [0] : Array.from({length: requests}, (_, index) => positionShift(index, requests, drift));
  const factors = shifts.flatMap((shift) => positions.map((position) => Math.exp(shift + position)));
  const below = (time: number): number =>
    factors.reduce((sum, factor) => sum + law.below(time / factor), 0) / factors.length;
  return root(below, p);
}

function positionShift(index: number, requests: number, drift: number): number {
  return drift === 0 ? 0 : drift * (index / (requests - 1) - 0.5);
}

/** An AR(1) process with variance 1; `rho` 0 is white noise. */
function scores(random: Random, n: number, rho: number): number[] {
  let at = normal(random);
  return Array.from({length: n}, () => {
    const now = at;
    at = rho * at + Math.sqrt(1 - rho * rho) * normal(random);
    return now;
  });
}

/** The time at which an increasing function of time reaches p, between 1e-6 and 1e9. */
function root(of: (time: number) => number, p: number): number {
  let low = Math.log(1e-6);
  let high = Math.log(1e9);
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (of(Math.exp(middle)) < p) low = middle;
    else high = middle;
  }
  return Math.exp((low + high) / 2);
}

/** Scores from −6 to 6. */
const TABLE = 8192;

/** A law that has no formula for its quantiles: they are looked up in a table, on the straight line between entries. */
function inverted(below: (time: number) => number): Law {
  const table = Array.from({length: TABLE + 1}, (_, index) => root(below, normalCdf((12 * index) / TABLE - 6)));
  return {
    below,
    time: (score) => {
      const place = Math.min(TABLE - 1e-9, Math.max(0, ((score + 6) * TABLE) / 12));
      const [low, high] = [table[Math.floor(place)] ?? 0, table[Math.floor(place) + 1] ?? 0];
      return low + (high - low) * (place - Math.floor(place));
    },
  };
}
