import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {median, quantile} from '../../../harness/derive/quantile.ts';

const values = fc.array(fc.double({min: -1e9, max: 1e9, noNaN: true}), {minLength: 1, maxLength: 60});

describe('quantile', () => {
  it('is type 7, as R and numpy compute it', () => {
    // numpy.percentile([1, 2, 4, 8], [10, 25, 50, 90]) = [1.3, 1.75, 3, 6.8]
    expect([0.1, 0.25, 0.5, 0.9].map((p) => quantile([8, 1, 4, 2], p))).toEqual([
      expect.closeTo(1.3, 12),
      1.75,
      3,
      expect.closeTo(6.8, 12),
    ]);
  });

  it('gives null of nothing and refuses a p outside 0 … 1', () => {
    expect(median([])).toBeNull();
    expect(() => quantile([1], 1.5)).toThrow(RangeError);
    expect(() => quantile([1], Number.NaN)).toThrow(RangeError);
  });

  it('stays within the values, grows with p and does not depend on their order', () => {
    fc.assert(
      fc.property(
        values,
        fc.double({min: 0, max: 1, noNaN: true}),
        fc.double({min: 0, max: 1, noNaN: true}),
        (x, a, b) => {
          const [p, q] = [Math.min(a, b), Math.max(a, b)];
          const low = quantile(x, p) ?? Number.NaN;
          const high = quantile(x, q) ?? Number.NaN;
          expect(low).toBeGreaterThanOrEqual(Math.min(...x));
          expect(high).toBeLessThanOrEqual(Math.max(...x));
          expect(low).toBeLessThanOrEqual(high + Math.abs(high) * 1e-12);
          expect(quantile([...x].reverse(), p)).toBe(quantile(x, p));
        },
      ),
    );
  });
});
