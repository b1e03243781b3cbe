import type {Architecture} from '../contract/architecture.ts';
import type {MetadataValue, TensorEntry} from './gguf-encoder.ts';
import {listTensors, type TensorSpec} from './tensors.ts';
import {makeVocabulary} from './vocabulary.ts';

const F32 = 0;
const F16 = 1;

/** A tensor of a GGUF file and where its values come from: random ones, or the frequency factors of llama3 RoPE. */
export interface GgufTensor extends TensorEntry {
  readonly source: TensorSpec | 'rope-factors';
}

/** Tensors as llama.cpp's converter names and types them at 16 bit: matrices in F16, vectors in F32. */
export function ggufTensors(architecture: Architecture): readonly GgufTensor[] {
  const tensors = listTensors(architecture).map((source): GgufTensor => {
    const ggmlType = source.shape.length === 1 ? F32 : F16;
    return {
      name: source.gguf.name,
      dimensions: source.shape.toReversed(),
      ggmlType,
      bytes: source.elements * (ggmlType === F32 ? 4 : 2),
      source,
    };
  });
  if (architecture.ropeScaling === null) return tensors;
  const factors = architecture.headDim / 2;
  return [
    {name: 'rope_freqs.weight', dimensions: [factors], ggmlType: F32, bytes: 4 * factors, source: 'rope-factors'},
    ...tensors,
  ];
}

/**
 * Division factors of the rotary frequencies: long waves are stretched by `factor`, short ones stay, those between are
 * blended (generate_extra_tensors of LlamaModel in llama.cpp's converter).
 */
export function ropeFactors({ropeScaling, ropeTheta, headDim}: Architecture): Float32Array {
  const factors = new Float32Array(headDim / 2).fill(1);
  if (ropeScaling === null) return factors;
  const {factor, lowFreqFactor, highFreqFactor, originalContext} = ropeScaling;
  return factors.map((_, index) => {
    const wavelength = 2 * Math.PI * ropeTheta ** ((2 * index) / headDim);
    if (wavelength < originalContext / highFreqFactor) return 1;
    if (wavelength > originalContext / lowFreqFactor) return factor;
    const smooth = (originalContext / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

/** All keys that llama.cpp wants to load the model and its tokenizer without a warning, and two of our own. */
export function ggufMetadata(architecture: Architecture, seed: number): ReadonlyMap<string, MetadataValue> {
  const {family} = architecture;
  const vocabulary = makeVocabulary(architecture.vocabSize);
  const u32 = (value: number): MetadataValue => ({type: 'u32', value});
  const f32 = (value: number): MetadataValue => ({type: 'f32', value});
  const string = (value: string): MetadataValue => ({type: 'string', value});
  const entries: [string, MetadataValue][] = [
    ['general.architecture', string(family)],
    ['general.type', string('model')],
    ['general.name', string(`${architecture.title} (random weights)`)],
    ['general.description', string(`Random weights of the exact shape of ${architecture.title}, seed ${seed}.`)],
    ['general.file_type', u32(1)],
    ['general.quantization_version', u32(2)],
    ['bench.architecture', string(architecture.name)],
    ['bench.seed', {type: 'u64', value: seed}],
    [`${family}.block_count`, u32(architecture.layers)],
    [`${family}.context_length`, u32(architecture.contextLength)],
    [`${family}.embedding_length`, u32(architecture.hiddenSize)],
    [`${family}.feed_forward_length`, u32(architecture.intermediateSize)],
    [`${family}.attention.head_count`, u32(architecture.heads)],
    [`${family}.attention.head_count_kv`, u32(architecture.kvHeads)],
    [`${family}.attention.key_length`, u32(architecture.headDim)],
    [`${family}.attention.value_length`, u32(architecture.headDim)],
    [
      family === 'phi2' ? 'phi2.attention.layer_norm_epsilon' : `${family}.attention.layer_norm_rms_epsilon`,
      f32(architecture.normEpsilon),
    ],
    [`${family}.rope.freq_base`, f32(architecture.ropeTheta)],
    [`${family}.rope.dimension_count`, u32(Math.round(architecture.partialRotary * architecture.headDim))],
    [`${family}.vocab_size`, u32(architecture.vocabSize)],
    ['tokenizer.ggml.model', string('gpt2')],
    ['tokenizer.ggml.pre', string('llama-bpe')],
    ['tokenizer.ggml.tokens', {type: 'strings', value: vocabulary.tokens}],
    [
      'tokenizer.ggml.token_type',
      {type: 'i32s', value: vocabulary.tokens.map((_, id) => (id < vocabulary.firstSpecial ? NORMAL : CONTROL))},
    ],
    ['tokenizer.ggml.merges', {type: 'strings', value: vocabulary.merges}],
    ['tokenizer.ggml.bos_token_id', u32(vocabulary.beginToken)],
    ['tokenizer.ggml.eos_token_id', u32(vocabulary.endToken)],
    ['tokenizer.ggml.add_bos_token', {type: 'bool', value: true}],
  ];
  // Of our families only Gemma 3's graph has a window in llama.cpp; its converter drops Mistral 7B v0.1's.
  if (family === 'gemma3' && architecture.slidingWindow !== null) {
    entries.push(['gemma3.attention.sliding_window', u32(architecture.slidingWindow)]);
  }
  return new Map(entries);
}

/** `enum llama_token_type` in llama.h. */
const NORMAL = 1;
const CONTROL = 3;
