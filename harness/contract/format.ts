import {z} from 'zod';

/**
 * How the weights are stored. The names are ours (DESIGN §1); `ggml` is the file type that llama.cpp's quantizer
 * writes, with its number in `enum llama_ftype` of llama.h.
 */
export const FORMATS = {
  fp32: {family: 'safetensors', nominalBits: 32},
  bf16: {family: 'safetensors', nominalBits: 16},
  fp16: {family: 'safetensors', nominalBits: 16},
  'gptq-4bit': {family: 'gptq', nominalBits: 4},
  'gguf-f32': {family: 'gguf', nominalBits: 32, ggml: 'F32', ftype: 0},
  'gguf-f16': {family: 'gguf', nominalBits: 16, ggml: 'F16', ftype: 1},
  'gguf-bf16': {family: 'gguf', nominalBits: 16, ggml: 'BF16', ftype: 32},
  'gguf-q8_0': {family: 'gguf', nominalBits: 8, ggml: 'Q8_0', ftype: 7},
  'gguf-q6_k': {family: 'gguf', nominalBits: 6, ggml: 'Q6_K', ftype: 18},
  'gguf-q5_k_m': {family: 'gguf', nominalBits: 5, ggml: 'Q5_K_M', ftype: 17},
  'gguf-q5_k_s': {family: 'gguf', nominalBits: 5, ggml: 'Q5_K_S', ftype: 16},
  'gguf-q5_0': {family: 'gguf', nominalBits: 5, ggml: 'Q5_0', ftype: 8},
  'gguf-q4_k_m': {family: 'gguf', nominalBits: 4, ggml: 'Q4_K_M', ftype: 15},
  'gguf-q4_k_s': {family: 'gguf', nominalBits: 4, ggml: 'Q4_K_S', ftype: 14},
  'gguf-q4_0': {family: 'gguf', nominalBits: 4, ggml: 'Q4_0', ftype: 2},
  'gguf-q4_1': {family: 'gguf', nominalBits: 4, ggml: 'Q4_1', ftype: 3},
  'gguf-iq4_nl': {family: 'gguf', nominalBits: 4, ggml: 'IQ4_NL', ftype: 25},
  'gguf-iq4_xs': {family: 'gguf', nominalBits: 4, ggml: 'IQ4_XS', ftype: 30},
  'gguf-q3_k_l': {family: 'gguf', nominalBits: 3, ggml: 'Q3_K_L', ftype: 13},
  'gguf-q3_k_m': {family: 'gguf', nominalBits: 3, ggml: 'Q3_K_M', ftype: 12},
  'gguf-q3_k_s': {family: 'gguf', nominalBits: 3, ggml: 'Q3_K_S', ftype: 11},
  'gguf-q2_k': {family: 'gguf', nominalBits: 2, ggml: 'Q2_K', ftype: 10},
} as const satisfies Record<string, FormatFacts>;

interface FormatFacts {
  readonly family: 'safetensors' | 'gptq' | 'gguf';
  /** Bits a weight as the name says; the real figure (with scales) is the column `bits_per_weight`. */
  readonly nominalBits: number;
  readonly ggml?: string;
  readonly ftype?: number;
}

export type Format = keyof typeof FORMATS;
export const FORMAT_NAMES = Object.keys(FORMATS) as readonly Format[];
export const FormatSchema = z.enum(FORMAT_NAMES as readonly [Format, ...Format[]]);

/** The 16-bit control of a format, in the same runner family: what a slowdown or speedup is measured against. */
export function controlFormat(format: Format): Format {
  return FORMATS[format].family === 'gguf' ? 'gguf-f16' : 'fp16';
}
