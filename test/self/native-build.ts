import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {readHost} from '../../harness/cli/host.ts';
import {buildNative} from '../../harness/cli/setup/llama-native.ts';
import type {Format} from '../../harness/contract/format.ts';
import {selfWeights} from './cell.ts';
import {llamaBench} from './llama-bench.ts';
import {type Figure, median, type Section, spread} from './section.ts';
import {shippedTool} from './shipped-tool.ts';

const FORMATS: readonly Format[] = ['gguf-f16', 'gguf-q8_0', 'gguf-q4_k_m'];

/** The price of a binary that must run on every CPU: llama-bench built for this very CPU against it on the shipped libraries. */
export const nativeBuild: Section = {
  name: 'native-build',
  doc: 'llama-bench compiled for this CPU against llama-bench on the shipped libraries, 1B, paired A B A B',
  async run(context) {
    const {host} = await readHost({env: process.env}, {pythonProbe: 'skip'});
    const threads = host.cpu.usableCores;
    const {folder} = await buildNative({
      packageDir: dirname(dirname(createRequire(import.meta.url).resolve('node-llama-cpp'))),
      targetDir: join(context.cacheDir, 'llama-cpp'),
      cpuFlags: host.cpu.flags,
      searchPath: process.env['PATH'] ?? '',
      cuda: false,
      withLlamaBench: true,
      signal: new AbortController().signal,
      onStep: context.log,
    });
    const programs = {shipped: await shippedTool('llama-bench', context), native: join(folder, 'llama-bench')};
    const pairs = context.quick ? 3 : 9;
    const figures: Figure[] = [];
    for (const format of FORMATS) {
      const {path} = await selfWeights(context.cacheDir, 'llama-3.2-1b', format);
      const ratios = {pp: [] as number[], tg: [] as number[]};
      for (let pair = 0; pair < pairs; pair++) {
        context.log(`llama-3.2-1b ${format}: pair ${pair + 1} of ${pairs}`);
        const run = (program: string) =>
          llamaBench({program, model: path, threads, prompt: 128, generate: 24, repetitions: 1});
        // The order is turned in every pair, so that a drift of the machine favours neither side.
        const turned = pair % 2 === 1;
        const first = await run(turned ? programs.shipped : programs.native);
        const second = await run(turned ? programs.native : programs.shipped);
        const [native, shipped] = turned ? [second, first] : [first, second];
        ratios.pp.push(median(native.pp) / median(shipped.pp));
        ratios.tg.push(median(native.tg) / median(shipped.tg));
      }
      for (const [what, tokens] of [
        ['pp', 128],
        ['tg', 24],
      ] as const) {
        figures.push({
          what: `llama-3.2-1b ${format} ${what}${tokens}, ${threads} threads: native build ÷ shipped`,
          value: spread(ratios[what]),
          goal: 'stated',
          met: null,
        });
      }
    }
    return figures;
  },
};
