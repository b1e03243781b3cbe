import {createServer, type IncomingMessage, type RequestListener, type ServerResponse} from 'node:http';
import {createServer as createTlsServer} from 'node:https';
import {text} from 'node:stream/consumers';
import {setTimeout as delay} from 'node:timers/promises';

/** A request body, as far as tests look at it. */
export interface SeenBody {
  readonly model?: string;
  readonly prompt?: readonly number[] | string;
  readonly messages?: readonly {readonly role: string; readonly content: string}[];
  readonly max_tokens: number;
  readonly stream_options?: {readonly continuous_usage_stats?: boolean};
  readonly [field: string]: unknown;
}

export interface Seen {
  readonly body: SeenBody;
  readonly authorization: string | null;
  /** The connection it came over. */
  readonly port: number;
  /** Requests that were being answered when it came, itself included. */
  readonly inFlight: number;
}

export type Respond = (
  seen: Seen & {readonly nth: number},
  response: ServerResponse,
  request: IncomingMessage,
) => Promise<void> | void;

export interface FakeOptions {
  /** `owned_by` of its one model: which server it plays. Default: vllm. */
  readonly owner?: string;
  readonly models?: readonly string[];
  /** Of `GET`, by path; what is not here is 404. */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** Answers a completion. Default: as many tokens as asked, at once, counted as vLLM does. */
  readonly respond?: Respond;
  /** Over TLS, with this key and certificate. */
  readonly tls?: {readonly key: Buffer; readonly cert: Buffer};
  /** Answers anything itself before all else; true when it did. */
  intercept?(request: IncomingMessage, response: ServerResponse): boolean;
}

export interface FakeServer {
  readonly url: string;
  /** Completions, in order. */
  readonly seen: Seen[];
  close(): Promise<void>;
}

/** An OpenAI-compatible server on the loopback that says what a test wants, however wrong. */
export async function startFakeOpenai(options: FakeOptions = {}): Promise<FakeServer> {
  const seen: Seen[] = [];
  let inFlight = 0;
  const {owner = 'vllm', models = ['fake-model']} = options;
  const facts: Record<string, unknown> = {
    '/v1/models': {object: 'list', data: models.map((id) => ({id, object: 'model', owned_by: owner}))},
    '/health': {status: 'ok'},
    '/version': {version: '9.9.9'},
    ...options.facts,
  };
  const respond = options.respond ?? (async (request, response) => streamTokens(response, request.body));
  const listener: RequestListener = (request, response) => {
    if (options.intercept?.(request, response) === true) return;
    if (request.method === 'GET') {
      const body = facts[request.url ?? ''];
      response.writeHead(body === undefined ? 404 : 200, {'content-type': 'application/json'});
      response.end(JSON.stringify(body ?? {error: {message: 'not here'}}));
      return;
    }
    inFlight++;
    response.once('close', () => {
      inFlight--;
    });
    void text(request).then(async (json) => {
      const one: Seen = {
        body: JSON.parse(json) as SeenBody,
        authorization: request.headers.authorization ?? null,
        port: request.socket.remotePort ?? 0,
        inFlight,
      };
      seen.push(one);
      await respond({...one, nth: seen.length - 1}, response, request);
    });
  };
  const server = options.tls === undefined ? createServer(listener) : createTlsServer(options.tls, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/v1`,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

export interface Streaming {
  readonly tokens?: number;
  /** Tokens in one piece. */
  readonly perPiece?: number;
  /** Time before each piece. */
  readonly gapMs?: number;
  /** A running count in each piece, usage at the end, or nothing. */
  readonly usage?: 'running' | 'last' | 'none';
  readonly cachedTokens?: number | null;
  readonly promptTokens?: number;
  readonly text?: string;
  readonly finishReason?: string;
  /** How the bytes of the stream are written. Default: a piece per write. */
  write?(response: ServerResponse, bytes: Buffer): Promise<void> | void;
  readonly done?: boolean;
}

/** Answers a completion as a server does that streams. */
export async function streamTokens(response: ServerResponse, body: SeenBody, how: Streaming = {}): Promise<void> {
  const {tokens = body.max_tokens, perPiece = 1, gapMs = 0, usage = 'running', cachedTokens = 0} = how;
  const promptTokens = how.promptTokens ?? promptLength(body);
  const write = how.write ?? ((to: ServerResponse, bytes: Buffer) => void to.write(bytes));
  const chat = body.messages !== undefined;
  const counts = (completion: number) => ({
    prompt_tokens: promptTokens,
    completion_tokens: completion,
    ...(cachedTokens === null ? {} : {prompt_tokens_details: {cached_tokens: cachedTokens}}),
  });
  const piece = (choice: object, soFar: number | null) =>
    Buffer.from(
      `data: ${JSON.stringify({choices: [{index: 0, ...choice}], usage: soFar === null ? null : counts(soFar)})}\n\n`,
    );
  response.writeHead(200, {'content-type': 'text/event-stream; charset=utf-8'});
  if (chat) await write(response, piece({delta: {role: 'assistant', content: ''}}, usage === 'running' ? 0 : null));
  for (let sent = 0; sent < tokens; ) {
    if (gapMs > 0) await delay(gapMs);
    if (response.destroyed) return;
    sent = Math.min(tokens, sent + perPiece);
    const content = how.text ?? 'ä✓ ';
    await write(response, piece(chat ? {delta: {content}} : {text: content}, usage === 'running' ? sent : null));
  }
  await write(
    response,
    piece({...(chat ? {delta: {}} : {text: ''}), finish_reason: how.finishReason ?? 'length'}, null),
  );
  if (usage !== 'none') {
    await write(response, Buffer.from(`data: ${JSON.stringify({choices: [], usage: counts(tokens)})}\n\n`));
  }
  if (how.done !== false) await write(response, Buffer.from('data: [DONE]\n\n'));
  response.end();
}

function promptLength({prompt, messages}: SeenBody): number {
  if (Array.isArray(prompt)) return prompt.length;
  const words = typeof prompt === 'string' ? prompt : (messages ?? []).map(({content}) => content).join(' ');
  // A template around a chat, and a token of beginning.
  return words.split(' ').length + (messages === undefined ? 1 : 12);
}
