import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {tokenTimes} from '../../../../runners/openai-http/token-times.ts';

const counted = (...pairs: [number, number][]) => pairs.map(([atMs, tokensSoFar]) => ({atMs, tokensSoFar}));
const uncounted = (...times: number[]) => times.map((atMs) => ({atMs, tokensSoFar: null}));

describe('tokenTimes', () => {
  test('gives all tokens of a counted piece its time', () => {
    expect(tokenTimes(counted([10, 1], [20, 4], [30, 5]), 5)).toEqual({
      tokenMs: [10, 20, 20, 20, 30],
      grouped: 2,
      exact: true,
    });
  });

  test('takes pieces for tokens when there are as many', () => {
    expect(tokenTimes(uncounted(10, 20, 30), 3)).toEqual({tokenMs: [10, 20, 30], grouped: 0, exact: true});
  });

  test('spreads surplus tokens over the pieces after the first, and chooses among surplus pieces evenly', () => {
    expect(tokenTimes(uncounted(10, 20, 30), 5)).toEqual({
      tokenMs: [10, 20, 20, 30, 30],
      grouped: 2,
      exact: false,
    });
    expect(tokenTimes(uncounted(10, 20, 30, 40, 50), 3).tokenMs).toEqual([10, 30, 50]);
    expect(tokenTimes(uncounted(10), 3).tokenMs).toEqual([10, 10, 10]);
    expect(tokenTimes(uncounted(10, 20), 1).tokenMs).toEqual([10]);
  });

  test('always ascends, from the first piece to the last', () => {
    const times = fc.array(fc.integer({min: 0, max: 1000}), {minLength: 1, maxLength: 30});
    fc.assert(
      fc.property(times, fc.integer({min: 2, max: 60}), (unsorted, total) => {
        const sorted = unsorted.sort((a, b) => a - b);
        const {tokenMs, grouped} = tokenTimes(uncounted(...sorted), total);
        expect(tokenMs).toHaveLength(total);
        expect(tokenMs[0]).toBe(sorted[0]);
        expect(tokenMs.at(-1)).toBe(sorted.at(-1));
        expect([...tokenMs].sort((a, b) => a - b)).toEqual(tokenMs);
        expect(grouped).toBe(Math.max(0, total - sorted.length));
      }),
    );
  });
});
