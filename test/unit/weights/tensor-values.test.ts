import {expect, test} from 'vitest';
import {F16_VALUES} from '../../../harness/weights/half-float.ts';
import {normalQuantile, TensorValues, VALUES_PER_BLOCK} from '../../../harness/weights/tensor-values.ts';

const TENSOR = {name: 'model.layers.0.mlp.up_proj.weight', mean: 0, std: 0.02};
const valuesOf = (bits: Uint16Array) => Array.from(bits, (value) => F16_VALUES[value] ?? Number.NaN);
const mean = (numbers: readonly number[]) => numbers.reduce((sum, value) => sum + value, 0) / numbers.length;

test('the same seed and name give the same values, another seed or name others', () => {
  const first = new TensorValues(1, TENSOR).all(1000);
  expect(new TensorValues(1, TENSOR).all(1000)).toEqual(first);
  expect(new TensorValues(2, TENSOR).all(1000)).not.toEqual(first);
  expect(new TensorValues(1, {...TENSOR, name: 'other'}).all(1000)).not.toEqual(first);
});

test('the first values of seed 1 are the ones of every release', () => {
  expect([...new TensorValues(1, TENSOR).all(8)].map((bits) => bits.toString(16)).join(' ')).toMatchInlineSnapshot(
    `"1fc6 2406 9e3c 215d 99e2 a4c0 11bb 1dec"`,
  );
});

test('any block can be made alone', () => {
  const values = new TensorValues(7, TENSOR);
  const whole = values.all(3 * VALUES_PER_BLOCK);
  const part = new Uint16Array(1000);
  values.fill(part, 2 * VALUES_PER_BLOCK);
  expect(part).toEqual(whole.subarray(2 * VALUES_PER_BLOCK, 2 * VALUES_PER_BLOCK + 1000));
  expect(() => values.fill(part, 5)).toThrow(RangeError);
  expect(() => values.all(3)).toThrow(RangeError);
});

test('values are finite and normal with the mean and deviation asked for', () => {
  const numbers = valuesOf(new TensorValues(3, {...TENSOR, mean: 1, std: 0.1}).all(400_000));
  expect(numbers.every(Number.isFinite)).toBe(true);
  const centre = mean(numbers);
  const deviation = Math.sqrt(mean(numbers.map((value) => (value - centre) ** 2)));
  const kurtosis = mean(numbers.map((value) => ((value - centre) / deviation) ** 4));
  // Six standard errors of each moment at this number of values.
  expect(centre).toBeCloseTo(1, 2);
  expect(Math.abs(deviation / 0.1 - 1)).toBeLessThan(0.007);
  expect(Math.abs(kurtosis - 3)).toBeLessThan(0.05);
});

test('neighbours, blocks and tensors are not correlated', () => {
  const left = valuesOf(new TensorValues(3, TENSOR).all(2 * VALUES_PER_BLOCK));
  const right = valuesOf(new TensorValues(3, {...TENSOR, name: 'other'}).all(2 * VALUES_PER_BLOCK));
  const correlation = (a: readonly number[], b: readonly number[]) =>
    mean(b.map((value, index) => (value * (a[index] ?? 0)) / TENSOR.std ** 2));
  const bound = 6 / Math.sqrt(VALUES_PER_BLOCK);
  expect(Math.abs(correlation(left, right))).toBeLessThan(bound);
  expect(Math.abs(correlation(left, left.slice(1)))).toBeLessThan(bound);
  expect(Math.abs(correlation(left, left.slice(VALUES_PER_BLOCK)))).toBeLessThan(bound);
});

test('quantiles of the normal distribution are the known ones', () => {
  expect(normalQuantile(0.5)).toBe(0);
  expect(normalQuantile(0.975)).toBeCloseTo(1.959963984540054, 7);
  expect(normalQuantile(0.001)).toBeCloseTo(-3.090232306167813, 7);
});
