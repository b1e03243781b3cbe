import {BenchError} from '../../harness/contract/errors.ts';
import type {WorkOrder} from '../../harness/contract/protocol.ts';
import type {ServerRef} from '../../harness/contract/server.ts';
import {Answer, type AnswerFacts} from './answer.ts';
import type {Connection} from './connection.ts';
import type {Dialect} from './dialect.ts';
import type {ServerPrompt} from './prompts.ts';
import {SseReader} from './sse.ts';

export interface Asking {
  readonly prompt: ServerPrompt;
  readonly generatedTokens: number;
  /** Go on after the end of the sequence. */
  readonly ignoreEos: boolean;
  readonly cacheable: boolean;
  /** Different in every request. */
  readonly salt: string;
  readonly signal: AbortSignal;
}

export interface Answered extends AnswerFacts {
  readonly startMs: number;
}

export interface ClientOptions {
  readonly connection: Connection;
  readonly server: ServerRef;
  readonly dialect: Dialect;
  /** Name of the model, as the server has it. */
  readonly model: string;
  readonly idleMs: number;
  readonly key: string | null;
  readonly now: () => number;
}

/** Asks one server for one answer at a time, or for several at once. */
export class Client {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /** @throws {BenchError} What the connection throws, and what is wrong with the answer. */
  async ask(asking: Asking): Promise<Answered> {
    const {connection, server, idleMs, key, now} = this.#options;
    const {prompt, generatedTokens, signal} = asking;
    const answer = new Answer({generatedTokens, keepText: prompt.answer !== undefined, secret: key});
    const reader = new SseReader();
    const body = Buffer.from(JSON.stringify(requestBody(asking, this.#options)));
    const path = server.endpoint === 'chat' ? 'chat/completions' : 'completions';
    const startMs = await connection
      .post(
        path,
        {body, idleMs, signal},
        {
          onPiece(bytes, atMs) {
            const before = answer.pieces;
            for (const event of reader.push(bytes)) answer.take(event, atMs);
            if (answer.done) return 'done';
            return answer.pieces > before ? 'token' : 'nothing';
          },
          onEnd() {
            for (const event of reader.end()) answer.take(event, now());
          },
          onWhole: (whole, atMs) => answer.takeWhole(whole, atMs),
        },
      )
      .catch((error: unknown) => {
        throw brokenOff(error, answer.pieces);
      });
    return {startMs, ...answer.finish()};
  }
}

/** A connection that broke, with how far the answer had come. */
function brokenOff(error: unknown, pieces: number): unknown {
  if (!(error instanceof BenchError) || error.code !== 'NETWORK' || pieces === 0) return error;
  return new BenchError('NETWORK', `${error.message} (after ${pieces} pieces of the answer)`, {cause: error});
}

/** The request as JSON: what all servers know, what this kind knows, and what the matrix adds, which wins. */
function requestBody(
  {prompt, generatedTokens, ignoreEos, cacheable, salt}: Asking,
  {server, dialect, model}: ClientOptions,
): Readonly<Record<string, unknown>> {
  return {
    model,
    ...(server.endpoint === 'chat' ? {messages: [{role: 'user', content: prompt.content}]} : {prompt: prompt.content}),
    max_tokens: generatedTokens,
    temperature: 0,
    stream: true,
    stream_options: {include_usage: true},
    ...dialect.fields({generatedTokens, ignoreEos, cacheable, salt}),
    ...server.body,
  };
}

/** A text that no other request of a run has. */
export function saltOf({cell, round}: WorkOrder, phase: string, index: number, counts: boolean): string {
  return ['bench', cell.id, cell.promptSeed, round, phase, index, counts ? 0 : 1].join('-');
}
