/**
 * The shape of a decoder-only transformer, enough to write its weights and to count its bytes. Field names follow
 * Hugging Face's config.json where there is one name for it.
 */
export interface Architecture {
  /** Catalogue name: `llama-3.2-1b`. */
  readonly name: string;
  readonly title: string;
  /** `general.architecture` in GGUF, and `model_type` in config.json. */
  readonly family: 'llama' | 'gemma' | 'gemma3' | 'phi2' | 'qwen2';
  readonly layers: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly ropeTheta: number;
  /** llama3 rope scaling, or null. */
  readonly ropeScaling: {
    readonly factor: number;
    readonly lowFreqFactor: number;
    readonly highFreqFactor: number;
    readonly originalContext: number;
  } | null;
  readonly normEpsilon: number;
  readonly tiedEmbeddings: boolean;
  /** Sliding window, or null. */
  readonly slidingWindow: number | null;
  /** Fraction of the head that is rotated (Phi-2: 0.4). */
  readonly partialRotary: number;
  /** Where the figures come from: the public config.json, by name. */
  readonly source: string;
}
