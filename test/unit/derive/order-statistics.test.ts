import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {orderInterval} from '../../../harness/derive/order-interval.ts';
import {binomialCumulative, interpolatedRanks, quantileRanks} from '../../../harness/derive/order-statistics.ts';

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
});

describe('interpolatedRanks', () => {
  it('exists for the same numbers of values as whole ranks do', () => {
    for (const p of [0.5, 0.9, 0.95, 0.99]) {
      for (let n = 1; n <= 310; n++) {
        expect(`${p} ${n} ${interpolatedRanks(n, p) === null}`).toBe(`${p} ${n} ${quantileRanks(n, p) === null}`);
      }
    }
    expect(interpolatedRanks(28, 0.9)).toBeNull();
    expect(interpolatedRanks(0, 0.9)).toBeNull();
  });

  it('gives whole ranks for a confidence that whole ranks have: of ten values the 2nd and the 9th hold the median', () => {
    // P(2 ≤ B < 9) of a binomial with n = 10, p = ½ is 1 − 2 · 11 ÷ 1024.
    const ranks = interpolatedRanks(10, 0.5, 10, 1 - 22 / 1024);
    expect(ranks?.low).toBeCloseTo(2, 9);
    expect(ranks?.high).toBeCloseTo(9, 9);
  });

  it('is the interpolation of Hettmansperger and Sheather (1986) for the median', () => {
    // With I the share of the confidence between two pairs of whole ranks
    // that is too much, their λ is (n − r)·I ÷ (r + (n − 2r)·I).
    const n = 20;
    const below = binomialCumulative(n, 0.5);
    const rank = 6; // P(6 ≤ B < 15) = 0.9586, P(7 ≤ B < 14) = 0.8847
    const confidence = (r: number): number => 1 - 2 * (below[r - 1] ?? 0);
    const excess = (confidence(rank) - 0.95) / (confidence(rank) - confidence(rank + 1));
    const lambda = ((n - rank) * excess) / (rank + (n - 2 * rank) * excess);
    const ranks = interpolatedRanks(n, 0.5);
    expect(ranks?.low).toBeCloseTo(rank + lambda, 9);
    expect(ranks?.high).toBeCloseTo(n + 1 - rank - lambda, 9);
  });

  it('ends at the largest value where that alone leaves more than half of the error: from 29 to 35 values', () => {
    expect(interpolatedRanks(29, 0.9)?.high).toBe(29);
    expect(interpolatedRanks(35, 0.9)?.high).toBe(35);
    expect(interpolatedRanks(36, 0.9)?.high).toBeLessThan(36);
    expect(interpolatedRanks(36, 0.9)?.high).toBeGreaterThan(35);
  });

  it('grows no jumps: one value more moves a bound by less than two places', () => {
    for (let n = 30; n < 400; n++) {
      const [before, after] = [interpolatedRanks(n - 1, 0.9), interpolatedRanks(n, 0.9)];
      const moved = (after?.high ?? 0) - (before?.high ?? 0);
      expect(moved).toBeGreaterThan(0);
      expect(moved).toBeLessThan(2);
      expect(Math.abs((after?.low ?? 0) - (before?.low ?? 0))).toBeLessThan(2);
    }
  });

  it('treats the 10th and the 90th percentile alike', () => {
    for (const n of [29, 35, 36, 66, 200]) {
      const [p90, p10] = [interpolatedRanks(n, 0.9), interpolatedRanks(n, 0.1)];
      expect(p10?.low).toBeCloseTo(n + 1 - (p90?.high ?? 0), 6);
      expect(p10?.high).toBeCloseTo(n + 1 - (p90?.low ?? 0), 6);
    }
  });

  it('takes values that depend on each other for fewer, and never leaves the sample', () => {
    const [plain, half] = [interpolatedRanks(100, 0.9), interpolatedRanks(100, 0.9, 50)];
    expect(half?.low).toBeLessThan(plain?.low ?? 0);
    expect(half?.high).toBeGreaterThan(plain?.high ?? 100);
    // As of 50 values, at the same share of the 100.
    expect(half?.low).toBeCloseTo(((interpolatedRanks(50, 0.9)?.low ?? 0) * 101) / 51, 9);
    fc.assert(
      fc.property(fc.integer({min: 29, max: 500}), fc.double({min: 0.5, max: 500, noNaN: true}), (n, effectiveN) => {
        const ranks = interpolatedRanks(n, 0.9, effectiveN);
        expect(ranks?.low).toBeGreaterThanOrEqual(1);
        expect(ranks?.low).toBeLessThan(ranks?.high ?? 0);
        expect(ranks?.high).toBeLessThanOrEqual(n);
      }),
    );
  });
});

describe('orderInterval', () => {
  /** 1 … n, so that neighbours do not resemble each other: the value at a place is the place. */
  const shuffled = (n: number): number[] => Array.from({length: n}, (_, index) => ((index * 27) % n) + 1);

  it('reads the bounds at the places of the ranks', () => {
    const interval = orderInterval([shuffled(64)], 0.9);
    const ranks = interpolatedRanks(64, 0.9);
    // 64 values out of order are worth a few less than 64 independent ones, by chance.
    expect(interval?.low).toBeLessThanOrEqual(ranks?.low ?? 0);
    expect(interval?.high).toBeGreaterThanOrEqual(ranks?.high ?? 65);
    expect(interval?.low).toBeGreaterThan(45);
    expect(interval?.high).toBeLessThanOrEqual(64);
  });

  it('returns a value that all share as it is', () => {
    expect(orderInterval([new Array<number>(40).fill(0.1)], 0.9)).toEqual({low: 0.1, high: 0.1});
  });

  it('says nothing of too few', () => {
    expect(orderInterval([shuffled(28)], 0.9)).toBeNull();
    expect(orderInterval([], 0.9)).toBeNull();
  });
});
