import type {Architecture} from '../contract/architecture.ts';

/** One tensor of a model in the neutral naming (Hugging Face), and what becomes of it in a GGUF file. */
export interface TensorSpec {
  /** Hugging Face name: `model.layers.0.self_attn.q_proj.weight`. Names the stream of its random values. */
  readonly name: string;
  /** Row-major as in PyTorch: a linear layer is [outputs, inputs]. */
  readonly shape: readonly number[];
  readonly elements: number;
  readonly kind: 'embedding' | 'linear' | 'head' | 'norm' | 'bias';
  readonly mean: number;
  readonly std: number;
  readonly gguf: {
    readonly name: string;
    /**
     * Heads whose rows are reordered, or null. Hugging Face rotates the two halves of a head against each other,
     * llama.cpp's `llama` graph rotates neighbours: the rows of Q and K are interleaved (LlamaModel.permute in
     * llama.cpp's converter).
     */
    readonly interleaveHeads: number | null;
    /** Gemma stores norm − 1 in Hugging Face layout, and the norm itself in GGUF. */
    readonly addOne: boolean;
  };
}

interface Part {
  readonly hf: string;
  readonly gguf: string;
  readonly shape: readonly number[];
  readonly kind: TensorSpec['kind'];
  readonly std: number;
  readonly interleaveHeads?: number;
}

const NORM_STD = 0.1;
const BIAS_STD = 0.02;
const EMBEDDING_STD = 0.02;

/** All tensors, in the order of the layers. Tied output heads have no tensor of their own. */
export function listTensors(architecture: Architecture): readonly TensorSpec[] {
  const {layers} = architecture;
  const parts = [
    ...inputParts(architecture),
    ...Array.from({length: layers}, (_, layer) => blockParts(architecture, layer)).flat(),
    ...outputParts(architecture),
  ];
  // Gemma's norms multiply by 1 + weight.
  const centred = architecture.family === 'gemma' || architecture.family === 'gemma3';
  return parts.map(({hf, gguf, shape, kind, std, interleaveHeads}) => {
    const isNormWeight = kind === 'norm' && hf.endsWith('.weight');
    return {
      name: hf,
      shape,
      elements: shape.reduce((product, size) => product * size, 1),
      kind,
      mean: isNormWeight && !centred ? 1 : 0,
      std,
      gguf: {name: gguf, interleaveHeads: interleaveHeads ?? null, addOne: isNormWeight && centred},
    };
  });
}

export function countParameters(architecture: Architecture): number {
  return listTensors(architecture).reduce((sum, tensor) => sum + tensor.elements, 0);
}

function inputParts({vocabSize, hiddenSize}: Architecture): Part[] {
  return [
    {
      hf: 'model.embed_tokens.weight',
      gguf: 'token_embd.weight',
      shape: [vocabSize, hiddenSize],
      kind: 'embedding',
      std: EMBEDDING_STD,
    },
  ];
}

function outputParts({family, vocabSize, hiddenSize, tiedEmbeddings}: Architecture): Part[] {
  const finalNorm = family === 'phi2' ? 'model.final_layernorm' : 'model.norm';
  return [
    ...normParts(finalNorm, 'output_norm', hiddenSize, family === 'phi2'),
    ...(tiedEmbeddings
      ? []
      : linearParts({
          hf: 'lm_head',
          gguf: 'output',
          outputs: vocabSize,
          inputs: hiddenSize,
          bias: family === 'phi2',
          kind: 'head',
        })),
  ];
}

function blockParts(architecture: Architecture, layer: number): Part[] {
  const {family, layers, hiddenSize, intermediateSize, heads, kvHeads, headDim} = architecture;
  const hf = `model.layers.${layer}`;
  const gguf = `blk.${layer}`;
  const phi = family === 'phi2';
  const interleave = family === 'llama';
  // The two projections that write to the residual stream are scaled down (GPT-2's initialisation): the stream of a
  // deep model stays within the range of FP16.
  const residual = 1 / Math.sqrt(2 * layers);
  const attention = (name: string, short: string, count: number) =>
    linearParts({
      hf: `${hf}.self_attn.${name}`,
      gguf: `${gguf}.attn_${short}`,
      outputs: count * headDim,
      inputs: hiddenSize,
      bias: phi || family === 'qwen2',
      ...(interleave && short !== 'v' ? {interleaveHeads: count} : {}),
    });
  const linear = (name: string, short: string, outputs: number, inputs: number, gain = 1) =>
    linearParts({hf: `${hf}.${name}`, gguf: `${gguf}.${short}`, outputs, inputs, bias: phi, gain});
  const norm = (name: string, short: string, size = hiddenSize) =>
    normParts(`${hf}.${name}`, `${gguf}.${short}`, size, phi);

  const attentionParts = [
    ...norm('input_layernorm', 'attn_norm'),
    ...attention('q_proj', 'q', heads),
    ...attention('k_proj', 'k', kvHeads),
    ...attention('v_proj', 'v', kvHeads),
    ...linear(phi ? 'self_attn.dense' : 'self_attn.o_proj', 'attn_output', hiddenSize, heads * headDim, residual),
  ];
  if (phi) {
    return [
      ...attentionParts,
      ...linear('mlp.fc1', 'ffn_up', intermediateSize, hiddenSize),
      ...linear('mlp.fc2', 'ffn_down', hiddenSize, intermediateSize, residual),
    ];
  }
  const feedForward = [
    ...linear('mlp.gate_proj', 'ffn_gate', intermediateSize, hiddenSize),
    ...linear('mlp.up_proj', 'ffn_up', intermediateSize, hiddenSize),
    ...linear('mlp.down_proj', 'ffn_down', hiddenSize, intermediateSize, residual),
  ];
  if (family === 'gemma3') {
    return [
      ...attentionParts,
      ...norm('self_attn.q_norm', 'attn_q_norm', headDim),
      ...norm('self_attn.k_norm', 'attn_k_norm', headDim),
      ...norm('post_attention_layernorm', 'post_attention_norm'),
      ...norm('pre_feedforward_layernorm', 'ffn_norm'),
      ...feedForward,
      ...norm('post_feedforward_layernorm', 'post_ffw_norm'),
    ];
  }
  return [...attentionParts, ...norm('post_attention_layernorm', 'ffn_norm'), ...feedForward];
}

function linearParts(options: {
  hf: string;
  gguf: string;
  outputs: number;
  inputs: number;
  bias: boolean;
  gain?: number;
  kind?: 'linear' | 'head';
  interleaveHeads?: number;
}): Part[] {
  const {hf, gguf, outputs, inputs, bias, gain = 1, kind = 'linear', interleaveHeads} = options;
  const order = interleaveHeads === undefined ? {} : {interleaveHeads};
  return [
    {
      hf: `${hf}.weight`,
      gguf: `${gguf}.weight`,
      shape: [outputs, inputs],
      kind,
      std: gain / Math.sqrt(inputs),
      ...order,
    },
    ...(bias
      ? [{hf: `${hf}.bias`, gguf: `${gguf}.bias`, shape: [outputs], kind: 'bias' as const, std: BIAS_STD, ...order}]
      : []),
  ];
}

function normParts(hf: string, gguf: string, size: number, bias: boolean): Part[] {
  return [
    {hf: `${hf}.weight`, gguf: `${gguf}.weight`, shape: [size], kind: 'norm', std: NORM_STD},
    ...(bias ? [{hf: `${hf}.bias`, gguf: `${gguf}.bias`, shape: [size], kind: 'bias' as const, std: BIAS_STD}] : []),
  ];
}
