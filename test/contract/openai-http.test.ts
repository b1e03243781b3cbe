import {existsSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {mkdtemp} from 'node:fs/promises';
import type {ServerResponse} from 'node:http';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {execa} from 'execa';
import {afterEach, beforeEach, describe, expect, it} from 'vitest';
import {CAVEAT_CODES} from '../../harness/contract/caveats.ts';
import {BenchError, type WireError} from '../../harness/contract/errors.ts';
import {type WorkerEvent, WorkerEventSchema, type WorkOrder} from '../../harness/contract/protocol.ts';
import type {ServerRef} from '../../harness/contract/server.ts';
import {ProtocolCheck} from '../../harness/exec/protocol-check.ts';
import {measureServer} from '../../runners/openai-http/round.ts';
import {openaiHttpRunner} from '../../runners/openai-http/runner.ts';
import {
  type FakeOptions,
  type FakeServer,
  type Respond,
  type Streaming,
  startFakeOpenai,
  streamTokens,
} from '../support/fake-openai.ts';
import {eventsOf, runWorkerProgram, type WorkerRun} from '../support/run-worker.ts';
import {runnerHost} from '../support/runner-host.ts';
import {type OrderChanges, workOrder} from '../support/work-order.ts';

const host = runnerHost();
const openssl = (process.env['PATH'] ?? '').split(':').find((folder) => existsSync(join(folder, 'openssl'))) ?? null;
let servers: FakeServer[] = [];
beforeEach(() => {
  servers = [];
});
afterEach(() => Promise.all(servers.map((server) => server.close())));

async function serve(options: FakeOptions = {}): Promise<FakeServer> {
  const server = await startFakeOpenai(options);
  servers.push(server);
  return server;
}

const SERVER: ServerRef = {
  url: null,
  command: null,
  env: {},
  elsewhere: false,
  apiKeyEnv: null,
  endpoint: 'completions',
  prompt: 'auto',
  fixedLength: true,
  vocabularyTokens: null,
  body: {},
};

interface Changes extends OrderChanges {
  readonly server?: Partial<ServerRef>;
  readonly source?: string;
  readonly env?: Record<string, string>;
}

/** @param url Of a server that runs; '' for one that is started. */
function orderFor(url: string, {server, source, ...changes}: Changes): WorkOrder {
  const cell = {
    source: source ?? 'server:fake-model',
    runner: {id: 'vllm', server: {...SERVER, url, ...server}},
    limits: {loadSeconds: 30, idleSeconds: 30},
    ...changes.cell,
  };
  return workOrder({...changes, cell});
}

interface Run {
  readonly events: readonly WorkerEvent[];
  readonly error: BenchError | null;
}

/** What the worker does, without its process; what it says is held against the protocol as it comes. */
async function run(url: string, changes: Changes = {}): Promise<Run> {
  const order = orderFor(url, changes);
  expect(openaiHttpRunner.supports(order.cell, host)).toEqual({ok: true});
  const check = new ProtocolCheck(order.cell);
  const events: WorkerEvent[] = [];
  try {
    await measureServer(order, {
      env: changes.env ?? {},
      now: () => performance.now(),
      send(event) {
        const parsed = WorkerEventSchema.parse(JSON.parse(JSON.stringify(event)));
        events.push(parsed);
        check.take(parsed);
      },
    });
  } catch (error) {
    if (error instanceof BenchError) return {events, error};
    throw error;
  }
  return {events, error: null};
}

/** The same in the process of the worker. */
async function runWorker(url: string, changes: Changes = {}): Promise<WorkerRun> {
  const order = orderFor(url, changes);
  const launch = openaiHttpRunner.launch(order.cell, host);
  return await runWorkerProgram({...launch, env: {...launch.env, ...changes.env}}, order);
}

async function failureOf(respond: Respond, changes: Changes = {}): Promise<Pick<WireError, 'code' | 'message'>> {
  const {url} = await serve({respond});
  return failure(await run(url, changes));
}

function failure({error}: Run): Pick<WireError, 'code' | 'message'> {
  const {code, message} = error ?? {code: 'INTERNAL', message: 'it did not fail'};
  return {code, message: message.replaceAll(/127\.0\.0\.1:\d+/g, 'HOST')};
}

const measured = ({events}: Pick<Run, 'events'>) =>
  eventsOf(events, 'request').filter(({phase}) => phase === 'measure');
/** Whether the warm-up of so few requests is steady is left to chance. */
const saidCaveats = ({events}: Pick<Run, 'events'>) =>
  [...(eventsOf(events, 'loaded')[0]?.caveats ?? []), ...(eventsOf(events, 'done')[0]?.caveats ?? [])].filter(
    (code) => code !== 'unsteady-warmup',
  );

describe('a server that behaves', () => {
  it('is measured token by token, with prompts of its own in every request', async () => {
    const server = await serve({respond: ({body}, response) => streamTokens(response, body, {gapMs: 4})});
    const outcome = await runWorker(server.url);
    expect(outcome).toMatchObject({exitCode: 0, stderr: ''});
    expect(measured(outcome)).toHaveLength(3);
    for (const request of measured(outcome)) {
      expect(request).toMatchObject({promptTokens: 24, evaluatedTokens: 24, cachedTokens: 0, batch: 1, lane: 0});
      const times = [request.startNs, ...request.tokenNs];
      expect(times).toHaveLength(6);
      expect(times).toEqual([...times].sort((a, b) => a - b));
    }
    const [loaded] = eventsOf(outcome.events, 'loaded');
    expect(loaded).toMatchObject({kernel: 'unknown', engineBuild: 'vllm 9.9.9', weightsBytes: null});
    expect(loaded?.effective).toMatchObject({
      model: 'fake-model',
      prompts: 'tokens',
      ignoreEos: true,
      threads: 'unknown',
    });
    expect(CAVEAT_CODES).toEqual(expect.arrayContaining(saidCaveats(outcome)));

    const prompts = server.seen.map(({body}) => body.prompt);
    for (const prompt of prompts) {
      expect(prompt).toHaveLength(24);
      for (const id of prompt ?? []) expect(Number(id) >= 3200 && Number(id) < 28_800).toBe(true);
    }
    expect(new Set(prompts.map((prompt) => JSON.stringify(prompt?.slice(0, 4)))).size).toBe(prompts.length);
    expect(server.seen.at(-1)?.body).toMatchObject({
      model: 'fake-model',
      max_tokens: 5,
      min_tokens: 5,
      ignore_eos: true,
      temperature: 0,
      stream: true,
      stream_options: {include_usage: true, continuous_usage_stats: true},
    });
    expect(new Set(server.seen.map(({body}) => body['cache_salt'])).size).toBe(prompts.length);
    // One connection serves all requests.
    expect(new Set(server.seen.map(({port}) => port)).size).toBe(1);
  });

  it('has the time of each token after it was sent, and its start before it was there', async () => {
    const came: number[] = [];
    const sent: number[][] = [];
    const {url} = await serve({
      respond({body}, response) {
        const own: number[] = [];
        came.push(performance.now());
        sent.push(own);
        const write = (to: ServerResponse, bytes: Buffer) => {
          own.push(performance.now());
          to.write(bytes);
        };
        return streamTokens(response, body, {gapMs: 2, write});
      },
    });
    const outcome = await run(url);
    const requests = eventsOf(outcome.events, 'request');
    // The first request is the rehearsal.
    expect(requests).toHaveLength(came.length - 1);
    for (const [index, {startNs, tokenNs}] of requests.entries()) {
      expect(startNs / 1e6).toBeLessThan(came[index + 1] ?? 0);
      for (const [token, ns] of tokenNs.entries()) expect(ns / 1e6).toBeGreaterThan(sent[index + 1]?.[token] ?? 1e12);
    }
  });

  it('keeps all lanes busy, counts none that began before, and gives each request of a lane its own prompt', async () => {
    const server = await serve({respond: ({body}, response) => streamTokens(response, body, {gapMs: 3})});
    const outcome = await run(server.url, {workload: {concurrency: 4}, stop: {minRequests: 12, maxRequests: 12}});
    expect(outcome.error).toBeNull();
    const requests = measured(outcome);
    expect(requests.map(({index}) => index).sort((a, b) => a - b)).toEqual(
      Array.from({length: 12}, (_, index) => index),
    );
    expect(new Set(requests.map(({lane}) => lane))).toEqual(new Set([0, 1, 2, 3]));
    const warm = eventsOf(outcome.events, 'request').filter(({phase}) => phase === 'warmup');
    expect(warm.length).toBeGreaterThanOrEqual(4);
    const measuring = eventsOf(outcome.events, 'phase').find(({name}) => name === 'measure');
    for (const {startNs} of requests)
      expect(startNs).toBeGreaterThanOrEqual(measuring?.tNs ?? Number.POSITIVE_INFINITY);
    // Others kept the load up while the last ones that count came to their ends.
    expect(server.seen.length).toBeGreaterThan(1 + warm.length + requests.length);
    const prompts = server.seen.map(({body}) => JSON.stringify(body.prompt));
    expect(new Set(prompts).size).toBe(prompts.length);
  });

  it('may put several tokens into one piece: they have one time, and the row says so', async () => {
    const {url} = await serve({respond: ({body}, response) => streamTokens(response, body, {perPiece: 2, gapMs: 3})});
    const outcome = await run(url);
    for (const {tokenNs} of measured(outcome)) {
      expect(tokenNs).toHaveLength(5);
      expect(new Set(tokenNs).size).toBe(3);
    }
    expect(saidCaveats(outcome)).toContain('tokens-in-groups=0.40');
  });

  it.each([
    ['counts at the end only', 'last', 1, []],
    ['counts at the end only, and puts two tokens into a piece', 'last', 2, ['tokens-in-groups=0.40']],
    ['tells no usage', 'none', 1, ['pieces-counted', 'cache-unknown']],
  ] as const)('%s', async (_what, usage, perPiece, caveats) => {
    const {url} = await serve({
      respond: ({body}, response) => streamTokens(response, body, {usage, perPiece, gapMs: 2}),
    });
    const outcome = await run(url);
    expect(outcome.error).toBeNull();
    for (const {tokenNs} of measured(outcome)) expect(tokenNs).toHaveLength(5);
    expect(saidCaveats(outcome).sort()).toEqual([...caveats].sort());
  });

  it('may hold its answer back until it is whole: then there is a latency, and no time to first token', async () => {
    const respond: Respond = ({body}, response) => {
      response.writeHead(200, {'content-type': 'application/json'});
      const usage = {prompt_tokens: 24, completion_tokens: body.max_tokens};
      response.end(JSON.stringify({choices: [{text: 'all of it', finish_reason: 'length'}], usage}));
    };
    const {url} = await serve({respond});
    const outcome = await run(url);
    expect(saidCaveats(outcome)).toEqual(expect.arrayContaining(['tokens-not-streamed', 'cache-unknown']));
    for (const request of measured(outcome)) expect(request).toMatchObject({generatedTokens: 5});
    for (const {tokenNs} of measured(outcome)) expect(tokenNs).toHaveLength(1);
  });

  it('gets words where it takes no token ids, about as many as asked, and a chat in its template', async () => {
    const server = await serve({
      owner: 'library',
      facts: {'/api/version': {version: '0.99'}},
      respond: ({body}, response) => streamTokens(response, body, {usage: 'last'}),
    });
    for (const endpoint of ['completions', 'chat'] as const) {
      const outcome = await run(server.url, {server: {endpoint}, workload: {promptTokens: 40}});
      expect(eventsOf(outcome.events, 'loaded')[0]).toMatchObject({engineBuild: 'ollama 0.99'});
      expect(saidCaveats(outcome)).toContain('lengths-vary');
      for (const {promptTokens} of measured(outcome)) expect(promptTokens).toBe(40);
    }
    expect(server.seen.at(-1)?.body).not.toHaveProperty('ignore_eos');
    expect(server.seen.at(-1)?.body.messages).toMatchObject([{role: 'user'}]);
  });

  it('gets what the matrix adds to a request, and the key from the environment, which is told to nobody', async () => {
    const server = await serve();
    const changes = {
      server: {apiKeyEnv: 'FAKE_KEY', body: {top_k: 1, temperature: 0.5}},
      env: {FAKE_KEY: 'sesame-1234'},
    };
    const outcome = await runWorker(server.url, changes);
    expect(outcome.exitCode).toBe(0);
    expect(server.seen.every(({authorization}) => authorization === 'Bearer sesame-1234')).toBe(true);
    expect(server.seen.at(-1)?.body).toMatchObject({top_k: 1, temperature: 0.5});
    expect(JSON.stringify(outcome)).not.toContain('sesame-1234');
  });

  it('answers the prompts of a file, which are judged and may end early', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bench-prompts-'));
    const promptsPath = join(folder, 'prompts.jsonl');
    const line = (id: string, answer: string) => JSON.stringify({id, language: 'en', prompt: `prompt ${id}`, answer});
    writeFileSync(promptsPath, [line('a', 'yes yes yes'), line('b', 'no')].join('\n'));
    const server = await serve({
      respond: ({body}, response) =>
        streamTokens(response, body, {tokens: Math.min(3, body.max_tokens), text: 'yes ', finishReason: 'stop'}),
    });
    const outcome = await run(server.url, {
      promptsPath,
      cell: {rounds: 1},
      workload: {promptTokens: 0, prompts: 'prompts.jsonl', promptsSha256: null, generatedTokens: 9},
      stop: {minRequests: 4, maxRequests: 4},
    });
    expect(outcome.error).toBeNull();
    expect(measured(outcome).map(({correct}) => correct)).toEqual([true, false, true, false]);
    for (const {tokenNs} of measured(outcome)) expect(tokenNs).toHaveLength(3);
    expect(server.seen.at(-1)?.body).not.toHaveProperty('ignore_eos');
  });

  it('may take a shared prefix from its cache when the workload says so, and only then', async () => {
    const respond: Respond = ({body}, response) => streamTokens(response, body, {cachedTokens: 8});
    const server = await serve({respond});
    const outcome = await run(server.url, {workload: {prefixCache: 'shared:8'}});
    for (const request of measured(outcome)) expect(request).toMatchObject({evaluatedTokens: 16, cachedTokens: 8});
    expect(saidCaveats(outcome)).toContain('cached-prefix');
    expect(server.seen.at(-1)?.body).not.toHaveProperty('cache_salt');
    const heads = server.seen.map(({body}) => JSON.stringify(body.prompt?.slice(0, 8)));
    expect(new Set(heads).size).toBe(1);

    const {url} = await serve({respond});
    expect(failure(await run(url)).message).toMatch(/8 prompt tokens from a cache, expected at most 0/);
  });

  it('must say what it takes from a cache, where a prefix is shared', async () => {
    const {url} = await serve({respond: ({body}, response) => streamTokens(response, body, {cachedTokens: null})});
    expect(failure(await run(url, {workload: {prefixCache: 'shared:8'}}))).toMatchInlineSnapshot(`
      {
        "code": "UNSUPPORTED",
        "message": "prefix_cache shared:8 needs a server that tells cached_tokens: vLLM with --enable-prompt-tokens-details, SGLang with --enable-cache-report",
      }
    `);
  });

  it('is answered on a fresh connection when it closes one after each answer, and that is in no time', async () => {
    const respond: Respond = ({body}, response) => {
      response.setHeader('connection', 'close');
      return streamTokens(response, body);
    };
    const server = await serve({respond});
    const outcome = await run(server.url);
    expect(outcome.error).toBeNull();
    expect(new Set(server.seen.map(({port}) => port)).size).toBe(server.seen.length);
  });

  it('may close a connection that it had left open: the request goes over another one', async () => {
    const respond: Respond = async ({body}, response, request) => {
      await streamTokens(response, body);
      // After the answer, without a word of it before.
      request.socket.destroySoon();
    };
    const {url} = await serve({respond});
    expect((await run(url)).error).toBeNull();
  });
});

