import fc from 'fast-check';
import {expect, test} from 'vitest';
import {bf16Bits, F16_VALUES, f16Bits, f16Value} from '../../../harness/weights/half-float.ts';

const FINITE = Array.from({length: 65_536}, (_, bits) => bits).filter((bits) => (bits & 0x7c00) !== 0x7c00);

test('every finite half survives the way to a number and back', () => {
  expect(FINITE.filter((bits) => f16Bits(f16Value(bits)) !== bits)).toEqual([]);
});

test('the table holds the values', () => {
  expect([0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00, 0xfc00].map((bits) => F16_VALUES[bits])).toEqual([
    1,
    -2,
    65_504,
    2 ** -24,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ]);
  expect(F16_VALUES[0x7e00]).toBeNaN();
});

test('a number becomes the nearest half, ties to even', () => {
  fc.assert(
    fc.property(fc.float({min: -65_000, max: 65_000, noNaN: true}), (value) => {
      const bits = f16Bits(value);
      const error = Math.abs(f16Value(bits) - value);
      // Neighbours in the order of magnitudes, whatever the sign.
      const below = (bits & 0x7fff) === 0 ? bits : bits - 1;
      for (const neighbour of [below, bits + 1]) {
        const other = Math.abs(f16Value(neighbour) - value);
        expect(error).toBeLessThanOrEqual(other);
        if (neighbour !== bits && error === other) expect(bits % 2).toBe(0);
      }
    }),
    {numRuns: 2000},
  );
});

test('what is too large becomes infinity, NaN stays NaN', () => {
  expect(f16Value(f16Bits(65_519))).toBe(65_504);
  expect(f16Value(f16Bits(65_520))).toBe(Number.POSITIVE_INFINITY);
  expect(f16Value(f16Bits(-1e30))).toBe(Number.NEGATIVE_INFINITY);
  expect(f16Value(f16Bits(Number.NaN))).toBeNaN();
});

test('bfloat16 rounds the upper half of a float to even', () => {
  expect(
    [1, -2, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20].map((value) => bf16Bits(value).toString(16)),
  ).toEqual(['3f80', 'c000', '3f80', '3f82', '3f81']);
});
