import type {Caveat} from '../contract/caveats.ts';
import type {CellSettings} from '../contract/cell.ts';

/** Size of one element of the KV cache, relative to 16 bit: q8_0 is 34 bytes for 32 values, q4_0 18 bytes. */
const KV_SCALE = {f16: 1, bf16: 1, f32: 2, q8_0: 34 / 64, q4_0: 18 / 64} as const;

/**
 * Bytes that one decode step reads, on average over the generated tokens:
 *
 *     weights + batch × KV bytes per position × mean number of positions
 *
 * Weights are read once per step, whatever the batch. `weightsPerToken` leaves out the input embedding where it is a
 * table of its own (one row of it is looked up), and has it where it is tied to the output matrix (then all of it is
 * multiplied). The KV cache of all positions so far is read in every step: with P prompt and G generated tokens the
 * steps after the first see P + 1 … P + G − 1 positions, P + G ÷ 2 on average. A sliding window is not considered.
 */
export function bytesPerStep({
  weightsPerToken,
  kvBytesPerPosition,
  kvType,
  batch,
  promptTokens,
  generatedTokens,
}: {
  readonly weightsPerToken: number;
  /** At 16 bit, per sequence. */
  readonly kvBytesPerPosition: number;
  readonly kvType: CellSettings['kvType'];
  readonly batch: number;
  readonly promptTokens: number;
  readonly generatedTokens: number;
}): number {
  const kv = kvBytesPerPosition * KV_SCALE[kvType] * (promptTokens + generatedTokens / 2);
  return weightsPerToken + batch * kv;
}

/** Share of the memory bandwidth that decoding used: 1 is the roofline. */
export function bandwidthRatio(
  stepsPerS: number | null,
  bytes: number | null,
  bandwidth: number | null,
): number | null {
  if (stepsPerS === null || bytes === null || bandwidth === null || bandwidth <= 0) return null;
  return (stepsPerS * bytes) / bandwidth;
}

/**
 * Why the share of the bandwidth is not to be read as a share of the roofline: all that a step reads lies in the cache, or
 * more than the measured bandwidth seems to have been used.
 *
 * @param cacheBytes Last-level cache of the device; null when unknown.
 */
export function rooflineCaveats(ratio: number | null, bytes: number | null, cacheBytes: number | null): Caveat[] {
  if (ratio === null || bytes === null) return [];
  if (cacheBytes !== null && bytes <= cacheBytes) {
    return [{code: 'in-cache', value: `${Math.round(bytes)}/${Math.round(cacheBytes)}`}];
  }
  return ratio > 1 ? [{code: 'above-roofline', value: ratio.toFixed(2)}] : [];
}