describe('a server that the worker starts', () => {
  const fixture = fileURLToPath(new URL('../fixtures/timed-server.mjs', import.meta.url));
  const started = (...options: string[]): Changes => ({
    source: 'synthetic:tiny',
    weightsPath: '/weights/tiny.gguf',
    server: {
      url: null,
      command: [process.execPath, fixture, '--port', '{port}', '--gap', '1', ...options],
      env: {SERVED: '{model} {context} {concurrency}'},
    },
  });
  const start = (...options: string[]) => runWorker('', started(...options));
  const failed = ({events}: WorkerRun) => eventsOf(events, 'failed')[0]?.error;

  it('is waited for, measured, and gone when the worker is', async () => {
    const mark = `mark-of-${process.pid}`;
    const {events, exitCode} = await start('--loading', '3', '--last', mark);
    expect({exitCode, failed: eventsOf(events, 'failed')}).toEqual({exitCode: 0, failed: []});
    expect(eventsOf(events, 'request').filter(({phase}) => phase === 'measure')).toHaveLength(3);
    const [loaded] = eventsOf(events, 'loaded');
    expect(loaded?.effective).toMatchObject({startedHere: true});
    await expect.poll(() => processesOf(mark), {timeout: 20_000}).toEqual([]);
  });

  it('that ends while it is measured fails the cell with its last telling words', async () => {
    expect(failed(await start('--die', '3', '--last', 'fatal: a layer is missing'))).toMatchObject({
      code: 'WORKER_CRASHED',
      message: expect.stringMatching(/^the server node\S* ended with exit code 3: fatal: a layer is missing$/),
    });
    expect(failed(await start('--die', '1', '--last', 'CUDA error: out of memory'))).toMatchObject({
      code: 'DOES_NOT_FIT',
    });
  });

  it('that ends before it answers, or is not there, fails the cell', async () => {
    expect(failed(await start('--strange'))).toMatchObject({
      code: 'WORKER_CRASHED',
      message: expect.stringContaining('ended with exit code 1'),
    });
    const absent = await runWorker('', {server: {url: null, command: ['./no-such-server', '{port}']}});
    expect(failed(absent)).toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringMatching(/^cannot start no-such-server: .*ENOENT/),
    });
  });
});

