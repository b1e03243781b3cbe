import {BenchError} from '../../harness/contract/errors.ts';
import {countIn, errorWords, isRecord, parseJson, shortLine, textIn} from './server-words.ts';
import type {SseEvent} from './sse.ts';
import {type Piece, type TokenTimes, tokenTimes} from './token-times.ts';

/** What became of one request. */
export interface AnswerFacts {
  readonly times: TokenTimes;
  readonly generatedTokens: number;
  /** As the server counts them; null when it does not. */
  readonly promptTokens: number | null;
  readonly cachedTokens: number | null;
  /** False: the server told no usage, and pieces were counted as tokens. */
  readonly countedByServer: boolean;
  /** False: the answer came whole, with one time for all tokens. */
  readonly streamed: boolean;
  readonly finishReason: string | null;
  readonly text: string;
}

export interface AnswerAsked {
  readonly generatedTokens: number;
  /** Keep the text, to judge it. */
  readonly keepText: boolean;
  /** The key, lest a server repeat it into an error. */
  readonly secret: string | null;
}

/** More tokens than this beyond what was asked mean a server that does not stop. */
const SURPLUS = 64;

/**
 * One answer, as its pieces arrive. Nothing of it is trusted: numbers are checked, texts are only kept or shown cut.
 *
 * A piece counts when it brings tokens: by the server's own running count where there is one (vLLM and SGLang with
 * `continuous_usage_stats`, llama-server with `timings_per_token`), else by text that is not empty. The first piece of a
 * chat, which only names the role, is none: it comes before the first token, and would be taken for it.
 */
export class Answer {
  readonly #asked: AnswerAsked;
  readonly #pieces: Piece[] = [];
  #tokens = 0;
  #text = '';
  #finishReason: string | null = null;
  #usage: unknown = null;
  #timings: unknown = null;
  #done: boolean = false;
  #streamed: boolean = true;

  constructor(asked: AnswerAsked) {
    this.#asked = asked;
  }

  /** `[DONE]` was there: what comes after it does not belong to the answer. */
  get done(): boolean {
    return this.#done;
  }

  /** Pieces with tokens so far. */
  get pieces(): number {
    return this.#pieces.length;
  }

