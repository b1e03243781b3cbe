import type {Interval} from './bootstrap.ts';

/** 97.5 % point of the standard normal distribution. */
const Z = 1.959963984540054;

/** 95 % interval of a share (Wilson 1927): holds near 0 and 1, where "share ± 2 standard errors" does not. */
export function wilsonInterval(successes: number, n: number): Interval | null {
  if (n <= 0) return null;
  const share = successes / n;
  const centre = share + (Z * Z) / (2 * n);
  const half = Z * Math.sqrt((share * (1 - share)) / n + (Z * Z) / (4 * n * n));
  const scale = 1 + (Z * Z) / n;
  // The bounds are exactly 0 and 1 there; rounding must not make them −1e-17.
  return {low: successes === 0 ? 0 : (centre - half) / scale, high: successes === n ? 1 : (centre + half) / scale};
}
