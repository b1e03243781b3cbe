import {fileURLToPath} from 'node:url';
import {execa} from 'execa';
import {z} from 'zod';
import {readHost} from '../../harness/cli/host.ts';
import {RUNNERS} from '../../harness/cli/registry.ts';
import type {HostFacts} from '../../harness/contract/device.ts';
import {LocalWeightsStore} from '../../harness/weights/local-weights-store.ts';
import {runCell, selfCell} from './cell.ts';
import {type Figure, median, type Section, type SelfContext, spread} from './section.ts';

const LOOPS = ['generate', 'hand'] as const;
type Loop = (typeof LOOPS)[number];

interface Shape {
  readonly model: string;
  readonly pairs: number;
  readonly promptTokens: number;
  readonly generatedTokens: number;
  readonly requests: number;
  /** Least ratio; null where it is stated only. */
  readonly goal: number | null;
}

/** The transformers worker against a script of thirty lines that calls the same model in the same loop. */
export const pythonOverhead: Section = {
  name: 'python-overhead',
  doc: 'tokens/s of the transformers worker against a bare script, FP16, same loop, paired; generate() against a hand loop',
  async run(context) {
    const {host} = await readHost({env: process.env});
    const {python, pythonReason} = host.software;
    if (python === null) throw new Error(pythonReason ?? 'no Python');
    const shapes: readonly Shape[] = [
      {
        model: 'quickstart-53m',
        pairs: context.quick ? 3 : 9,
        promptTokens: 8,
        generatedTokens: 64,
        requests: 8,
        goal: null,
      },
      {
        model: 'llama-3.2-1b',
        pairs: context.quick ? 3 : 7,
        promptTokens: 8,
        generatedTokens: context.quick ? 16 : 32,
        requests: 2,
        goal: 0.99,
      },
    ];
    const figures: Figure[] = [];
    for (const shape of shapes) figures.push(...(await compareShape(context, host, python.executable, shape)));
    return figures;
  },
};

async function compareShape(context: SelfContext, host: HostFacts, python: string, shape: Shape): Promise<Figure[]> {
  const store = new LocalWeightsStore({cacheDir: context.cacheDir, env: process.env});
  const {path} = await store.ensure(
    {source: `synthetic:${shape.model}`, format: 'fp16', seed: 1},
    {signal: new AbortController().signal, onProgress: () => {}},
  );
  const threads = host.cpu.usableCores;
  const overhead: Record<Loop, number[]> = {generate: [], hand: []};
  const loops: number[] = [];
  const perToken: number[] = [];
  for (let pair = 0; pair < shape.pairs; pair++) {
    const ours: Record<Loop, number> = {generate: Number.NaN, hand: Number.NaN};
    // The order is turned in every pair, so that a drift of the machine favours neither side.
    for (const loop of pair % 2 === 0 ? LOOPS : LOOPS.toReversed()) {
      context.log(`${shape.model} ${loop}: pair ${pair + 1} of ${shape.pairs}`);
      const worker = () => workerRate(host, shape, {loop, threads, path});
      const bare = () => bareRate(python, shape, {loop, threads, path});
      const [a, b] = pair % 2 === 0 ? [await worker(), await bare()] : [await bare(), await worker()];
      const [mine, theirs] = pair % 2 === 0 ? [a, b] : [b, a];
      ours[loop] = mine;
      overhead[loop].push(mine / theirs);
    }
    loops.push(ours.generate / ours.hand);
    perToken.push((1 / ours.generate - 1 / ours.hand) * 1e6);
  }
  const name = `${shape.model} fp16, ${threads} threads`;
  return [
    ...LOOPS.map((loop) => ({
      what: `${name}, ${loop}: worker ÷ bare script`,
      value: spread(overhead[loop]),
      goal: shape.goal === null ? 'stated' : `median ≥ ${shape.goal}`,
      met: shape.goal === null ? null : median(overhead[loop]) >= shape.goal,
    })),
    {what: `${name}: generate() ÷ hand loop`, value: spread(loops), goal: 'stated', met: null},
    {what: `${name}: generate() costs a token (µs)`, value: spread(perToken, 0), goal: 'stated', met: null},
  ];
}

interface Place {
  readonly loop: Loop;
  readonly threads: number;
  readonly path: string;
}

/** Median tokens/s of whole requests, from the start to the last token: the same interval that the script times. */
async function workerRate(host: HostFacts, shape: Shape, {loop, threads, path}: Place): Promise<number> {
  const runner = RUNNERS.get('transformers');
  if (runner === undefined) throw new Error('no runner transformers');
  const {model, promptTokens, generatedTokens, requests} = shape;
  const plain = selfCell({
    model,
    format: 'fp16',
    runner: 'transformers',
    threads,
    promptTokens,
    generatedTokens,
    requests,
  });
  const cell = {...plain, settings: {...plain.settings, loop}};
  const events = await runCell(cell, {runner, host, weightsPath: path});
  return median(events.map(({startNs, tokenNs}) => (tokenNs.length / ((tokenNs.at(-1) ?? 0) - startNs)) * 1e9));
}

const RatesSchema = z.array(z.number().positive()).min(1);

async function bareRate(python: string, shape: Shape, {loop, threads, path}: Place): Promise<number> {
  const script = fileURLToPath(new URL('./bare_loop.py', import.meta.url));
  const figures = [threads, shape.promptTokens, shape.generatedTokens, shape.requests].map(String);
  const {stdout} = await execa(python, [script, path, loop, ...figures], {
    stdin: 'ignore',
    env: {CUDA_VISIBLE_DEVICES: ''},
  });
  return median(RatesSchema.parse(JSON.parse(stdout)));
}
