import {readHost} from '../../harness/cli/host.ts';
import {RUNNERS} from '../../harness/cli/registry.ts';
import type {HostFacts} from '../../harness/contract/device.ts';
import type {Format} from '../../harness/contract/format.ts';
import {decodeRates, runCell, type SelfCell, selfCell, selfWeights} from './cell.ts';
import {llamaBench, type Work} from './llama-bench.ts';
import {type Figure, median, type Section, type SelfContext, spread} from './section.ts';
import {shippedTool} from './shipped-tool.ts';
import {logRatios, ratioFigure, ratioInterval, repetitionsOf, type Turns} from './turns.ts';
import {worker} from './worker-contestant.ts';

const FORMATS: readonly Format[] = ['gguf-f16', 'gguf-q8_0', 'gguf-q4_k_m'];

interface Shape {
  readonly model: string;
  readonly goal: number;
  /** About half a second each at 1B, a tenth in the small model: short against the drift of a host. */
  readonly works: readonly Work[];
  readonly threads: readonly number[];
  readonly turns: Turns;
}

/**
 * Our `llama-cpp` runner against llama-bench, linked to the same shared libraries: same machine code, same threads. Both
 * processes live at the same time, and run in turns of a second or two ({@link logRatios}): to tell 1 % on a host that
 * drifts by 5 % from one process to the next, pairs of whole processes would take hours.
 *
 * llama-bench against itself is the control: what the procedure makes of two equal sides.
 */
export const engineLoop: Section = {
  name: 'engine-loop',
  doc: 'tokens/s of the llama-cpp runner against llama.cpp’s own loop, same library, two living processes in turns',
  async run(context) {
    const {host} = await readHost({env: process.env}, {pythonProbe: 'skip'});
    const cores = host.cpu.usableCores;
    const program = await shippedTool('llama-bench', context);
    const processes = context.quick ? 4 : 8;
    const small: Shape = {
      model: 'quickstart-53m',
      goal: 0.95,
      works: [
        {kind: 'pp', tokens: 128},
        {kind: 'tg', tokens: 32},
      ],
      threads: [1, cores],
      turns: {processes, turns: 6, repetitions: 3},
    };
    const large: Shape = {
      model: 'llama-3.2-1b',
      goal: 0.99,
      works: [
        {kind: 'pp', tokens: 64},
        {kind: 'tg', tokens: 8},
      ],
      threads: [cores],
      turns: {processes, turns: 5, repetitions: 2},
    };
    return [
      ...(await compareShape(context, host, program, small)),
      ...(await compareShape(context, host, program, large)),
    ];
  },
};

async function compareShape(context: SelfContext, host: HostFacts, program: string, shape: Shape): Promise<Figure[]> {
  const {model, turns} = shape;
  const repetitions = repetitionsOf(turns);
  const figures: Figure[] = [];
  for (const format of FORMATS) {
    for (const threads of new Set(shape.threads)) {
      for (const work of shape.works) {
        const name = `${model} ${format} ${work.kind}${work.tokens}, ${threads} threads`;
        const wanted = (what: string) => what.includes(context.only);
        const ours = `${name}: ours ÷ llama-bench`;
        const control = `${name}: llama-bench ÷ llama-bench (control)`;
        // One control a shape and kind of work: it is about the procedure, not about a format.
        const controlled = format === 'gguf-q8_0' && threads === host.cpu.usableCores && wanted(control);
        if (!wanted(ours) && !controlled) continue;
        const {path} = await selfWeights(context.cacheDir, model, format);
        const theirs = () => llamaBench({program, model: path, threads, work, repetitions});
        const mine = () =>
          worker({runner: 'llama-cpp', host, model, format, threads, work, repetitions, weightsPath: path});
        const told = (what: string) => (logs: readonly number[]) => {
          const {ratio, low, high} = ratioInterval(logs);
          const so = Number.isNaN(low) ? '' : ` (${low.toFixed(3)}–${high.toFixed(3)})`;
          context.log(`${what}: pair ${logs.length} of ${turns.processes}, ${ratio.toFixed(4)}${so}`);
        };
        if (wanted(ours)) figures.push(ratioFigure(ours, await logRatios(mine, theirs, turns, told(ours)), shape.goal));
        if (controlled) figures.push(ratioFigure(control, await logRatios(theirs, theirs, turns, told(control)), null));
      }
    }
  }
  return figures;
}

async function run(host: HostFacts, wanted: SelfCell, weightsPath: string) {
  const runner = RUNNERS.get(wanted.runner);
  if (runner === undefined) throw new Error(`no runner ${wanted.runner}`);
  return runCell(selfCell(wanted), {runner, host, weightsPath});
}

/** What the package's own API costs a token, on the model where it shows. */
export const nodeOverhead: Section = {
  name: 'node-overhead',
  doc: 'time per token of node-llama-cpp’s evaluate against the C API, same model, same threads, paired',
  async run(context) {
    const {host} = await readHost({env: process.env}, {pythonProbe: 'skip'});
    const {path} = await selfWeights(context.cacheDir, 'bench-tiny', 'gguf-f16');
    const figures: Figure[] = [];
    for (const threads of [...new Set([1, host.cpu.usableCores])]) {
      const overheads: number[] = [];
      for (let pair = 0; pair < (context.quick ? 3 : 9); pair++) {
        context.log(`bench-tiny ${threads} threads: pair ${pair + 1}`);
        const wanted = {
          model: 'bench-tiny',
          format: 'gguf-f16',
          threads,
          promptTokens: 8,
          generatedTokens: 65,
          requests: 8,
        } as const;
        const perToken = async (runner: string) =>
          1e6 / median(decodeRates(await run(host, {...wanted, runner}, path)));
        const direct = await perToken('llama-cpp');
        overheads.push((await perToken('node-llama-cpp')) - direct);
      }
      figures.push({
        what: `node-llama-cpp overhead a token, bench-tiny F16, ${threads} threads (µs)`,
        value: spread(overheads, 0),
        goal: 'stated',
        met: null,
      });
    }
    return figures;
  },
};
