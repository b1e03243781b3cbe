import {fileURLToPath} from 'node:url';
import {execa} from 'execa';
import {z} from 'zod';
import {readHost} from '../../harness/cli/host.ts';
import {RUNNERS} from '../../harness/cli/registry.ts';
import type {Cell} from '../../harness/contract/cell.ts';
import type {HostFacts} from '../../harness/contract/device.ts';
import {PROTOCOL_VERSION} from '../../harness/contract/protocol.ts';
import type {Runner} from '../../harness/contract/runner.ts';
import {runCell, selfCell, selfWeights} from './cell.ts';
import {type Figure, median, medianBounds, type Section, type SelfContext, spread} from './section.ts';

const LOOPS = ['generate', 'hand'] as const;
type Loop = (typeof LOOPS)[number];

interface Shape {
  readonly model: string;
  /** Requests of each, worker and bare loops in turn, on one loaded model. */
  readonly pairs: number;
  /** Whole processes, worker and bare in turn. */
  readonly processes: number;
  readonly promptTokens: number;
  readonly generatedTokens: number;
  /** Least ratio; null where it is stated only. */
  readonly goal: number | null;
}

/**
 * The transformers worker against a bare loop of thirty lines that calls the same model. What the worker costs is told
 * by both loops in one process on one loaded model, request by request in turn: processes of the same program differ by
 * more than that. Whole processes are compared, too, for what a shared process cannot show (how a model is loaded, the
 * environment), and judged by nothing.
 */
export const pythonOverhead: Section = {
  name: 'python-overhead',
  doc: 'tokens/s of the transformers worker against a bare loop, FP16, in turn on one loaded model, and as processes',
  async run(context) {
    const {host} = await readHost({env: process.env});
    const {python, pythonReason} = host.software;
    if (python === null) throw new Error(pythonReason ?? 'no Python');
    const runner = RUNNERS.get('transformers');
    if (runner === undefined) throw new Error('no runner transformers');
    const {quick} = context;
    const shapes: readonly Shape[] = [
      {
        model: 'quickstart-53m',
        pairs: quick ? 40 : 120,
        processes: quick ? 0 : 1,
        promptTokens: 8,
        generatedTokens: 16,
        goal: null,
      },
      {
        model: 'llama-3.2-1b',
        pairs: quick ? 20 : 72,
        processes: quick ? 0 : 1,
        // Short, so that many fit: what the worker does once a request weighs more than in a real one.
        promptTokens: 4,
        generatedTokens: 3,
        goal: 0.99,
      },
    ];
    const compared: Compared[] = [];
    for (const shape of shapes) {
      const {path} = await selfWeights(context.cacheDir, shape.model, 'fp16');
      const threads = host.cpu.usableCores;
      compared.push(await compareShape({context, host, runner, python: python.executable, shape, threads, path}));
    }
    return [...compared.flatMap(({figures}) => figures), ...boundsOf(compared)];
  },
};

interface Bench {
  readonly context: SelfContext;
  readonly host: HostFacts;
  readonly runner: Runner;
  readonly python: string;
  readonly shape: Shape;
  readonly threads: number;
  readonly path: string;
}

interface Compared {
  readonly shape: Shape;
  readonly name: string;
  readonly figures: readonly Figure[];
  /** Upper end of what the worker costs a token, and what a token takes without it; µs. */
  readonly tokens: Readonly<Record<Loop, {readonly costAtMost: number; readonly takes: number}>>;
}

/**
 * What the worker does beside the model is the same Python for every model, so the cost that the small one shows, where
 * it can be seen, bounds the share of the large one, where noise hides it.
 */
function boundsOf([small, large]: readonly Compared[]): readonly Figure[] {
  const goal = large?.shape.goal ?? null;
  if (small === undefined || large === undefined || goal === null) return [];
  return LOOPS.map((loop) => {
    const least = 1 - small.tokens[loop].costAtMost / large.tokens[loop].takes;
    const what = `${large.name}, ${loop}: worker ÷ bare loop, by its cost on ${small.shape.model}`;
    return {what, value: `at least ${least.toFixed(4)}`, goal: `≥ ${goal}`, met: least >= goal};
  });
}