/** Processes with a text in their command line. */
function processesOf(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(text);
      } catch {
        return false;
      }
    });
}

it.skipIf(openssl === null)(
  'over TLS a server is measured when its certificate is trusted, and else says how it can be',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bench-tls-'));
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    await execa('openssl', [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-keyout',
      key,
      '-out',
      cert,
      ...subject,
    ]);
    const {url} = await serve({tls: {key: readFileSync(key), cert: readFileSync(cert)}});
    const strange = failure(await run(url));
    expect(strange).toEqual({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringMatching(
        /^https:\/\/HOST: its certificate is not trusted \(\w+\): name a file with it in NODE_EXTRA_CA_CERTS$/,
      ),
    });
    const {exitCode} = await runWorker(url, {env: {NODE_EXTRA_CA_CERTS: cert}});
    expect(exitCode).toBe(0);
  },
);

describe('a stream that is hard to read', () => {
  it.each([
    [
      'byte by byte',
      async (response, bytes) => {
        for (const byte of bytes) {
          response.write(Buffer.of(byte));
          await new Promise((resolve) => setImmediate(resolve));
        }
      },
    ],
    [
      'with comments, other fields and lines of all kinds',
      (response, bytes) => {
        const event = bytes.toString('utf8').trimEnd();
        response.write(`: ping\r\nid: 7\r\nretry: 10\r\n${event}\r\n\r\n:\r\n\r\n`);
      },
    ],
    [
      'with data over several lines',
      (response, bytes) => {
        response.write(`${bytes.toString('utf8').trimEnd().replaceAll(',"usage"', ',\ndata: "usage"')}\n\n`);
      },
    ],
  ] satisfies [string, NonNullable<Streaming['write']>][])('%s: all tokens are there', async (_how, write) => {
    const {url} = await serve({respond: ({body}, response) => streamTokens(response, body, {write})});
    const outcome = await run(url);
    expect(outcome.error).toBeNull();
    for (const {tokenNs} of measured(outcome)) expect(tokenNs).toHaveLength(5);
  });

  it('that ends without [DONE] is whole when its answer is', async () => {
    const {url} = await serve({respond: ({body}, response) => streamTokens(response, body, {done: false})});
    expect((await run(url)).error).toBeNull();
  });

  it('that goes on after [DONE] is not waited for', async () => {
    const respond: Respond = async ({body}, response) => {
      response.end = (() => response) as typeof response.end;
      await streamTokens(response, body);
      response.write(': still here\n\n');
    };
    const {url} = await serve({respond});
    expect(
      (await run(url, {stop: {minRequests: 1, maxRequests: 1, warmupMaxRequests: 0, warmupMinRequests: 0}})).error,
    ).toBeNull();
  });
});

