import fc from 'fast-check';
import {expect, test} from 'vitest';
import {indexOfMaximum} from '../../../runners/llama-cpp/maximum.ts';

test('finds the first of the largest values, in arrays of any length', () => {
  fc.assert(
    // Few different values: many of them are equal.
    fc.property(fc.array(fc.integer({min: -3, max: 3}), {minLength: 1, maxLength: 40}), (numbers) => {
      expect(indexOfMaximum(Float32Array.from(numbers))).toBe(numbers.indexOf(Math.max(...numbers)));
    }),
  );
});

test('takes infinities as they are', () => {
  expect(
    indexOfMaximum(
      Float32Array.of(Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY, -5, Number.NEGATIVE_INFINITY, -7),
    ),
  ).toBe(2);
  expect(indexOfMaximum(Float32Array.of(1, 2, 3, 4, Number.POSITIVE_INFINITY, 9))).toBe(4);
});
