import {expect, test} from 'vitest';
import {GPTQ_GROUP, packGptq} from '../../../harness/weights/gptq-pack.ts';
import {F16_VALUES, f16Bits} from '../../../harness/weights/half-float.ts';
import {TensorValues} from '../../../harness/weights/tensor-values.ts';

const OUTPUTS = 48;
const INPUTS = 384;
const values = new TensorValues(1, {name: 'w', mean: 0, std: 0.05}).all(OUTPUTS * INPUTS);
const packed = packGptq(values, OUTPUTS, INPUTS);
const weight = (output: number, input: number) => F16_VALUES[values[output * INPUTS + input] ?? 0] ?? 0;

/** As a GPTQ kernel reads it: W[k][n] = scale[g_idx[k]][n] × (code − (zero + 1)). */
function unpack(output: number, input: number): {scale: number; code: number; value: number} {
  const group = packed.groupIndex[input] ?? -1;
  const word = packed.qweight[Math.floor(input / 8) * OUTPUTS + output] ?? 0;
  const zeroWord = packed.qzeros[group * (OUTPUTS / 8) + Math.floor(output / 8)] ?? 0;
  const code = (word >>> (4 * (input % 8))) & 15;
  const zero = ((zeroWord >>> (4 * (output % 8))) & 15) + 1;
  const scale = F16_VALUES[packed.scales[group * OUTPUTS + output] ?? 0] ?? 0;
  return {scale, code, value: scale * (code - zero)};
}

test('unpacked weights are the nearest of sixteen levels', () => {
  let worst = 0;
  for (let output = 0; output < OUTPUTS; output++) {
    for (let input = 0; input < INPUTS; input++) {
      const {scale, value} = unpack(output, input);
      const levels = Array.from({length: 16}, (_, code) => scale * (code - 8));
      const nearest = Math.min(...levels.map((level) => Math.abs(level - weight(output, input))));
      worst = Math.max(worst, (Math.abs(value - weight(output, input)) - nearest) / scale);
    }
  }
  expect(worst).toBeLessThan(1e-9);
});

test('the scale of a group is twice its largest weight over fifteen, in FP16', () => {
  const largest = Math.max(...Array.from({length: GPTQ_GROUP}, (_, index) => Math.abs(weight(5, GPTQ_GROUP + index))));
  expect(packed.scales[OUTPUTS + 5]).toBe(f16Bits((2 * largest) / 15));
});

test('the parts have the shapes and the constants of version 1', () => {
  expect([packed.qweight, packed.qzeros, packed.scales, packed.groupIndex].map(({length}) => length)).toEqual([
    (INPUTS / 8) * OUTPUTS,
    (INPUTS / 128) * (OUTPUTS / 8),
    (INPUTS / 128) * OUTPUTS,
    INPUTS,
  ]);
  expect(new Set(packed.qzeros)).toEqual(new Set([2_004_318_071]));
  expect([...packed.groupIndex].filter((_, index) => index % 64 === 0)).toEqual([0, 0, 1, 1, 2, 2]);
});

test('a group of zeros stays zero', () => {
  const zeros = packGptq(new Uint16Array(16 * 128), 16, 128);
  expect(new Set(zeros.qweight)).toEqual(new Set([0x8888_8888 | 0]));
  expect(new Set(zeros.scales)).toEqual(new Set([f16Bits(1)]));
});

test('shapes that the layout cannot hold are refused', () => {
  expect(() => packGptq(new Uint16Array(16 * 100), 16, 100)).toThrow(RangeError);
});
