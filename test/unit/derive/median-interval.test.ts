import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {hierarchicalBootstrap, medianBootstrapVariance} from '../../../harness/derive/bootstrap.ts';
import {effectiveSampleSize, varianceInflation} from '../../../harness/derive/effective-sample-size.ts';
import {medianInterval} from '../../../harness/derive/median-interval.ts';
import {orderInterval} from '../../../harness/derive/order-interval.ts';
import {normal, seededRandom} from '../../../harness/derive/random.ts';

describe('medianBootstrapVariance', () => {
  it('is what all resamples of three values give', () => {
    // Of 27 resamples of (0, 1, 10) the median is 0 in 7, 1 in 13, 10 in 7: mean 83/27, variance of that table.
    const mean = (7 * 0 + 13 * 1 + 7 * 10) / 27;
    const expected = (7 * mean ** 2 + 13 * (1 - mean) ** 2 + 7 * (10 - mean) ** 2) / 27;
    expect(medianBootstrapVariance([10, 0, 1])).toBeCloseTo(expected, 12);
  });

  it('is 0 of equal values and of one', () => {
    expect(medianBootstrapVariance([5, 5, 5, 5])).toBe(0);
    expect(medianBootstrapVariance([5])).toBe(0);
  });
});

describe('medianInterval', () => {
  it('rests on Student’s t over rounds when the rounds differ', () => {
    // Round medians e^0, e^0.1, e^0.2 without spread inside: half = t · 0.1 ÷ √3. For 2 degrees of freedom
    // t has a closed form: c·√(2/(1 − c²)), 4.0861 for c = 94.5 %.
    const rounds = [0, 0.1, 0.2].map((log) => new Array<number>(9).fill(Math.exp(log)));
    const interval = medianInterval(rounds);
    const half = (0.945 * Math.sqrt(2 / (1 - 0.945 ** 2)) * 0.1) / Math.sqrt(3);
    expect(Math.log(interval?.low ?? 0)).toBeCloseTo(0.1 - half, 4);
    expect(Math.log(interval?.high ?? 0)).toBeCloseTo(0.1 + half, 4);
  });

  it('does not feign precision when rounds agree by luck', () => {
    const values = [90, 95, 99, 100, 101, 105, 110];
    const interval = medianInterval([values, values, values]);
    expect((interval?.high ?? 0) / (interval?.low ?? 1)).toBeGreaterThan(1.01);
  });

  it('is the interval of order statistics for one round, and null below 6 values', () => {
    const values = [6, 2, 3, 4, 5, 1];
    expect(medianInterval([values])).toEqual(orderInterval([values], 0.5));
    expect(medianInterval([values])?.low).toBeGreaterThanOrEqual(1);
    expect(medianInterval([values])?.high).toBeLessThanOrEqual(6);
    expect(medianInterval([[1, 2, 3, 4, 5]])).toBeNull();
    expect(medianInterval([])).toBeNull();
    expect(medianInterval([[]])).toBeNull();
  });

  it('is that of order statistics over the rounds from six rounds on, whatever lies within them', () => {
    const medians = [103, 100, 108, 101, 99, 104];
    const rounds = medians.map((value) => [value * 0.5, value, value * 3]);
    expect(medianInterval(rounds)).toEqual(
      orderInterval(
        medians.map((value) => [value]),
        0.5,
      ),
    );
    // One round that stood still moves an end as far as its neighbour at most.
    const spoiled = [...rounds.slice(0, 5), [1e4, 1e4, 1e4]];
    expect(medianInterval([...spoiled, ...rounds])?.high).toBeLessThan(109);
  });

  it('says nothing of values that have no logarithm', () => {
    expect(medianInterval([[0, 1, 2, 3, 4, 5, 6]])).toBeNull();
  });

  const round = fc.array(fc.integer({min: 1, max: 1e6}), {minLength: 3, maxLength: 30});
  const rounds = fc.array(round, {minLength: 2, maxLength: 5});
  it('holds the median, and scales with the values', () => {
    fc.assert(
      fc.property(rounds, fc.integer({min: -10, max: 10}), (values, exponent) => {
        const factor = 2 ** exponent;
        const interval = medianInterval(values);
        const scaled = medianInterval(values.map((one) => one.map((value) => value * factor)));
        expect(interval?.low).toBeLessThanOrEqual((interval?.high ?? 0) * (1 + 1e-12));
        expect((scaled?.low ?? 0) / (interval?.low ?? 1) / factor).toBeCloseTo(1, 6);
      }),
    );
  });

  it('does not depend on the order of the rounds', () => {
    fc.assert(
      fc.property(rounds, (values) => {
        const [a, b] = [medianInterval(values), medianInterval([...values].reverse())];
        expect((a?.low ?? 0) / (b?.low ?? 1)).toBeCloseTo(1, 9);
      }),
    );
  });
});

describe('effectiveSampleSize', () => {
  it('is near n for independent values and near n(1 − ρ)/(1 + ρ) of the signs of an AR(1) process', () => {
    const random = seededRandom(3);
    const white = Array.from({length: 4000}, () => normal(random));
    let at = 0;
    const ar = white.map((value) => {
      at = 0.6 * at + 0.8 * value;
      return at;
    });
    // The signs of a Gaussian AR(1) with 0.6 correlate with (2/π)·asin(0.6) = 0.41.
    expect(varianceInflation([white])).toBeLessThan(1.1);
    expect(varianceInflation([ar])).toBeGreaterThan(2.1);
    expect(varianceInflation([ar])).toBeLessThan(2.7);
    expect(effectiveSampleSize([ar])).toBeLessThan(4000 / 2.1);
  });

  it('rewards no alternation', () => {
    expect(varianceInflation([[1, 9, 1, 9, 1, 9, 1, 9, 1, 9]])).toBe(1);
  });
});

describe('hierarchicalBootstrap', () => {
  it('gives the same interval for the same seed', () => {
    const rounds = [
      [1, 2, 3, 4],
      [2, 3, 4, 5],
    ];
    const interval = hierarchicalBootstrap(rounds, {seed: 1, resamples: 200});
    expect(hierarchicalBootstrap(rounds, {seed: 1, resamples: 200})).toEqual(interval);
    expect(interval?.low).toBeGreaterThanOrEqual(1);
    expect(interval?.high).toBeLessThanOrEqual(5);
  });
});
