import {describe, expect, it} from 'vitest';
import {binomialCumulative, quantileRanks, stretchedRanks} from '../../../harness/derive/order-statistics.ts';

describe('quantileRanks', () => {
  it('gives the published ranks for p90 at 95 %', () => {
    const ranks = [29, 30, 40, 50, 64, 100, 200].map((n) => {
      const interval = quantileRanks(n, 0.9);
      return `${n} → ${interval?.low} ${interval?.high}`;
    });
    expect(ranks).toEqual([
      '29 → 21 29',
      '30 → 22 30',
      '40 → 32 40',
      '50 → 41 50',
      '64 → 53 63',
      '100 → 84 96',
      '200 → 172 189',
    ]);
  });

  it('does not exist for p90 below 29 values, for p99 below 299, for the median below 6', () => {
    expect(quantileRanks(28, 0.9)).toBeNull();
    expect(quantileRanks(298, 0.99)).toBeNull();
    expect(quantileRanks(299, 0.99)).not.toBeNull();
    expect(quantileRanks(5, 0.5)).toBeNull();
    expect(quantileRanks(6, 0.5)).toEqual({low: 1, high: 6});
  });

  it('covers at least 95 % for every n, by the binomial itself', () => {
    for (let n = 29; n <= 700; n += 37) {
      const interval = quantileRanks(n, 0.9);
      const below = binomialCumulative(n, 0.9);
      const coverage = (below[(interval?.high ?? 0) - 1] ?? 0) - (below[(interval?.low ?? 0) - 1] ?? 0);
      expect(coverage).toBeGreaterThanOrEqual(0.95);
    }
  });

  it('survives large n, where it is np ± 1.96·√(npq) = 18 000 ± 83.2', () => {
    expect(binomialCumulative(20_000, 0.9)[20_000]).toBeCloseTo(1, 9);
    expect(quantileRanks(20_000, 0.9)).toEqual({low: 17_917, high: 18_084});
  });

  it('stretches the ranks when values depend on each other, and never past the sample', () => {
    expect(stretchedRanks(100, 0.9, 100)).toEqual({low: 84, high: 96});
    expect(stretchedRanks(100, 0.9, 25)).toEqual({low: 77, high: 100});
    expect(stretchedRanks(28, 0.9, 28)).toBeNull();
  });
});
