import {type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage} from 'node:http';
import {Agent as HttpsAgent, request as httpsRequest} from 'node:https';
import type {Socket} from 'node:net';
import {BenchError} from '../../harness/contract/errors.ts';
import {httpProblem, linkProblem} from './problem.ts';
import {parseJson} from './server-words.ts';

/** Facts of a server, and errors: chat templates make them long. */
const MAX_BODY_BYTES = 4 << 20;
/** After `[DONE]` a stream may take this long to end, so that its connection can be used again. */
const END_MS = 1_000;

/** What becomes of the pieces of an answer, as they arrive. */
export interface Listener {
  /** @returns `token` when it brought some, `done` when the answer is whole. What it throws ends the request. */
  onPiece(bytes: Buffer, atMs: number): 'token' | 'nothing' | 'done';
  /** The stream has ended by itself. */
  onEnd(): void;
  /** The server did not stream: the whole body, as JSON. */
  onWhole(body: unknown, atMs: number): void;
}

export interface Sending {
  readonly body: Buffer;
  /** No token for this long means that the server hangs; comments that keep the connection alive do not count. */
  readonly idleMs: number;
  readonly signal: AbortSignal;
}

export interface ConnectionOptions {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly key: string | null;
  /** Requests in flight at once. */
  readonly lanes: number;
  readonly now: () => number;
}

/** HTTP to one server, over connections that stay open: a request never waits for one to be made, and none is followed elsewhere. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #agent: HttpAgent;
  readonly #send: typeof httpRequest;

  constructor(options: ConnectionOptions) {
    const agent = {keepAlive: true, noDelay: true, maxFreeSockets: options.lanes + 1};
    const secure = new URL(options.baseUrl).protocol === 'https:';
    this.#options = options;
    this.#agent = secure ? new HttpsAgent(agent) : new HttpAgent(agent);
    this.#send = secure ? httpsRequest : httpRequest;
  }

  /**
   * A fact of the server.
   *
   * @param path From the base address on; `../` for what lies beside `/v1`.
   * @returns Status and JSON; undefined for a body that is none.
   * @throws {BenchError} NETWORK, ENGINE_UNAVAILABLE (certificates).
   */
  async get(path: string, timeoutMs: number): Promise<{readonly status: number; readonly body: unknown}> {
    const url = this.#url(path);
    const request = this.#send(url, {agent: this.#agent, headers: this.#headers()});
    const timer = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs);
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        request.once('response', resolve);
        request.once('error', reject);
        request.end();
      });
      const text = await readBody(response);
      return {status: response.statusCode ?? 0, body: parseJson(text)};
    } catch (error) {
      throw linkProblem(url, error);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Sends one request and hears its answer to the end.
   *
   * The clock starts when an open connection gets the request, so that making a connection is in no time. A connection
   * that the server had closed meanwhile is replaced, once: nothing of the request had been taken.
   *
   * @returns When the request was handed to the connection, in ms of `now`.
   * @throws {BenchError} NETWORK, WORKER_HUNG, UNSUPPORTED, WORKER_CRASHED, and what the listener throws.
   */
  async post(path: string, sending: Sending, listener: Listener): Promise<number> {
    const url = this.#url(path);
    for (let attempt = 0; ; attempt++) {
      const exchange = new Exchange(this.#options, sending, listener);
      try {
        return await exchange.run(
          this.#send(url, {
            method: 'POST',
            agent: this.#agent,
            headers: {
              ...this.#headers(),
              'content-type': 'application/json',
              'content-length': sending.body.length,
            },
          }),
        );
      } catch (error) {
        if (attempt === 0 && exchange.staleConnection) continue;
        throw error instanceof BenchError ? error : linkProblem(url, error);
      }
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #url(path: string): string {
    const {baseUrl} = this.#options;
    return path.startsWith('../') ? `${baseUrl.replace(/\/v\d+$/, '')}/${path.slice(3)}` : `${baseUrl}/${path}`;
  }

  #headers(): Record<string, string> {
    const {key} = this.#options;
    const headers = {accept: 'application/json, text/event-stream', 'user-agent': 'bench'};
    return key === null ? headers : {...headers, authorization: `Bearer ${key}`};
  }
}

