import {readHost} from '../../harness/cli/host.ts';
import {RUNNERS} from '../../harness/cli/registry.ts';
import type {HostFacts} from '../../harness/contract/device.ts';
import type {Format} from '../../harness/contract/format.ts';
import {decodeRates, prefillRates, runCell, type SelfCell, selfCell, selfWeights} from './cell.ts';
import {llamaBench} from './llama-bench.ts';
import {type Figure, median, type Section, type SelfContext, spread} from './section.ts';
import {shippedTool} from './shipped-tool.ts';

const FORMATS: readonly Format[] = ['gguf-f16', 'gguf-q8_0', 'gguf-q4_k_m'];

interface Shape {
  readonly model: string;
  readonly goal: number;
  readonly pairs: number;
  /** Tokens of prompt processing and of generation. */
  readonly prompt: number;
  readonly generate: number;
  readonly requests: number;
  readonly threads: readonly number[];
}

/** Our `llama-cpp` runner against llama-bench, linked to the same shared libraries: same machine code, same threads. */
export const engineLoop: Section = {
  name: 'engine-loop',
  doc: 'tokens/s of the llama-cpp runner against llama.cpp’s own loop, same library, paired A B A B',
  async run(context) {
    const {host} = await readHost({env: process.env}, {pythonProbe: 'skip'});
    const cores = host.cpu.usableCores;
    const program = await shippedTool('llama-bench', context);
    const large: Shape = {
      model: 'llama-3.2-1b',
      goal: 0.99,
      pairs: context.quick ? 3 : 5,
      prompt: 512,
      generate: context.quick ? 32 : 64,
      requests: 1,
      threads: [cores],
    };
    const small: Shape = {
      model: 'quickstart-53m',
      goal: 0.95,
      pairs: context.quick ? 3 : 7,
      prompt: 128,
      generate: 64,
      requests: 8,
      threads: [1, cores],
    };
    return [
      ...(await compareShape(context, host, program, small)),
      ...(await compareShape(context, host, program, large)),
    ];
  },
};

async function compareShape(context: SelfContext, host: HostFacts, program: string, shape: Shape): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const format of FORMATS) {
    const {path} = await selfWeights(context.cacheDir, shape.model, format);
    for (const threads of [...new Set(shape.threads)]) {
      const pp: number[] = [];
      const tg: number[] = [];
      for (let pair = 0; pair < shape.pairs; pair++) {
        context.log(`${shape.model} ${format} ${threads} threads: pair ${pair + 1} of ${shape.pairs}`);
        const theirs = () =>
          llamaBench({
            program,
            model: path,
            threads,
            prompt: shape.prompt,
            generate: shape.generate,
            repetitions: shape.requests,
          });
        const ours = async () => ({
          pp: await prefill(host, shape, format, threads, path),
          tg: await decode(host, shape, format, threads, path),
        });
        // The order is turned in every pair, so that a drift of the machine favours neither side.
        const [first, second] = pair % 2 === 0 ? [await ours(), await theirs()] : [await theirs(), await ours()];
        const [mine, reference] = pair % 2 === 0 ? [first, second] : [second, first];
        pp.push(median(mine.pp) / median(reference.pp));
        tg.push(median(mine.tg) / median(reference.tg));
      }
      for (const [what, ratios] of [
        ['pp', pp],
        ['tg', tg],
      ] as const) {
        figures.push({
          what: `${shape.model} ${format} ${what}${what === 'pp' ? shape.prompt : shape.generate}, ${threads} threads: ours ÷ llama-bench`,
          value: spread(ratios),
          goal: `median ≥ ${shape.goal}`,
          met: median(ratios) >= shape.goal,
        });
      }
    }
  }
  return figures;
}

type Place = readonly [HostFacts, Shape, Format, number, string];

async function prefill(...[host, shape, format, threads, path]: Place): Promise<readonly number[]> {
  return prefillRates(
    await run(
      host,
      {
        model: shape.model,
        format,
        runner: 'llama-cpp',
        threads,
        promptTokens: shape.prompt,
        generatedTokens: 1,
        requests: shape.requests,
      },
      path,
    ),
  );
}

/** llama-bench generates from an empty context: a prompt of one token comes nearest. */
async function decode(...[host, shape, format, threads, path]: Place): Promise<readonly number[]> {
  return decodeRates(
    await run(
      host,
      {
        model: shape.model,
        format,
        runner: 'llama-cpp',
        threads,
        promptTokens: 1,
        generatedTokens: shape.generate + 1,
        requests: shape.requests,
      },
      path,
    ),
  );
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
