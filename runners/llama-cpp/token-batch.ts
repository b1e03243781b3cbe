import {addressOf, type BatchStruct, nativeInt8, nativeInt32, nativePointers} from './libllama.ts';

/**
 * One `llama_batch` whose arrays are made once and filled again for every decode, in the layout of `llama_batch_init`:
 * per token its id, its position, one sequence, and whether its logits are wanted.
 */
export class TokenBatch {
  readonly struct: BatchStruct;
  readonly #token: Int32Array;
  readonly #position: Int32Array;
  readonly #logits: Int8Array;
  readonly #sequence: BigUint64Array;
  /** Address of the one-element list that names sequence s. */
  readonly #sequenceAddress: readonly bigint[];
  /** Keeps the lists alive. */
  readonly #sequenceIds: ReturnType<typeof nativeInt32>;

  constructor(capacity: number, sequences: number) {
    const token = nativeInt32(capacity);
    const position = nativeInt32(capacity);
    const count = nativeInt32(capacity);
    const logits = nativeInt8(capacity);
    const sequence = nativePointers(capacity);
    this.#sequenceIds = nativeInt32(sequences);
    const start = addressOf(this.#sequenceIds.pointer);
    this.#sequenceAddress = Array.from(this.#sequenceIds.values, (_, index) => start + BigInt(4 * index));
    for (let index = 0; index < sequences; index++) this.#sequenceIds.values[index] = index;
    count.values.fill(1);
    this.#token = token.values;
    this.#position = position.values;
    this.#logits = logits.values;
    this.#sequence = sequence.values;
    this.struct = {
      n_tokens: 0,
      token: token.pointer,
      embd: null,
      pos: position.pointer,
      n_seq_id: count.pointer,
      seq_id: sequence.pointer,
      logits: logits.pointer,
    };
  }

  get length(): number {
    return this.struct.n_tokens;
  }

  get isFull(): boolean {
    return this.struct.n_tokens === this.#token.length;
  }

  clear(): void {
    this.struct.n_tokens = 0;
  }

  /** @returns Its index in the batch, by which its logits are asked for. */
  add(token: number, position: number, sequence: number, wantsLogits: boolean): number {
    const index = this.struct.n_tokens;
    this.#token[index] = token;
    this.#position[index] = position;
    this.#sequence[index] = this.#sequenceAddress[sequence] ?? 0n;
    this.#logits[index] = wantsLogits ? 1 : 0;
    this.struct.n_tokens = index + 1;
    return index;
  }
}