/** One request on the wire. */
class Exchange {
  readonly #options: ConnectionOptions;
  readonly #sending: Sending;
  readonly #listener: Listener;
  #startMs = 0;
  #answered: boolean = false;
  #request: ClientRequest | null = null;
  /** Why it was ended from here: Node reports a reset connection instead. */
  #givenUp: BenchError | null = null;

  constructor(options: ConnectionOptions, sending: Sending, listener: Listener) {
    this.#options = options;
    this.#sending = sending;
    this.#listener = listener;
  }

  /** It failed on a connection that had served before, without a byte of an answer. */
  get staleConnection(): boolean {
    return !this.#answered && this.#request?.reusedSocket === true && this.#givenUp === null;
  }

  async run(request: ClientRequest): Promise<number> {
    const {signal, idleMs, body} = this.#sending;
    this.#request = request;
    const giveUp = (error: BenchError) => {
      this.#givenUp = error;
      request.destroy(error);
    };
    const idle = setTimeout(
      () => giveUp(new BenchError('WORKER_HUNG', `the server sent no token for ${idleMs / 1000} s`)),
      idleMs,
    );
    const abort = () => giveUp(new BenchError('INTERRUPTED', 'the request was no longer wanted'));
    signal.addEventListener('abort', abort, {once: true});
    try {
      if (signal.aborted) abort();
      request.once('socket', (socket) => whenOpen(socket, () => this.#start(request, body)));
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        request.once('response', resolve);
        request.on('error', reject);
      });
      this.#answered = true;
      if (response.statusCode !== 200) throw await httpProblem(response, readBody, this.#options.key);
      if (isStream(response)) await this.#hear(response, idle);
      else await this.#hearWhole(response);
      return this.#startMs;
    } catch (error) {
      request.destroy();
      throw this.#givenUp ?? error;
    } finally {
      clearTimeout(idle);
      signal.removeEventListener('abort', abort);
    }
  }

  #start(request: ClientRequest, body: Buffer): void {
    if (request.destroyed) return;
    this.#startMs = this.#options.now();
    request.end(body);
  }

  async #hear(response: IncomingMessage, idle: NodeJS.Timeout): Promise<void> {
    const {now} = this.#options;
    await new Promise<void>((resolve, reject) => {
      let ending: NodeJS.Timeout | null = null;
      const finish = (settle: () => void) => {
        if (ending !== null) clearTimeout(ending);
        settle();
      };
      response.on('data', (bytes: Buffer) => {
        const atMs = now();
        if (ending !== null) return;
        try {
          const what = this.#listener.onPiece(bytes, atMs);
          if (what === 'token') idle.refresh();
          if (what === 'done') {
            ending = setTimeout(() => {
              // The answer is whole; a connection that does not end cannot be used again.
              response.destroy();
              resolve();
            }, END_MS);
          }
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
      response.once('end', () =>
        finish(() => {
          try {
            if (ending === null) this.#listener.onEnd();
            resolve();
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
          }
        }),
      );
      response.once('error', (error) => finish(() => (ending === null ? reject(error) : resolve())));
      response.once('close', () => finish(() => reject(new Error('the connection was closed within the answer'))));
    });
  }

  async #hearWhole(response: IncomingMessage): Promise<void> {
    const text = await readBody(response);
    const atMs = this.#options.now();
    this.#listener.onWhole(parseJson(text) ?? text, atMs);
  }
}

/** Calls back at once for a socket that is open, else when it is, encryption included. */
function whenOpen(socket: Socket, callback: () => void): void {
  if (!socket.connecting) callback();
  else socket.once('encrypted' in socket ? 'secureConnect' : 'connect', callback);
}

function isStream({headers}: IncomingMessage): boolean {
  return headers['content-type']?.toLowerCase().startsWith('text/event-stream') === true;
}

/** @throws {BenchError} PROTOCOL_VIOLATION above 4 MiB. */
async function readBody(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    parts.push(part);
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) {
      throw new BenchError('PROTOCOL_VIOLATION', `the server sends a body above ${MAX_BODY_BYTES / 2 ** 20} MiB`);
    }
  }
  return Buffer.concat(parts).toString('utf8');
}