describe('a server that fails', () => {
  const short = {cell: {limits: {loadSeconds: 30, idleSeconds: 1}}};
  /** The rehearsal goes well. */
  const later =
    (respond: Respond): Respond =>
    (seen, response, request) =>
      seen.nth < 2 ? streamTokens(response, seen.body) : respond(seen, response, request);
  const status =
    (code: number, body: string, headers: Record<string, string> = {}): Respond =>
    (_seen, response) =>
      void response.writeHead(code, headers).end(body);

  it.each<[string, Respond, Changes?]>([
    ['400', status(400, '{"error":{"message":"max_tokens is too large: 5"}}')],
    ['401', status(401, '{"detail":"Invalid key"}')],
    ['404', status(404, 'Not Found')],
    ['429 while it is measured', later(status(429, '{"message":"slow down"}'))],
    ['500', status(500, '<html>\u001b[31moops\u0007\n</html>')],
    ['503 while it is measured', later(status(503, ''))],
    ['a redirect', status(307, '', {location: 'https://elsewhere.example/v1?token=x'})],
    [
      'an error within the stream',
      (_seen, response) => {
        response.writeHead(200, {'content-type': 'text/event-stream'});
        response.end('data: {"error":{"message":"CUDA out of memory","code":500}}\n\n');
      },
    ],
    [
      'no JSON within the stream',
      (_seen, response) => {
        response.writeHead(200, {'content-type': 'text/event-stream'});
        response.end('data: <script>alert(1)</script>\n\n');
      },
    ],
    [
      'JSON that is no answer',
      (_seen, response) => {
        response.writeHead(200, {'content-type': 'application/json'});
        response.end('["hello"]');
      },
    ],
    [
      'an empty stream',
      (_seen, response) => {
        response.writeHead(200, {'content-type': 'text/event-stream'});
        response.end('data: [DONE]\n\n');
      },
    ],
    [
      'a connection cut within the answer',
      later((seen, response) => {
        void streamTokens(response, seen.body, {tokens: 2, done: false, write: (to, bytes) => void to.write(bytes)});
        setTimeout(() => response.destroy(), 20);
        response.end = (() => response) as typeof response.end;
      }),
    ],
    [
      'a stream that ends within the answer',
      later((_seen, response) => {
        response.writeHead(200, {'content-type': 'text/event-stream'});
        response.end('data: {"choices":[{"text":"a"}],"usage":{"completion_tokens":1}}\n\n');
      }),
    ],
    [
      'an answer that is too short',
      ({body}, response) => streamTokens(response, body, {tokens: 3, finishReason: 'stop'}),
    ],
    [
      'an answer without end',
      (_seen, response) => {
        response.writeHead(200, {'content-type': 'text/event-stream'});
        const more = () => {
          while (!response.destroyed && response.write('data: {"choices":[{"text":"a"}]}\n\n'));
          if (!response.destroyed) response.once('drain', more);
        };
        more();
      },
    ],
    [
      'a line without end',
      (_seen, response) => {
        response.writeHead(200, {'content-type': 'text/event-stream'});
        const more = () => {
          while (!response.destroyed && response.write('x'.repeat(1 << 16)));
          if (!response.destroyed) response.once('drain', more);
        };
        more();
      },
    ],
    [
      'two counts that differ',
      (_seen, response) => {
        response.writeHead(200, {'content-type': 'text/event-stream'});
        const event = (data: object) => `data: ${JSON.stringify(data)}\n\n`;
        response.write(event({choices: [{text: 'a'}], usage: {completion_tokens: 1}}));
        response.write(event({choices: [{text: 'b', finish_reason: 'length'}], usage: {completion_tokens: 2}}));
        response.end(event({choices: [], usage: {prompt_tokens: 24, completion_tokens: 4}}));
      },
    ],
    ['silence', later(() => undefined), short],
    [
      'comments, and never a token',
      later((_seen, response) => {
        response.writeHead(200, {'content-type': 'text/event-stream'});
        const timer = setInterval(() => response.write(': ping\n\n'), 50);
        response.once('close', () => clearInterval(timer));
      }),
      short,
    ],
  ])('with %s ends the cell in a line', async (_what, respond, changes) => {
    expect(await failureOf(respond, changes)).toMatchSnapshot();
  });

  it('in one lane ends the other lanes, too', async () => {
    const {url} = await serve({
      respond: ({body, nth}, response) =>
        nth === 7 ? void response.writeHead(500).end('lane') : streamTokens(response, body, {gapMs: 20}),
    });
    expect(failure(await run(url, {workload: {concurrency: 3}}))).toMatchInlineSnapshot(`
      {
        "code": "WORKER_CRASHED",
        "message": "HTTP 500: the server failed; it says: lane",
      }
    `);
  });

  it('is not there, or is something else, or has other models', async () => {
    const gone = await serve();
    await gone.close();
    expect(failure(await run(gone.url))).toMatchSnapshot('not there');
    const several = await serve({models: ['a', 'b', '<b>c</b>\n']});
    expect(failure(await run(several.url))).toMatchSnapshot('not this model');
    expect(failure(await run(several.url, {source: 'synthetic:x'}))).toMatchSnapshot('several');
    const strange = await serve({facts: {'/v1/models': {data: 'none'}}});
    expect(failure(await run(strange.url))).toMatchSnapshot('no list');
    const locked = await serve({
      intercept: (_request, response) => {
        response.writeHead(401).end();
        return true;
      },
    });
    expect(failure(await run(locked.url))).toMatchSnapshot('no key');
    expect(failure(await run(locked.url, {server: {apiKeyEnv: 'NOT_SET_ANYWHERE'}}))).toMatchSnapshot('key not set');
    const small = await serve({
      facts: {'/v1/models': {data: [{id: 'fake-model', owned_by: 'vllm', max_model_len: 16}]}},
    });
    expect(failure(await run(small.url))).toMatchSnapshot('context');
    expect(failure(await run(gone.url.replace('http:', 'https:')))).toMatchSnapshot('not there either');
    expect(failure(await run(small.url.replace('http:', 'https:')))).toMatchSnapshot('no TLS');
  });

  it('does not get a key that it repeats into the journal', async () => {
    const respond: Respond = ({authorization}, response) =>
      void response.writeHead(403).end(JSON.stringify({error: `bad ${authorization}`}));
    const {url} = await serve({respond});
    const changes = {server: {apiKeyEnv: 'FAKE_KEY'}, env: {FAKE_KEY: 'open-sesame-42'}};
    expect(failure(await run(url, changes))).toMatchInlineSnapshot(`
      {
        "code": "UNSUPPORTED",
        "message": "HTTP 403: the server wants another key: name its variable with api_key_env; it says: bad Bearer ***",
      }
    `);
  });
});
