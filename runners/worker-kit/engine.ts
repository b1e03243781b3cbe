import type {WorkerEventInput, WorkOrder} from '../../harness/contract/protocol.ts';

/** Milliseconds of the worker's one monotonic clock, with a fraction. */
export type NowMs = () => number;

/** What of a tokenizer the prompts need. */
export interface Vocabulary {
  /** Number of token ids. */
  readonly size: number;
  /** Control, unknown, end-of-something: ids that a random prompt must not hold. */
  isSpecial(id: number): boolean;
}

/** One request, made before its clock starts. */
export interface EngineRequest {
  readonly phase: 'warmup' | 'measure';
  /** 0-based within the phase. */
  readonly index: number;
  /** One prompt per sequence of the batch, all of one length; a shared prefix included. */
  readonly prompts: readonly Int32Array[];
  readonly generatedTokens: number;
  /** Leading tokens of every prompt that were primed and may be taken from the cache. */
  readonly sharedTokens: number;
  /** Filled by the engine: when the k-th token of the batch was available to the caller, in ms of {@link NowMs}. */
  readonly tokenMs: Float64Array;
  /** Filled by the engine: token k of sequence s at `s × generatedTokens + k`. */
  readonly tokens: Int32Array;
}

export interface EngineResult {
  /** When the request was handed to the engine. */
  readonly startMs: number;
  /** Prompt tokens really submitted for computing, per sequence. */
  readonly evaluatedTokens: number;
  readonly cachedTokens: number;
}

type LoadedEvent = Extract<WorkerEventInput, {type: 'loaded'}>;

/** A model in memory that takes one request after the other. */
export interface Engine {
  /** The `loaded` event, but for its time. */
  readonly facts: Omit<LoadedEvent, 'type' | 'tNs' | 'caveats'> & {readonly caveats: readonly string[]};
  readonly vocabulary: Vocabulary;
  /** Positions of the KV cache that one sequence may use. */
  readonly contextTokens: number;
  readonly now: NowMs;
  /** Puts the shared prefix into the cache of every sequence, once, before the first request. */
  prime(prefix: Int32Array): void | Promise<void>;
  /** Runs one request from an empty cache (but for the primed prefix). Times nothing but the engine. */
  generate(request: EngineRequest): EngineResult | Promise<EngineResult>;
  tokenize(text: string): Int32Array;
  /** The text of the tokens up to the first end-of-generation token. */
  detokenize(tokens: Int32Array): string;
}

/** An engine that is imported but has no model yet. */
export interface EngineProgram {
  /** Version of the engine package, for the `ready` event. */
  readonly runnerVersion: string;
  readonly now: NowMs;
  /** @throws {BenchError} MODEL_CORRUPT, DOES_NOT_FIT, UNSUPPORTED, ENGINE_UNAVAILABLE, … */
  load(order: WorkOrder): Engine | Promise<Engine>;
}

/** Integer nanoseconds, the unit of the protocol. */
export function toNs(ms: number): number {
  return Math.round(ms * 1e6);
}
