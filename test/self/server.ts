import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';
import {z} from 'zod';
import {readHost} from '../../harness/cli/host.ts';
import {RUNNERS} from '../../harness/cli/registry.ts';
import type {Cell} from '../../harness/contract/cell.ts';
import {PROTOCOL_VERSION, type RequestEvent} from '../../harness/contract/protocol.ts';
import {SERVER_RUNNER, type ServerRef} from '../../harness/contract/server.ts';
import {measureServer} from '../../runners/openai-http/round.ts';
import {decodeRates, prefillRates, runCell, selfCell, selfWeights} from './cell.ts';
import {type Figure, median, type Section, type SelfContext, spread} from './section.ts';
import {shippedServer} from './shipped-server.ts';

const SERVER: ServerRef = {
  url: null,
  command: null,
  env: {},
  elsewhere: false,
  apiKeyEnv: null,
  endpoint: 'completions',
  prompt: 'tokens',
  fixedLength: true,
  vocabularyTokens: null,
  body: {},
};
/** The clock that all processes of a machine share. */
const nowMs = () => Number(process.hrtime.bigint()) / 1e6;

/** What the client of openai-http adds to a server's own times, and what a server adds to its engine. */
export const server: Section = {
  name: 'server',
  doc: 'openai-http: how late a token is noted, and llama-server against the llama-cpp runner on the same library',
  async run(context) {
    const lateness: Figure[] = [];
    for (const lanes of [1, 16]) lateness.push(...(await noted(lanes, context)));
    return [...lateness, ...(await beside(context))];
  },
};

const NotedSchema = z.record(z.string(), z.object({cameMs: z.number(), sentMs: z.array(z.number())}));

/** A server that notes when it sends what, against what the client notes. */
async function noted(lanes: number, {quick, log}: SelfContext): Promise<Figure[]> {
  log(`a server with known times, ${lanes} lanes`);
  const fixture = fileURLToPath(new URL('../fixtures/timed-server.mjs', import.meta.url));
  const child = spawn(process.execPath, [fixture, '--gap', '5', '--until-eof'], {stdio: ['pipe', 'pipe', 'inherit']});
  try {
    const [port] = (await once(createInterface({input: child.stdout}), 'line')) as [string]; // A line is a text.
    const cell = servedCell(
      {...SERVER, url: `http://127.0.0.1:${port}/v1`},
      {lanes, requests: quick ? 4 * lanes : 40 * lanes},
    );
    const requests: RequestEvent[] = [];
    await measureServer(
      {protocol: PROTOCOL_VERSION, cell, round: 0, weightsPath: '', promptsPath: null},
      {
        env: {},
        now: nowMs,
        send(event) {
          if (event.type === 'request' && event.phase === 'measure') requests.push({...event, lane: event.lane ?? 0});
        },
      },
    );
    const response = await fetch(`http://127.0.0.1:${port}/noted`);
    const bySalt = NotedSchema.parse(await response.json());
    const of = (index: number) => bySalt[`bench-${cell.id}-${cell.promptSeed}-0-measure-${index}-0`];
    const tokens = requests.flatMap(({index, tokenNs}) =>
      tokenNs.map((ns, token) => 1000 * (ns / 1e6 - (of(index)?.sentMs[token] ?? Number.NaN))),
    );
    const sending = requests.map(({index, startNs}) => 1000 * ((of(index)?.cameMs ?? Number.NaN) - startNs / 1e6));
    const tail = (values: readonly number[]) =>
      [...values].sort((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? 0;
    const show = (values: readonly number[]) =>
      `${median(values).toFixed(0)} µs (p99 ${tail(values).toFixed(0)} µs, n = ${values.length})`;
    return [
      {what: `a token is noted after it was sent, ${lanes} lanes`, value: show(tokens), goal: 'stated', met: null},
      {
        what: `a request is there after its clock started, ${lanes} lanes`,
        value: show(sending),
        goal: 'stated',
        met: null,
      },
    ];
  } finally {
    child.stdin.end();
    await once(child, 'exit');
  }
}

/** The same library in the worker and behind llama-server, in turns. */
async function beside(context: SelfContext): Promise<Figure[]> {
  const {host} = await readHost({env: process.env}, {pythonProbe: 'skip'});
  const program = await shippedServer(context.cacheDir, context.log);
  const {path} = await selfWeights(context.cacheDir, 'quickstart-53m', 'gguf-q8_0');
  const threads = host.cpu.usableCores;
  const command = [
    program,
    '-m',
    '{model}',
    '--port',
    '{port}',
    '-c',
    '{context_total}',
    '-np',
    '{concurrency}',
    '-t',
    '{threads}',
  ];
  const requests = context.quick ? 10 : 40;
  const served = {...servedCell({...SERVER, command}, {lanes: 1, requests}), source: 'synthetic:quickstart-53m'};
  const cells = {
    server: {...served, settings: {...served.settings, threads}},
    engine: selfCell({...SHAPE, format: 'gguf-q8_0', runner: 'llama-cpp', threads, requests}),
  };
  const measure = async (cell: Cell, id: string) => {
    const runner = RUNNERS.get(id);
    if (runner === undefined) throw new Error(`no runner ${id}`);
    return await runCell(cell, {runner, host, weightsPath: path});
  };
  const ratios = {decode: [] as number[], prefill: [] as number[]};
  for (let pair = 0; pair < (context.quick ? 2 : 7); pair++) {
    context.log(`llama-server and llama-cpp, pair ${pair + 1}`);
    const turned = pair % 2 === 1;
    const first = turned ? await measure(cells.engine, 'llama-cpp') : await measure(cells.server, SERVER_RUNNER);
    const second = turned ? await measure(cells.server, SERVER_RUNNER) : await measure(cells.engine, 'llama-cpp');
    const [ofServer, ofEngine] = turned ? [second, first] : [first, second];
    ratios.decode.push(median(decodeRates(ofServer)) / median(decodeRates(ofEngine)));
    ratios.prefill.push(median(prefillRates(ofServer)) / median(prefillRates(ofEngine)));
  }
  const what = (kind: string) => `quickstart-53m gguf-q8_0, ${threads} threads, ${kind}: llama-server ÷ llama-cpp`;
  return [
    {what: what('decode'), value: spread(ratios.decode), goal: 'stated', met: null},
    {what: what('prefill'), value: spread(ratios.prefill), goal: 'stated', met: null},
  ];
}

const SHAPE = {model: 'quickstart-53m', promptTokens: 64, generatedTokens: 32} as const;

function servedCell(ref: ServerRef, {lanes, requests}: {lanes: number; requests: number}): Cell {
  const cell = selfCell({...SHAPE, format: 'gguf-q8_0', runner: 'server', threads: 1, requests});
  return {
    ...cell,
    source: 'server:timed',
    runner: {id: 'server', server: ref},
    workload: {...cell.workload, concurrency: lanes},
  };
}
