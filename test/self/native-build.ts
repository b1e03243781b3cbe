import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {readHost} from '../../harness/cli/host.ts';
import {buildNative} from '../../harness/cli/setup/llama-native.ts';
import type {Format} from '../../harness/contract/format.ts';
import {selfWeights} from './cell.ts';
import {llamaBench, type Work} from './llama-bench.ts';
import type {Figure, Section} from './section.ts';
import {shippedTool} from './shipped-tool.ts';
import {logRatios, ratioFigure, repetitionsOf, type Turns} from './turns.ts';

const FORMATS: readonly Format[] = ['gguf-f16', 'gguf-q8_0', 'gguf-q4_k_m'];

/** The price of a binary that must run on every CPU: llama-bench built for this very CPU against it on the shipped libraries. */
export const nativeBuild: Section = {
  name: 'native-build',
  doc: 'llama-bench compiled for this CPU against llama-bench on the shipped libraries, 1B, two living processes in turns',
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
    const turns: Turns = {processes: context.quick ? 4 : 8, turns: 4, repetitions: 2};
    const works: readonly Work[] = [
      {kind: 'pp', tokens: 128},
      {kind: 'tg', tokens: 16},
    ];
    const figures: Figure[] = [];
    for (const format of FORMATS) {
      const {path} = await selfWeights(context.cacheDir, 'llama-3.2-1b', format);
      for (const work of works) {
        const what = `llama-3.2-1b ${format} ${work.kind}${work.tokens}, ${threads} threads: native build ÷ shipped`;
        if (!what.includes(context.only)) continue;
        const run = (program: string) => () =>
          llamaBench({program, model: path, threads, work, repetitions: repetitionsOf(turns)});
        const logs = await logRatios(run(programs.native), run(programs.shipped), turns, ({length}) =>
          context.log(`${what}: pair ${length} of ${turns.processes}`),
        );
        figures.push(ratioFigure(what, logs, null));
      }
    }
    return figures;
  },
};
