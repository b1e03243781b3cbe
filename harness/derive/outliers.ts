import {ascending, quantileOfSorted} from './quantile.ts';
import {OUTLIER_MILD_IQR, OUTLIER_SEVERE_IQR} from './thresholds.ts';

export type Outlier = 'mild' | 'severe' | null;

/**
 * Tukey's fences around the quartiles (type 7). Marks, never drops. A sample whose quartiles coincide marks every
 * other value as severe: nothing else can be said of it.
 */
export function outliers(values: readonly number[]): Outlier[] {
  const sorted = ascending(values);
  const q1 = quantileOfSorted(sorted, 0.25);
  const q3 = quantileOfSorted(sorted, 0.75);
  if (q1 === null || q3 === null) return [];
  const beyond = (value: number, factor: number): boolean =>
    value < q1 - factor * (q3 - q1) || value > q3 + factor * (q3 - q1);
  return values.map((value) => {
    if (beyond(value, OUTLIER_SEVERE_IQR)) return 'severe';
    return beyond(value, OUTLIER_MILD_IQR) ? 'mild' : null;
  });
}
