import {BenchError} from '../../harness/contract/errors.ts';
import type {Engine, EngineRequest, EngineResult, Vocabulary} from '../worker-kit/engine.ts';
import {type Libllama, type Pointer, viewFloats} from './libllama.ts';
import {indexOfMaximum} from './maximum.ts';
import {TokenBatch} from './token-batch.ts';

/** LLAMA_TOKEN_ATTR_UNKNOWN, UNUSED and CONTROL of llama.h. */
const SPECIAL_ATTRIBUTES = 0x1 | 0x2 | 0x8;

export interface LlamaEngineParts {
  readonly library: Libllama;
  readonly model: Pointer;
  readonly context: Pointer;
  readonly contextTokens: number;
  readonly batchTokens: number;
  readonly sequences: number;
  readonly facts: Engine['facts'];
}

/** One model in one context of libllama, driven by synchronous calls: nothing of JavaScript runs between two tokens. */
export class LlamaEngine implements Engine {
  readonly facts: Engine['facts'];
  readonly vocabulary: Vocabulary;
  readonly contextTokens: number;
  readonly #library: Libllama;
  readonly #context: Pointer;
  readonly #memory: Pointer;
  readonly #vocab: Pointer;
  readonly #batch: TokenBatch;
  readonly #sequences: number;
  /** Index in the last batch of the token of sequence s whose logits are due. */
  readonly #outputIndex: Int32Array;
  readonly #views = new Map<Pointer, Float32Array>();
  #primed = 0;

  constructor({library, model, context, contextTokens, batchTokens, sequences, facts}: LlamaEngineParts) {
    this.facts = facts;
    this.contextTokens = contextTokens;
    this.#library = library;
    this.#context = context;
    this.#memory = library.llama_get_memory(context);
    const vocab = library.llama_model_get_vocab(model);
    this.#vocab = vocab;
    this.#batch = new TokenBatch(Math.max(batchTokens, sequences), sequences);
    this.#sequences = sequences;
    this.#outputIndex = new Int32Array(sequences);
    const hasTokens = library.llama_vocab_type(vocab) !== 0;
    this.vocabulary = {
      size: library.llama_vocab_n_tokens(vocab),
      isSpecial: (id) =>
        hasTokens &&
        ((library.llama_vocab_get_attr(vocab, id) & SPECIAL_ATTRIBUTES) !== 0 || library.llama_vocab_is_eog(vocab, id)),
    };
  }

  readonly now = (): number => performance.now();

