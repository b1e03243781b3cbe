import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import type {Architecture} from '../contract/architecture.ts';
import {asFileError} from './file-errors.ts';
import {makeVocabulary, type Vocabulary} from './vocabulary.ts';

export type CheckpointDtype = 'float32' | 'bfloat16' | 'float16';

/** Llama 3's pattern, which `llama-bpe` of llama.cpp follows: a text gives the same tokens in both layouts. */
const SPLIT =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** config.json, generation_config.json and the tokenizer, as AutoModel and AutoTokenizer look for them. */
export async function writeHuggingFaceFiles(
  folder: string,
  architecture: Architecture,
  dtype: CheckpointDtype,
  extraConfig: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const vocabulary = makeVocabulary(architecture.vocabSize);
  const config = {...huggingFaceConfig(architecture, dtype, vocabulary), ...extraConfig};
  await writeJson(join(folder, 'config.json'), config);
  await writeJson(join(folder, 'generation_config.json'), {
    bos_token_id: vocabulary.beginToken,
    eos_token_id: vocabulary.endToken,
    do_sample: false,
  });
  await writeJson(join(folder, 'tokenizer.json'), tokenizer(vocabulary));
  await writeJson(join(folder, 'tokenizer_config.json'), {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: vocabulary.tokens[vocabulary.beginToken],
    eos_token: vocabulary.tokens[vocabulary.endToken],
    model_max_length: architecture.contextLength,
    clean_up_tokenization_spaces: false,
  });
}

export async function writeJson(path: string, value: unknown): Promise<void> {
  try {
    await writeFile(path, `${JSON.stringify(value, null, 1)}\n`);
  } catch (error) {
    throw asFileError(error, path);
  }
}

/** The config.json of transformers for this shape, with the key names of the public checkpoints. */
export function huggingFaceConfig(
  architecture: Architecture,
  dtype: CheckpointDtype,
  {beginToken, endToken}: Pick<Vocabulary, 'beginToken' | 'endToken'>,
): Readonly<Record<string, unknown>> {
  return {
    ...familyConfig(architecture),
    hidden_size: architecture.hiddenSize,
    intermediate_size: architecture.intermediateSize,
    num_hidden_layers: architecture.layers,
    num_attention_heads: architecture.heads,
    num_key_value_heads: architecture.kvHeads,
    vocab_size: architecture.vocabSize,
    max_position_embeddings: architecture.contextLength,
    rope_theta: architecture.ropeTheta,
    tie_word_embeddings: architecture.tiedEmbeddings,
    attention_dropout: 0,
    initializer_range: 0.02,
    bos_token_id: beginToken,
    eos_token_id: endToken,
    use_cache: true,
    torch_dtype: dtype,
  };
}

function familyConfig(architecture: Architecture): Readonly<Record<string, unknown>> {
  const {family, headDim, normEpsilon, slidingWindow, ropeScaling, partialRotary, layers} = architecture;
  const scaling =
    ropeScaling === null
      ? null
      : {
          rope_type: 'llama3',
          factor: ropeScaling.factor,
          low_freq_factor: ropeScaling.lowFreqFactor,
          high_freq_factor: ropeScaling.highFreqFactor,
          original_max_position_embeddings: ropeScaling.originalContext,
        };
  const gated = {hidden_act: 'silu', rms_norm_eps: normEpsilon};
  switch (family) {
    case 'llama':
      // The two differ by nothing but the window, which Llama's graph in transformers does not know.
      if (architecture.name.startsWith('mistral') || slidingWindow !== null) {
        return {
          architectures: ['MistralForCausalLM'],
          model_type: 'mistral',
          ...gated,
          head_dim: headDim,
          sliding_window: slidingWindow,
        };
      }
      return {
        architectures: ['LlamaForCausalLM'],
        model_type: 'llama',
        ...gated,
        head_dim: headDim,
        attention_bias: false,
        mlp_bias: false,
        rope_scaling: scaling,
      };
    case 'qwen2':
      return {
        architectures: ['Qwen2ForCausalLM'],
        model_type: 'qwen2',
        ...gated,
        use_sliding_window: false,
        max_window_layers: layers,
      };
    case 'gemma':
      return {
        architectures: ['GemmaForCausalLM'],
        model_type: 'gemma',
        hidden_act: 'gelu_pytorch_tanh',
        hidden_activation: 'gelu_pytorch_tanh',
        rms_norm_eps: normEpsilon,
        head_dim: headDim,
        attention_bias: false,
      };
    case 'gemma3':
      return {
        architectures: ['Gemma3ForCausalLM'],
        model_type: 'gemma3_text',
        hidden_activation: 'gelu_pytorch_tanh',
        rms_norm_eps: normEpsilon,
        head_dim: headDim,
        query_pre_attn_scalar: headDim,
        attention_bias: false,
        sliding_window: slidingWindow,
        // Every sixth layer sees the whole context; the others rotate with the base that llama.cpp has built in.
        sliding_window_pattern: 6,
        rope_local_base_freq: 10_000,
        rope_scaling: null,
        attn_logit_softcapping: null,
        final_logit_softcapping: null,
      };
    case 'phi2':
      return {
        architectures: ['PhiForCausalLM'],
        model_type: 'phi',
        hidden_act: 'gelu_new',
        layer_norm_eps: normEpsilon,
        partial_rotary_factor: partialRotary,
        qk_layernorm: false,
        embd_pdrop: 0,
        resid_pdrop: 0,
      };
  }
}

function tokenizer({tokens, merges, firstSpecial, beginToken}: Vocabulary): unknown {
  const begin = tokens[beginToken] ?? '';
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: tokens.slice(firstSpecial).map((content, index) => ({
      id: firstSpecial + index,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        {type: 'Split', pattern: {Regex: SPLIT}, behavior: 'Isolated', invert: false},
        {type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false},
      ],
    },
    post_processor: {
      type: 'TemplateProcessing',
      single: [{SpecialToken: {id: begin, type_id: 0}}, {Sequence: {id: 'A', type_id: 0}}],
      pair: [
        {SpecialToken: {id: begin, type_id: 0}},
        {Sequence: {id: 'A', type_id: 0}},
        {SpecialToken: {id: begin, type_id: 1}},
        {Sequence: {id: 'B', type_id: 1}},
      ],
      special_tokens: {[begin]: {id: begin, ids: [beginToken], tokens: [begin]}},
    },
    decoder: {type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true},
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: true,
      vocab: Object.fromEntries(tokens.slice(0, firstSpecial).map((token, id) => [token, id])),
      merges,
    },
  };
}
