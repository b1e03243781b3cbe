import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {trimmedMean} from '../../../harness/derive/trimmed-mean.ts';

describe('trimmedMean', () => {
  it('is the published example: Wilcox, Introduction to Robust Estimation, self-awareness data', () => {
    // A 20 % trimmed mean of 283 with a standard error of 56.1. His error is the Winsorized standard deviation ÷ (0.6 √n),
    // as if 11.4 of the 19 were left; Yuen's counts the 13 that are.
    const values = [77, 87, 88, 114, 151, 210, 219, 246, 253, 262, 296, 299, 306, 376, 428, 515, 666, 1310, 2611];
    const {mean, variance, df} = trimmedMean(values);
    expect(mean).toBeCloseTo(282.69, 2);
    expect(df).toBe(12);
    const winsorized = Math.sqrt((variance * 13 * 12) / 18);
    expect(winsorized / (0.6 * Math.sqrt(19))).toBeCloseTo(56.1, 1);
  });

  it('hardly moves where one value in ten is far off', () => {
    const values = [0.01, -0.02, 0.015, -0.005, 0, 0.02, -0.01, 0.005, -0.015, 0.012];
    const spoiled = [...values.slice(0, 9), 5];
    expect(Math.abs(trimmedMean(spoiled).mean - trimmedMean(values).mean)).toBeLessThan(0.005);
    expect(trimmedMean(spoiled).variance).toBeLessThan(3 * trimmedMean(values).variance);
  });

  it('moves with its values, turns with their sign, and does not depend on their order', () => {
    const values = fc.array(fc.double({min: -10, max: 10, noNaN: true}), {minLength: 10, maxLength: 40});
    fc.assert(
      fc.property(values, fc.double({min: -5, max: 5, noNaN: true}), (list, by) => {
        const plain = trimmedMean(list);
        const moved = trimmedMean(list.map((value) => value + by));
        expect(moved.mean).toBeCloseTo(plain.mean + by, 9);
        expect(moved.variance).toBeCloseTo(plain.variance, 9);
        const turned = trimmedMean(list.map((value) => -value).reverse());
        expect(turned.mean).toBeCloseTo(-plain.mean, 9);
        expect(turned.variance).toBeCloseTo(plain.variance, 9);
      }),
    );
  });
});
