import {median} from './quantile.ts';

/**
 * Lag-1 autocorrelation within rounds of the sign of (value − median of its round): 0 for independent values, 1 for
 * values that never change sides. Signs, because the variance of a median depends on them alone and no outlier moves
 * them. Estimated over all rounds together, with the bias of short series, −(1 + 4ρ)/n, put back (Marriott & Pope
 * 1954).
 */
export function signAutocorrelation(rounds: readonly (readonly number[])[]): number {
  let products = 0;
  let squares = 0;
  let n = 0;
  let used = 0;
  for (const values of rounds) {
    const middle = median(values);
    if (middle === null || values.length < 4) continue;
    const signs = values.map((value) => Math.sign(value - middle));
    squares += signs.reduce((sum, sign) => sum + sign * sign, 0);
    products += signs.slice(1).reduce((sum, sign, index) => sum + sign * (signs[index] ?? 0), 0);
    n += values.length;
    used++;
  }
  if (squares === 0) return 0;
  const raw = products / squares;
  return raw + (1 + 4 * raw) / (n / used);
}

/**
 * How many times larger the variance of a median is than of as many independent values: (1 + ρ) ÷ (1 − ρ) for an AR(1)
 * process (AIPerf's proposal of statistical foundations has n_eff = n(1 − ρ)/(1 + ρ)). Never below 1: alternation
 * is not rewarded.
 */
export function varianceInflation(rounds: readonly (readonly number[])[]): number {
  const rho = Math.min(0.95, Math.max(0, signAutocorrelation(rounds)));
  return (1 + rho) / (1 - rho);
}

/** Independent values that would tell as much. */
export function effectiveSampleSize(rounds: readonly (readonly number[])[]): number {
  return rounds.reduce((sum, values) => sum + values.length, 0) / varianceInflation(rounds);
}