  /**
   * @param atMs When its bytes were there.
   * @throws {BenchError} PROTOCOL_VIOLATION for what is no JSON object; WORKER_CRASHED for an error within the stream;
   *   WRONG_TOKEN_COUNT for a server that does not stop.
   */
  take({name, data}: SseEvent, atMs: number): void {
    if (this.#done) return;
    if (data.trim() === '[DONE]') {
      this.#done = true;
      return;
    }
    const chunk = parseJson(data);
    if (!isRecord(chunk)) throw this.#strange(data);
    if (name === 'error' || (chunk['error'] !== undefined && chunk['error'] !== null)) {
      throw new BenchError('WORKER_CRASHED', `the server broke off: ${this.#short(errorWords(chunk))}`);
    }
    this.#chunk(chunk, atMs);
  }

  /** An answer that was not streamed, though it was asked to be. */
  takeWhole(body: unknown, atMs: number): void {
    if (!isRecord(body) || firstChoice(body) === null) throw this.#strange(JSON.stringify(body));
    this.#streamed = false;
    this.#chunk(body, atMs);
  }

  /**
   * @throws {BenchError} NETWORK when the stream broke off; WRONG_TOKEN_COUNT when it holds no token, or when the server
   *   counts another number of tokens at the end than along the way.
   */
  finish(): AnswerFacts {
    const told = countIn(this.#usage, 'completion_tokens') ?? countIn(this.#timings, 'predicted_n');
    const counted = this.#pieces.every(({tokensSoFar}) => tokensSoFar !== null);
    const soFar = counted ? this.#tokens : this.#pieces.length;
    if (!this.#done && this.#finishReason === null && soFar < this.#asked.generatedTokens) {
      throw new BenchError('NETWORK', `the answer broke off after ${soFar} of ${this.#asked.generatedTokens} tokens`);
    }
    if (!this.#streamed && told === null) {
      throw new BenchError(
        'WRONG_TOKEN_COUNT',
        'the server neither streams nor tells its usage: tokens cannot be counted',
      );
    }
    if (this.#pieces.length === 0 || told === 0) {
      throw new BenchError('WRONG_TOKEN_COUNT', `the answer holds no token (finish_reason ${this.#reason()})`);
    }
    if (counted && told !== null && told !== this.#tokens) {
      const text = `the server counted ${this.#tokens} tokens along the stream and ${told} at its end`;
      throw new BenchError('WRONG_TOKEN_COUNT', text);
    }
    const generatedTokens = told ?? soFar;
    return {
      times: tokenTimes(this.#pieces, generatedTokens),
      generatedTokens,
      promptTokens: countIn(this.#usage, 'prompt_tokens'),
      cachedTokens: this.#cached(),
      countedByServer: told !== null || counted,
      streamed: this.#streamed,
      finishReason: this.#finishReason,
      text: this.#text,
    };
  }

  #chunk(chunk: Readonly<Record<string, unknown>>, atMs: number): void {
    if (isRecord(chunk['usage'])) this.#usage = chunk['usage'];
    if (isRecord(chunk['timings'])) this.#timings = chunk['timings'];
    const choice = firstChoice(chunk);
    if (choice === null) return;
    this.#finishReason = textIn(choice, 'finish_reason') ?? this.#finishReason;
    const text = textOf(choice);
    if (this.#asked.keepText) this.#text += text.said;
    const soFar = countIn(chunk['usage'], 'completion_tokens') ?? countIn(chunk['timings'], 'predicted_n');
    // A count that stays 0 while text comes is none.
    this.#piece(atMs, soFar === 0 && text.any ? null : soFar, text.any);
  }

  /**
   * A count that only comes with the last piece is the sum, not a running count: then the pieces before it had none.
   */
  #piece(atMs: number, tokensSoFar: number | null, hasText: boolean): void {
    const counts = this.#pieces.every((piece) => piece.tokensSoFar !== null) && tokensSoFar !== null;
    if (counts && tokensSoFar > this.#tokens) {
      this.#pieces.push({atMs, tokensSoFar});
      this.#tokens = tokensSoFar;
    } else if (!counts && hasText) {
      this.#pieces.push({atMs, tokensSoFar: null});
    }
    const most = this.#asked.generatedTokens + SURPLUS;
    if (this.#tokens > most || this.#pieces.length > 4 * most) {
      throw new BenchError(
        'WRONG_TOKEN_COUNT',
        `the server does not stop: ${Math.max(this.#tokens, this.#pieces.length)} tokens, ${this.#asked.generatedTokens} were asked for`,
      );
    }
  }

  #cached(): number | null {
    const usage = isRecord(this.#usage) ? this.#usage : {};
    return countIn(usage['prompt_tokens_details'], 'cached_tokens') ?? countIn(this.#timings, 'cache_n');
  }

  #reason(): string {
    return this.#finishReason === null ? 'none' : this.#short(this.#finishReason);
  }

  #short(text: string): string {
    return shortLine(text, this.#asked.secret) || 'it gave no reason';
  }

  #strange(text: string): BenchError {
    return new BenchError(
      'PROTOCOL_VIOLATION',
      `the server sent "${this.#short(text.slice(0, 400)).slice(0, 80)}", which is no piece of an answer`,
    );
  }
}

function firstChoice(chunk: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> | null {
  const choices: unknown = chunk['choices'];
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined;
  return isRecord(first) ? first : null;
}

/** The text of a completion, or of a chat: what is said, and whether anything came at all (a chain of thought, too). */
function textOf(choice: Readonly<Record<string, unknown>>): {readonly said: string; readonly any: boolean} {
  const delta = choice['delta'] ?? choice['message'];
  const said = textIn(choice, 'text') ?? textIn(delta, 'content') ?? '';
  const thought = textIn(delta, 'reasoning_content') ?? textIn(delta, 'reasoning') ?? '';
  const calls = isRecord(delta) && Array.isArray(delta['tool_calls']) && delta['tool_calls'].length > 0;
  return {said, any: said !== '' || thought !== '' || calls};
}
