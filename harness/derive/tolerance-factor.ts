import {logGamma, normalCdf, normalQuantile} from './special.ts';

/** Factors of a standard deviation, to be added to a mean. */
interface ToleranceFactors {
  readonly low: number;
  readonly high: number;
}

const KNOWN = new Map<string, ToleranceFactors>();

/**
 * Bounds of a confidence interval for a quantile of a normal distribution, from the mean and the standard deviation of
 * n values: mean + factor × deviation. Exact: a non-central t with n − 1 degrees of freedom (Owen 1968, "A survey of
 * properties and applications of the noncentral t-distribution", Technometrics 10). Three values leave the p90 of their
 * distribution wide open: from 0.1 to 9 deviations above their mean.
 *
 * @param n At least 2.
 */
export function toleranceFactors(n: number, p: number, confidence: number): ToleranceFactors {
  const key = `${n} ${p} ${confidence}`;
  const known = KNOWN.get(key);
  if (known !== undefined) return known;
  const root = Math.sqrt(n);
  const factor = (probability: number): number =>
    noncentralStudentQuantile(probability, n - 1, normalQuantile(p) * root) / root;
  const factors = {low: factor((1 - confidence) / 2), high: factor((1 + confidence) / 2)};
  if (KNOWN.size < 1000) KNOWN.set(key, factors);
  return factors;
}

/** The t that a non-central Student's T stays below with this probability. */
function noncentralStudentQuantile(probability: number, df: number, delta: number): number {
  let low = -1;
  let high = 1;
  while (noncentralStudentCdf(low, df, delta) > probability) low *= 2;
  while (noncentralStudentCdf(high, df, delta) < probability) high *= 2;
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2;
    if (noncentralStudentCdf(middle, df, delta) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

const STEPS = 2000;

/**
 * P((Z + δ) ÷ X ≤ t) with Z standard normal and X = √(χ² ÷ df): the mean of Φ(tX − δ) over X, by the midpoint rule. X lies
 * within ten of its standard deviations, about 1 ÷ √(2 df), of 1.
 */
function noncentralStudentCdf(t: number, df: number, delta: number): number {
  const reach = 10 / Math.sqrt(2 * df);
  const from = Math.max(0, 1 - reach);
  const step = (1 + reach - from) / STEPS;
  const logScale = Math.LN2 + (df / 2) * Math.log(df / 2) - logGamma(df / 2);
  let sum = 0;
  for (let index = 0; index < STEPS; index++) {
    const x = from + (index + 0.5) * step;
    sum += normalCdf(t * x - delta) * Math.exp(logScale + (df - 1) * Math.log(x) - (df * x * x) / 2);
  }
  return sum * step;
}
