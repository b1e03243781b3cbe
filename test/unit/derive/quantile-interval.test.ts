import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {orderInterval} from '../../../harness/derive/order-interval.ts';
import {quantile} from '../../../harness/derive/quantile.ts';
import {quantileInterval} from '../../../harness/derive/quantile-interval.ts';
import {toleranceFactors} from '../../../harness/derive/tolerance-factor.ts';

/** Twenty values, 100 … 119, out of order, times a factor. */
const around = (factor: number): number[] =>
  Array.from({length: 20}, (_, index) => factor * (100 + ((index * 7) % 20)));
const same = (log: number): number[] => new Array<number>(12).fill(Math.exp(log));

describe('quantileInterval', () => {
  it('is the interval of order statistics when rounds agree, and of one round', () => {
    const rounds = [around(1), around(1), around(1)];
    expect(quantileInterval(rounds, 0.9)).toEqual(orderInterval(rounds, 0.9));
    const one = [around(1).concat(around(1))];
    expect(quantileInterval(one, 0.9)).toEqual(orderInterval(one, 0.9));
  });

  it('takes rounds for single values when nothing but rounds differs', () => {
    const interval = quantileInterval([same(0), same(0.1), same(0.2)], 0.9);
    const {high} = toleranceFactors(3, 0.9, 0.95);
    expect(Math.log(interval?.high ?? 0)).toBeCloseTo(0.1 + high * 0.1, 9);
  });

  it('holds the p90 of the requests that were measured', () => {
    // Of three values, the lower bound of the p90 of their distribution lies near their mean; here the mean is 0.1.
    const interval = quantileInterval([same(0), same(0.1), same(0.2)], 0.9);
    expect(Math.log(interval?.low ?? 1)).toBeLessThan(0.2);
    expect(Math.log(interval?.low ?? 0)).toBeGreaterThan(0.1);
  });

  it('widens with what rounds differ, more above than below', () => {
    const interval = (step: number) => quantileInterval([around(1 - step), around(1), around(1 + step)], 0.9);
    const [agree, some, more] = [interval(0), interval(0.05), interval(0.2)];
    expect(some?.high).toBeGreaterThan(agree?.high ?? 0);
    expect(more?.high).toBeGreaterThan(some?.high ?? 0);
    expect(some?.low).toBeLessThan(agree?.low ?? 0);
    const value = quantile([around(0.8), around(1), around(1.2)].flat(), 0.9) ?? 0;
    expect((more?.high ?? 0) / value).toBeGreaterThan(value / (more?.low ?? 1));
  });

  it('is not deceived by one outlier: rounds still differ', () => {
    const rounds = [around(0.8), around(1), around(1.2)];
    const spoiled = [around(0.8), [...around(1).slice(1), 1e6], around(1.2)];
    const [plain, odd] = [quantileInterval(rounds, 0.9), quantileInterval(spoiled, 0.9)];
    expect((odd?.high ?? 0) / (plain?.high ?? 1)).toBeGreaterThan(0.8);
    expect((odd?.high ?? 0) / (plain?.high ?? 1)).toBeLessThan(1.3);
  });

  it('narrows with rounds: five tell more than three', () => {
    const [three, five] = [
      quantileInterval([same(0), same(0.1), same(0.2)], 0.9),
      quantileInterval([same(0), same(0.05), same(0.1), same(0.15), same(0.2)], 0.9),
    ];
    expect(five?.high).toBeLessThan(three?.high ?? 0);
  });

  it('supposes nothing of the rounds from 29 on', () => {
    // Rounds that differ by nothing but one that is slowed a lot: a normal law would reach far beyond all others.
    const rounds = Array.from({length: 60}, (_, index) => same(index === 7 ? 3 : 0.001 * index));
    const interval = quantileInterval(rounds, 0.9);
    expect(Math.log(interval?.high ?? 9)).toBeLessThan(0.06);
    expect(Math.log(interval?.low ?? 0)).toBeGreaterThan(0.045);
    const few = quantileInterval(rounds.slice(0, 28), 0.9);
    expect(Math.log(few?.high ?? 0)).toBeGreaterThan(0.3);
  });

  it('says nothing below 29 values', () => {
    expect(quantileInterval([around(1).slice(0, 14), around(1).slice(0, 14)], 0.9)).toBeNull();
    expect(quantileInterval([], 0.9)).toBeNull();
  });

  const rounds = fc.array(fc.array(fc.integer({min: 1, max: 1e6}), {minLength: 8, maxLength: 30}), {
    minLength: 4,
    maxLength: 6,
  });
  it('holds the quantile, and scales with the values', () => {
    fc.assert(
      fc.property(rounds, fc.integer({min: -10, max: 10}), (values, exponent) => {
        const interval = quantileInterval(values, 0.9);
        const value = quantile(values.flat(), 0.9) ?? 0;
        expect(interval?.low).toBeLessThanOrEqual(value);
        expect(interval?.high).toBeGreaterThanOrEqual(value);
        const scaled = quantileInterval(
          values.map((one) => one.map((each) => each * 2 ** exponent)),
          0.9,
        );
        expect((scaled?.high ?? 0) / (interval?.high ?? 1) / 2 ** exponent).toBeCloseTo(1, 6);
        expect((scaled?.low ?? 0) / (interval?.low ?? 1) / 2 ** exponent).toBeCloseTo(1, 6);
      }),
    );
  });
});
