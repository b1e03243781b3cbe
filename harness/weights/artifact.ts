import type {Architecture} from '../contract/architecture.ts';
import {BenchError} from '../contract/errors.ts';
import type {Format} from '../contract/format.ts';
import type {ModelFacts} from './cache-entry.ts';

/** One tensor of a model file, as far as counting goes. */
export interface TensorBytes {
  readonly name: string;
  /** Weights it stands for; 0 for what only helps to decode others (scales, zeros, index tables). */
  readonly parameters: number;
  readonly bytes: number;
  /**
   * How much of it one decoded token reads: `row` the embedding table, of which only the token's row is looked up;
   * `expert` a stack of expert matrices, of which the chosen ones are read.
   */
  readonly read: 'all' | 'row' | 'expert';
  /** Rows of the table, for `row`. */
  readonly rows: number;
}

/** The shape of a model as its file states it; what a catalogue entry is recognised by. */
export interface ModelShape {
  /** GGUF `general.architecture` or `model_type` of config.json. */
  readonly family: string;
  readonly layers: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number | null;
  readonly heads: number;
  /** Of each layer; most models have one number for all. */
  readonly kvHeads: readonly number[];
  readonly keyLength: number;
  readonly valueLength: number;
  readonly vocabSize: number;
}

/** What a reader finds in a model file, whatever its container. */
export interface ModelFileFacts {
  readonly shape: ModelShape;
  /** Null when the file is in none of our formats; `formatText` then says what it is. */
  readonly format: Format | null;
  readonly formatText: string;
  /** The output head is the embedding table. */
  readonly tied: boolean;
  readonly tensors: readonly TensorBytes[];
  /** Share of the expert matrices that one token uses; 1 for dense models. */
  readonly expertShare: number;
  /** Weights files, plain names in the model's folder, in the order of their names. */
  readonly files: readonly string[];
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/**
 * Bytes of weights that decoding one token reads from memory: every tensor once, with two exceptions.
 *
 * 1. The embedding table: when the output head has a tensor of its own, decoding reads only the row of one token. When
 *    the head is tied to the table, computing the logits multiplies by the whole table: it counts in full (and the row
 *    is part of it).
 * 2. Mixtures of experts: the chosen experts only. Which are chosen changes from token to token; the share does not.
 *
 * KV cache, activations and what an engine writes back are not weights and not counted here. An engine that unpacks
 * weights when it loads them (llama.cpp's repacking keeps the size) reads what it unpacked: this is the figure of the
 * file.
 */
export function bytesPerToken(facts: Pick<ModelFileFacts, 'tensors' | 'tied' | 'expertShare'>): number {
  const bytes = facts.tensors.map((tensor) => tensor.bytes * shareRead(tensor, facts));
  return Math.max(1, Math.round(sum(bytes)));
}

function shareRead(tensor: TensorBytes, {tied, expertShare}: Pick<ModelFileFacts, 'tied' | 'expertShare'>): number {
  if (tensor.read === 'row') return tied ? 1 : 1 / Math.max(1, tensor.rows);
  return tensor.read === 'expert' ? expertShare : 1;
}

/**
 * Bytes of KV cache per position and sequence at 16 bit: for each layer one key and one value per KV head. A sliding
 * window bounds the positions, not the bytes of one.
 */
export function kvBytesPerToken({kvHeads, keyLength, valueLength}: ModelShape): number {
  return sum(kvHeads) * (keyLength + valueLength) * 2;
}

export const parametersOf = (tensors: readonly TensorBytes[]): number =>
  sum(tensors.map((tensor) => tensor.parameters));
export const weightsBytesOf = (tensors: readonly TensorBytes[]): number => sum(tensors.map((tensor) => tensor.bytes));

/** The catalogue's name of a model, recognised by its exact shape; else the family the file states. */
function architectureName(shape: ModelShape, tied: boolean, known: readonly Architecture[]): string {
  // config.json and GGUF name some families differently: gemma3_text, phi.
  const family = shape.family.toLowerCase();
  const found = known.find(
    (candidate) =>
      (family === candidate.family ||
        family === `${candidate.family}_text` ||
        (candidate.family === 'phi2' && family === 'phi') ||
        (candidate.family === 'llama' && family === 'mistral')) &&
      candidate.layers === shape.layers &&
      candidate.hiddenSize === shape.hiddenSize &&
      candidate.intermediateSize === shape.intermediateSize &&
      candidate.heads === shape.heads &&
      candidate.headDim === shape.keyLength &&
      candidate.vocabSize === shape.vocabSize &&
      candidate.tiedEmbeddings === tied &&
      shape.kvHeads.every((count) => count === candidate.kvHeads),
  );
  return found?.name ?? shape.family;
}

export interface FactsOrigin {
  readonly path: string;
  readonly sha256: string;
  readonly sourceText: string;
  readonly synthetic: boolean;
  readonly known: readonly Architecture[];
}

/**
 * The facts of a model in one of our formats.
 *
 * @throws {BenchError} UNSUPPORTED when the file is in another format.
 */
export function modelFacts(
  file: ModelFileFacts,
  {path, sha256, sourceText, synthetic, known}: FactsOrigin,
): ModelFacts {
  if (file.format === null) {
    throw new BenchError('UNSUPPORTED', `${path}: its weights are ${file.formatText}, which is none of our formats`);
  }
  const weightsBytes = weightsBytesOf(file.tensors);
  const parameters = parametersOf(file.tensors);
  return {
    format: file.format,
    weightsBytes,
    sha256,
    parameters,
    architectureName: architectureName(file.shape, file.tied, known),
    bitsPerWeight: (8 * weightsBytes) / parameters,
    bytesPerToken: bytesPerToken(file),
    kvBytesPerToken: kvBytesPerToken(file.shape),
    sourceText,
    synthetic,
  };
}