async function compareShape(bench: Bench): Promise<Compared> {
  const {context, shape, threads} = bench;
  const name = `${shape.model} fp16, ${threads} threads`;
  const figures: Figure[] = [];
  const tokens = {
    generate: {costAtMost: Number.NaN, takes: Number.NaN},
    hand: {costAtMost: Number.NaN, takes: Number.NaN},
  };
  for (const loop of LOOPS) {
    context.log(`${shape.model} ${loop}: ${shape.pairs} requests of each in one process`);
    const turns = await turnsOf(bench, loop);
    const ratios = turns.map(([worker, bare]) => bare / worker);
    const costs = turns.map(([worker, bare]) => ((worker - bare) / shape.generatedTokens) * 1e6);
    figures.push(
      {what: `${name}, ${loop}: worker ÷ bare loop`, value: interval(ratios, 4), ...judged(ratios, shape.goal)},
      {what: `${name}, ${loop}: the worker costs a token (µs)`, value: interval(costs, 1), goal: 'stated', met: null},
    );
    tokens[loop] = {
      costAtMost: medianBounds(costs)[1],
      takes: (median(turns.map(([, bare]) => bare)) / shape.generatedTokens) * 1e6,
    };
    if (loop === 'hand') {
      const more = turns.map(([, hand, generate]) => ((generate - hand) / shape.generatedTokens) * 1e6);
      const what = `${name}: generate() costs a token (µs), against the hand loop`;
      figures.push({what, value: interval(more, 0), goal: 'stated', met: null});
    }
  }
  for (const loop of LOOPS) {
    const ratios: number[] = [];
    for (let pair = 0; pair < shape.processes; pair++) {
      context.log(`${shape.model} ${loop}: processes, pair ${pair + 1} of ${shape.processes}`);
      // The order is turned in every pair, so that a drift of the machine favours neither side.
      const calls = [() => workerRate(bench, loop), () => bareRate(bench, loop)] as const;
      const [first, second] = pair % 2 === 0 ? calls : [calls[1], calls[0]];
      const [a, b] = [await first(), await second()];
      ratios.push(pair % 2 === 0 ? a / b : b / a);
    }
    if (ratios.length > 0)
      figures.push({what: `${name}, ${loop}: as processes`, value: spread(ratios), goal: 'stated', met: null});
  }
  return {shape, name, figures, tokens};
}

const interval = (values: readonly number[], digits: number): string => {
  const [low, high] = medianBounds(values).map((value) => value.toFixed(digits));
  return `${median(values).toFixed(digits)} (95 % interval ${low} to ${high}, ${values.length} pairs)`;
};

/** By the whole interval: one that holds the goal judges nothing. */
function judged(ratios: readonly number[], goal: number | null): Pick<Figure, 'goal' | 'met'> {
  if (goal === null) return {goal: 'stated', met: null};
  const [low, high] = medianBounds(ratios);
  return {goal: `interval ≥ ${goal}`, met: low >= goal ? true : high < goal ? false : null};
}

function cellOf({shape, threads}: Bench, loop: Loop, requests: number): Cell {
  const {model, promptTokens, generatedTokens} = shape;
  const plain = selfCell({
    model,
    format: 'fp16',
    runner: 'transformers',
    threads,
    promptTokens,
    generatedTokens,
    requests,
  });
  return {
    ...plain,
    settings: {...plain.settings, loop},
    stop: {...plain.stop, warmupMinRequests: 2, warmupMaxRequests: 2},
  };
}

const TurnsSchema = z.array(z.tuple([z.number().positive(), z.number().positive(), z.number().positive()])).min(1);

/** Seconds of the worker, the bare loop of the same kind and that of the other kind, request by request. */
async function turnsOf(bench: Bench, loop: Loop): Promise<z.infer<typeof TurnsSchema>> {
  const cell = cellOf(bench, loop, bench.shape.pairs);
  const {env} = bench.runner.launch(cell, bench.host);
  const folders = ['../../runners/transformers', '../../runners/worker-kit/python'].map(place);
  const {stdout} = await execa(bench.python, [place('./paired_loop.py'), ...folders], {
    input: JSON.stringify({protocol: PROTOCOL_VERSION, cell, round: 0, weightsPath: bench.path, promptsPath: null}),
    env,
  });
  return TurnsSchema.parse(JSON.parse(stdout));
}

/** Requests of one process; enough to come out of its first seconds. */
const PROCESS_REQUESTS = 6;

/** Median tokens/s of whole requests, from the start to the last token: the same interval that the script times. */
async function workerRate(bench: Bench, loop: Loop): Promise<number> {
  const {runner, host, path} = bench;
  const events = await runCell(cellOf(bench, loop, PROCESS_REQUESTS), {runner, host, weightsPath: path});
  return median(events.map(({startNs, tokenNs}) => (tokenNs.length / ((tokenNs.at(-1) ?? 0) - startNs)) * 1e9));
}

const RatesSchema = z.array(z.number().positive()).min(1);

async function bareRate({python, shape, threads, path}: Bench, loop: Loop): Promise<number> {
  const figures = [threads, shape.promptTokens, shape.generatedTokens, PROCESS_REQUESTS].map(String);
  const {stdout} = await execa(python, [place('./bare_loop.py'), path, loop, ...figures], {
    stdin: 'ignore',
    env: {CUDA_VISIBLE_DEVICES: ''},
  });
  return median(RatesSchema.parse(JSON.parse(stdout)));
}

function place(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}