  prime(prefix: Int32Array): void {
    this.#library.llama_memory_clear(this.#memory, false);
    this.#prefill(
      Array.from({length: this.#sequences}, () => prefix),
      0,
      null,
    );
    this.#library.llama_synchronize(this.#context);
    this.#primed = prefix.length;
  }

  /** @throws {BenchError} NOT_A_NUMBER, WORKER_CRASHED (llama_decode failed), INTERNAL. */
  generate(request: EngineRequest): EngineResult {
    const {prompts, generatedTokens, tokenMs, tokens} = request;
    const promptTokens = prompts[0]?.length ?? 0;
    if (prompts.some(({length}) => length !== promptTokens)) {
      throw new BenchError('INTERNAL', 'prompts decoded together must be equally long');
    }
    const kept = this.#primed;
    const library = this.#library;
    const context = this.#context;

    const startMs = performance.now();
    this.#forget(kept);
    const submitted = this.#prefill(prompts, kept, request);
    tokenMs[0] = performance.now();
    const checkPrefill = request.phase === 'warmup' && request.index === 0;
    if (checkPrefill) this.#checkLogits('prefill');

    const batch = this.#batch;
    for (let step = 1; step < generatedTokens; step++) {
      batch.clear();
      for (let sequence = 0; sequence < this.#sequences; sequence++) {
        const token = tokens[sequence * generatedTokens + step - 1] ?? 0;
        this.#outputIndex[sequence] = batch.add(token, promptTokens + step - 1, sequence, true);
      }
      this.#decode();
      library.llama_synchronize(context);
      for (let sequence = 0; sequence < this.#sequences; sequence++) {
        tokens[sequence * generatedTokens + step] = this.#sample(sequence);
      }
      tokenMs[step] = performance.now();
    }
    this.#checkLogits('decode');
    return {startMs, evaluatedTokens: submitted / this.#sequences, cachedTokens: kept};
  }

  /** @throws {BenchError} UNSUPPORTED when the model has no tokenizer. */
  tokenize(text: string): Int32Array {
    if (this.#library.llama_vocab_type(this.#vocab) === 0) {
      throw new BenchError('UNSUPPORTED', 'the model has no tokenizer: prompts as text cannot be run');
    }
    const bytes = Buffer.from(text);
    // One token a byte, and the special ones at both ends, is the most there can be.
    const room = new Int32Array(bytes.length + 8);
    const count = this.#library.llama_tokenize(this.#vocab, bytes, bytes.length, room, room.length, true, true);
    if (count < 0) throw new BenchError('INTERNAL', `llama_tokenize gives ${count} for ${bytes.length} bytes`);
    return room.slice(0, count);
  }

  detokenize(tokens: Int32Array): string {
    const end = tokens.findIndex((token) => this.#library.llama_vocab_is_eog(this.#vocab, token));
    const own = end < 0 ? tokens.slice() : tokens.slice(0, end);
    const write = (room: Uint8Array) =>
      this.#library.llama_detokenize(this.#vocab, own, own.length, room, room.length, true, false);
    let room = Buffer.alloc(16 * own.length + 16);
    let length = write(room);
    if (length < 0) {
      room = Buffer.alloc(-length);
      length = write(room);
    }
    return room.subarray(0, Math.max(0, length)).toString('utf8');
  }

  /** Empties the cache, but for the primed prefix of every sequence. */
  #forget(kept: number): void {
    if (kept === 0) {
      this.#library.llama_memory_clear(this.#memory, false);
      return;
    }
    for (let sequence = 0; sequence < this.#sequences; sequence++) {
      if (!this.#library.llama_memory_seq_rm(this.#memory, sequence, kept, -1)) {
        throw new BenchError('UNSUPPORTED', 'this model cannot keep a part of its cache: use prefix_cache: off');
      }
    }
  }

  /**
   * Submits the prompts from position `from` on, sequence after sequence, in batches of at most n_batch tokens. With a
   * request, samples the first token of each sequence as soon as its last prompt token is computed: the next batch
   * overwrites the logits.
   *
   * @returns Tokens submitted, over all sequences.
   */
  #prefill(prompts: readonly Int32Array[], from: number, request: EngineRequest | null): number {
    const batch = this.#batch;
    const library = this.#library;
    let submitted = 0;
    let ended = 0;
    let firstEnded = 0;
    const flush = () => {
      if (batch.length === 0) return;
      this.#decode();
      submitted += batch.length;
      if (request !== null && ended > firstEnded) {
        library.llama_synchronize(this.#context);
        for (let sequence = firstEnded; sequence < ended; sequence++) {
          request.tokens[sequence * request.generatedTokens] = this.#sample(sequence);
        }
      }
      firstEnded = ended;
      batch.clear();
    };
    batch.clear();
    for (const [sequence, prompt] of prompts.entries()) {
      for (let position = from; position < prompt.length; position++) {
        const last = position === prompt.length - 1;
        const index = batch.add(prompt[position] ?? 0, position, sequence, last);
        if (last) {
          this.#outputIndex[sequence] = index;
          ended = sequence + 1;
        }
        if (batch.isFull) flush();
      }
    }
    flush();
    return submitted;
  }

  /** The likeliest token. The engine's greedy sampler gives the same, but copies the vocabulary first. */
  #sample(sequence: number): number {
    return indexOfMaximum(this.#logits(this.#outputIndex[sequence] ?? -1, 'decode'));
  }

  /** The logits of an output of the last batch, in place. */
  #logits(output: number, where: string): Float32Array {
    const pointer = this.#library.llama_get_logits_ith(this.#context, output);
    if (pointer === null) throw new BenchError('WORKER_CRASHED', `the engine gives no logits after ${where}`);
    // The engine keeps one buffer as long as its context: a view of each row of it is made once.
    let view = this.#views.get(pointer);
    if (view === undefined) {
      view = viewFloats(pointer, this.vocabulary.size);
      this.#views.set(pointer, view);
    }
    return view;
  }

  #decode(): void {
    const status = this.#library.llama_decode(this.#context, this.#batch.struct);
    if (status === 0) return;
    const meaning = status === 1 ? 'no room in the KV cache' : `status ${status}`;
    throw new BenchError('WORKER_CRASHED', `llama_decode failed: ${meaning}`);
  }

  /** Reads the logits of the last output once: dear enough to be done outside the timed part of a request. */
  #checkLogits(where: string): void {
    const logits = this.#logits(-1, where);
    for (let index = 0; index < logits.length; index++) {
      const value = logits[index];
      if (!Number.isFinite(value)) {
        throw new BenchError('NOT_A_NUMBER', `logit ${index} after ${where} is ${String(value)}`);
      }
    }
  }
}
