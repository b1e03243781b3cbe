import type {Architecture} from '../contract/architecture.ts';
import {FORMATS, type Format} from '../contract/format.ts';
import type {WeightsEstimate} from '../contract/weights.ts';
import {bytesPerToken, parametersOf, type TensorBytes, weightsBytesOf} from './artifact.ts';
import {listTensors, type TensorSpec} from './tensors.ts';

/**
 * Bits a weight of the matrices in the blocks. Plain types are exact (ggml.h); a mixture's is its mean over Llama-3.2-1B
 * as llama.cpp's quantizer chose its tensors, and moves by some percent with the shape of a model.
 */
const BLOCK_BITS: Readonly<Record<Format, number>> = {
  fp32: 32,
  bf16: 16,
  fp16: 16,
  // 4 bits, and per group of 128: an FP16 scale and a 4-bit zero.
  'gptq-4bit': 4 + 20 / 128,
  'gguf-f32': 32,
  'gguf-f16': 16,
  'gguf-bf16': 16,
  'gguf-q8_0': 8.5,
  'gguf-q6_k': 6.5625,
  'gguf-q5_k_m': 5.66,
  'gguf-q5_k_s': 5.5,
  'gguf-q5_0': 5.5,
  'gguf-q4_k_m': 4.8,
  'gguf-q4_k_s': 4.55,
  'gguf-q4_0': 4.5,
  'gguf-q4_1': 5,
  'gguf-iq4_nl': 4.5,
  'gguf-iq4_xs': 4.3,
  'gguf-q3_k_l': 4.15,
  'gguf-q3_k_m': 3.84,
  'gguf-q3_k_s': 3.44,
  'gguf-q2_k': 2.9,
};

/** Bits a weight of one tensor in a format. Norms and biases stay F32 in GGUF. */
function bitsOf(tensor: TensorSpec, format: Format, tied: boolean): number {
  const {family} = FORMATS[format];
  const block = BLOCK_BITS[format];
  switch (tensor.kind) {
    case 'norm':
    case 'bias':
      return family === 'gguf' ? 32 : family === 'gptq' ? 16 : block;
    case 'linear':
      return block;
    case 'embedding':
    case 'head':
      if (family === 'gptq') return 16;
      if (family === 'safetensors' || block >= 8) return block;
      // llama.cpp keeps the output head, and the table when it is the head, at Q6_K.
      return tensor.kind === 'head' || tied ? 6.5625 : block;
  }
}

/** The tensors of an architecture in a format, by their expected bytes. */
function expectedTensors(architecture: Architecture, format: Format): TensorBytes[] {
  const tensors: TensorBytes[] = listTensors(architecture).map((tensor) => ({
    name: tensor.name,
    parameters: tensor.elements,
    bytes: Math.ceil((tensor.elements * bitsOf(tensor, format, architecture.tiedEmbeddings)) / 8),
    read: tensor.kind === 'embedding' ? 'row' : 'all',
    rows: tensor.kind === 'embedding' ? architecture.vocabSize : 1,
  }));
  if (FORMATS[format].family === 'gguf' && architecture.ropeScaling !== null) {
    // The factors of the scaled rotary embedding are a small F32 tensor in GGUF; no weights.
    tensors.push({name: 'rope_freqs.weight', parameters: 0, bytes: architecture.headDim * 2, read: 'all', rows: 1});
  }
  return tensors;
}

/** Disk above the tensors: headers, vocabulary, and the file system's own. */
const DISK_MARGIN = 1.02;
const HEADER_BYTES = 16 * 1024 * 1024;

export function diskBytes(weightsBytes: number): number {
  return Math.ceil(weightsBytes * DISK_MARGIN) + HEADER_BYTES;
}

/** Expected bytes of a quantized file, for the check of free disk. */
export function quantizedBytes(parameters: number, format: Format): number {
  // The head at 6.56 bits is what lifts the mean of small models most.
  return diskBytes((parameters * Math.max(BLOCK_BITS[format], Math.min(16, BLOCK_BITS[format] + 1.5))) / 8);
}

/** Rough: random values 100 MB/s, Q8_0 100 million weights a second, K-quants 20, on two cores. */
export function secondsToMake(parameters: number, format: Format, baseMissing: boolean): number {
  const base = baseMissing ? (2 * parameters) / 100e6 : 0;
  if (FORMATS[format].family !== 'gguf') return (parameters * BLOCK_BITS[format]) / 8 / 100e6;
  if (format === 'gguf-f16') return base;
  return base + parameters / (BLOCK_BITS[format] >= 8 ? 100e6 : 20e6);
}

/** What a synthetic model will be, from its architecture alone: bytes within about 5 % for mixtures, exact for plain types. */
export function expectedModel(
  architecture: Architecture,
  format: Format,
): Omit<WeightsEstimate, 'diskBytesNeeded' | 'secondsNeeded'> {
  const tensors = expectedTensors(architecture, format);
  return {
    weightsBytes: weightsBytesOf(tensors),
    parameters: parametersOf(tensors),
    bytesPerToken: bytesPerToken({tensors, tied: architecture.tiedEmbeddings, expertShare: 1}),
    kvBytesPerToken: architecture.layers * architecture.kvHeads * architecture.headDim * 2 * 2,
  };
}
