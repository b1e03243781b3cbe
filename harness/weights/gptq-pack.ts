import {F16_VALUES, f16Bits} from './half-float.ts';

export const GPTQ_GROUP = 128;
/** Eight zeros of a symmetric 4-bit matrix: zero point 8, which version 1 of the layout stores less one. */
const SYMMETRIC_ZEROS = 0x7777_7777;
/** Rows packed side by side, so that the transposed words fill whole cache lines. */
const STRIP = 16;

/** The tensors of one linear layer in GPTQ's layout, version 1 (`checkpoint_format: "gptq"`). K = inputs, N = outputs. */
export interface GptqMatrix {
  /** [K/8, N]: eight codes along K in a word, the first in the lowest bits. */
  readonly qweight: Int32Array;
  /** [K/128, N/8] */
  readonly qzeros: Int32Array;
  /** [K/128, N], FP16 bits. */
  readonly scales: Uint16Array;
  /** [K]: the group of each input. */
  readonly groupIndex: Int32Array;
}

/**
 * Rounds to the nearest of 16 levels, per output and group of 128 inputs: scale = 2 · max|w| ÷ 15, code =
 * round(w ÷ scale) + 8, as GPTQ's quantizer does for `sym` before it corrects errors (find_params in AutoGPTQ).
 * @param values FP16 bits, [N, K] as in PyTorch. K a multiple of 128, N of 16.
 */
export function packGptq(values: Uint16Array, outputs: number, inputs: number): GptqMatrix {
  if (inputs % GPTQ_GROUP !== 0 || outputs % STRIP !== 0 || values.length !== outputs * inputs) {
    throw new RangeError(`GPTQ needs inputs in 128s and outputs in 16s: ${outputs} × ${inputs}`);
  }
  const groups = inputs / GPTQ_GROUP;
  const qweight = new Int32Array((inputs / 8) * outputs);
  const scales = new Uint16Array(groups * outputs);
  const inverse = new Float64Array(STRIP);
  for (let row = 0; row < outputs; row += STRIP) {
    for (let group = 0; group < groups; group++) {
      const first = row * inputs + group * GPTQ_GROUP;
      for (let lane = 0; lane < STRIP; lane++) {
        const bits = scaleBits(values, first + lane * inputs);
        scales[group * outputs + row + lane] = bits;
        inverse[lane] = 1 / (F16_VALUES[bits] ?? 1);
      }
      for (let word = 0; word < GPTQ_GROUP / 8; word++) {
        const target = ((group * GPTQ_GROUP) / 8 + word) * outputs + row;
        for (let lane = 0; lane < STRIP; lane++) {
          qweight[target + lane] = packWord(values, first + lane * inputs + 8 * word, inverse[lane] ?? 0);
        }
      }
    }
  }
  return {
    qweight,
    qzeros: new Int32Array((groups * outputs) / 8).fill(SYMMETRIC_ZEROS),
    scales,
    groupIndex: Int32Array.from({length: inputs}, (_, input) => Math.floor(input / GPTQ_GROUP)),
  };
}

function scaleBits(values: Uint16Array, first: number): number {
  // Without the sign bit, halves order like integers.
  let largest = 0;
  for (let index = first; index < first + GPTQ_GROUP; index++) {
    const magnitude = (values[index] ?? 0) & 0x7fff;
    if (magnitude > largest) largest = magnitude;
  }
  const bits = f16Bits((2 * (F16_VALUES[largest] ?? 0)) / 15);
  // A group of zeros: any scale will do but zero.
  return bits === 0 ? ONE : bits;
}

const ONE = 0x3c00;

function packWord(values: Uint16Array, first: number, inverse: number): number {
  let word = 0;
  for (let index = 0; index < 8; index++) {
    const rounded = Math.floor((F16_VALUES[values[first + index] ?? 0] ?? 0) * inverse + 8.5);
    const code = Math.max(0, Math.min(15, rounded));
    word |= code << (4 * index);
  }
  return word;
}
