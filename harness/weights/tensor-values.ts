import {createHash} from 'node:crypto';
import {f16Bits} from './half-float.ts';
import type {TensorSpec} from './tensors.ts';

/** The stream of a tensor starts anew every so many values, so that any part of it can be made alone. Even. */
export const VALUES_PER_BLOCK = 65_536;

/**
 * Random FP16 weights of one tensor, the same for every format: seed and name decide, order and neighbours do not.
 * Never infinite or NaN.
 */
export class TensorValues {
  readonly #table: Uint16Array;
  readonly #key: readonly [number, number, number];

  constructor(seed: number, {name, mean, std}: Pick<TensorSpec, 'name' | 'mean' | 'std'>) {
    this.#table = quantileTable(mean, std);
    const digest = createHash('sha256').update(`${seed}\n${name}`).digest();
    this.#key = [digest.readInt32LE(0), digest.readInt32LE(4), digest.readInt32LE(8)];
  }

  /**
   * Writes the values from `first` on, as FP16 bits.
   * @param target Of even length: the generator makes two values at a time.
   * @param first A multiple of {@link VALUES_PER_BLOCK}.
   */
  fill(target: Uint16Array, first: number): void {
    if (first % VALUES_PER_BLOCK !== 0) throw new RangeError(`value ${first} is not the first of a block`);
    if (target.length % 2 !== 0) throw new RangeError(`${target.length} values: only an even number can be made`);
    for (let start = 0; start < target.length; start += VALUES_PER_BLOCK) {
      this.#fillBlock(target.subarray(start, start + VALUES_PER_BLOCK), (first + start) / VALUES_PER_BLOCK);
    }
  }

  /** The whole tensor, as FP16 bits. */
  all(elements: number): Uint16Array {
    const values = new Uint16Array(elements);
    this.fill(values, 0);
    return values;
  }

  /**
   * sfc32 (Chris Doty-Humphrey, PractRand), seeded with key and block number; each draw gives two indices into the
   * table of quantiles.
   */
  #fillBlock(target: Uint16Array, block: number): void {
    const table = this.#table;
    const pairs = new Uint32Array(target.buffer, target.byteOffset, target.length / 2);
    let [a, b, c] = this.#key;
    a ^= block;
    let counter = 1;
    // The first draws still show the key and are thrown away, as the author of the generator advises.
    for (let index = -WARMUP; index < pairs.length; index++) {
      const draw = (((a + b) | 0) + counter) | 0;
      counter = (counter + 1) | 0;
      a = b ^ (b >>> 9);
      b = (c + (c << 3)) | 0;
      c = (((c << 21) | (c >>> 11)) + draw) | 0;
      if (index >= 0) pairs[index] = (table[draw & 0xffff] ?? 0) | ((table[draw >>> 16] ?? 0) << 16);
    }
  }
}

const WARMUP = 15;
const tables = new Map<string, Uint16Array>();

/** 65,536 equally likely values: the quantiles of a normal distribution, rounded to FP16. At most 4.3 σ from the mean. */
function quantileTable(mean: number, std: number): Uint16Array {
  const key = `${mean} ${std}`;
  const known = tables.get(key);
  if (known !== undefined) return known;
  const table = Uint16Array.from({length: 65_536}, (_, index) =>
    f16Bits(mean + std * normalQuantile((index + 0.5) / 65_536)),
  );
  tables.set(key, table);
  return table;
}

/** Inverse of the standard normal distribution, 0 < p < 1, relative error below 1.2e-9 (P. J. Acklam, 2003). */
export function normalQuantile(p: number): number {
  if (p > 0.5) return -normalQuantile(1 - p);
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p));
    return (
      (((((-7.784894002430293e-3 * q - 3.223964580411365e-1) * q - 2.400758277161838) * q - 2.549732539343734) * q +
        4.374664141464968) *
        q +
        2.938163982698783) /
      ((((7.784695709041462e-3 * q + 3.224671290700398e-1) * q + 2.445134137142996) * q + 3.754408661907416) * q + 1)
    );
  }
  const q = p - 0.5;
  const r = q * q;
  return (
    ((((((-3.969683028665376e1 * r + 2.209460984245205e2) * r - 2.759285104469687e2) * r + 1.38357751867269e2) * r -
      3.066479806614716e1) *
      r +
      2.506628277459239) *
      q) /
    (((((-5.447609879822406e1 * r + 1.615858368580409e2) * r - 1.556989798598866e2) * r + 6.680131188771972e1) * r -
      1.328068155288572e1) *
      r +
      1)
  );
}
