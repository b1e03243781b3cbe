import {closeSync, fsyncSync, mkdirSync, openSync, rmSync, statSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import {execa} from 'execa';
import {findArchitecture} from '../../harness/weights/architectures.ts';
import {LocalWeightsStore} from '../../harness/weights/local-weights-store.ts';
import {quantizeGguf} from '../../harness/weights/quantize.ts';
import {writeSyntheticGguf} from '../../harness/weights/write-gguf.ts';
import {type Figure, median, type Section, spread} from './section.ts';
import {shippedTool} from './shipped-tool.ts';

const MODEL = 'llama-3.2-1b';
const CHUNK = 8 << 20;

/** Synthesis of 1B F16 against a plain write of as many bytes, and quantization against the engine's own program. */
export const making: Section = {
  name: 'making',
  doc: 'speed of weights: 1B F16 synthesis against plain writing, Q4_K_M against llama-quantize',
  async run(context) {
    const folder = join(context.cacheDir, 'self');
    mkdirSync(folder, {recursive: true});
    const path = join(folder, 'synthesis.gguf');
    const output = join(folder, 'quantized.gguf');
    const architecture = findArchitecture(MODEL);
    if (architecture === null || architecture === undefined) throw new Error(`no architecture ${MODEL}`);
    const signal = new AbortController().signal;
    const figures: Figure[] = [];
    try {
      const ratios: number[] = [];
      for (let pair = 0; pair < (context.quick ? 2 : 5); pair++) {
        context.log(`synthesis against plain write: pair ${pair + 1}`);
        rmSync(path, {force: true});
        const made = await seconds(() =>
          writeSyntheticGguf({architecture, seed: 1, path, signal, onProgress: () => {}}),
        );
        const bytes = statSync(path).size;
        rmSync(path, {force: true});
        const plain = await seconds(() => writePlain(path, bytes));
        context.log(
          `  synthesis ${made.toFixed(1)} s, plain write ${plain.toFixed(1)} s, ${(bytes / 1e9).toFixed(2)} GB`,
        );
        ratios.push(plain / made);
      }
      figures.push({
        what: '1B F16 synthesis ÷ plain write speed (both with fsync)',
        value: spread(ratios, 2),
        goal: 'median ≥ 0.5',
        met: median(ratios) >= 0.5,
      });
      rmSync(path, {force: true});

      const store = new LocalWeightsStore({cacheDir: context.cacheDir, env: process.env});
      const base = await store.ensure(
        {source: `synthetic:${MODEL}`, format: 'gguf-f16', seed: 1},
        {signal, onProgress: () => {}},
      );
      const program = await shippedTool('llama-quantize', context);
      const quantized: number[] = [];
      for (let pair = 0; pair < (context.quick ? 1 : 3); pair++) {
        context.log(`quantization against llama-quantize: pair ${pair + 1}`);
        const ours = async () => {
          rmSync(output, {force: true});
          return seconds(() =>
            quantizeGguf({input: base.path, output, format: 'gguf-q4_k_m', threads: 2, signal, onProgress: () => {}}),
          );
        };
        const theirs = async () => {
          rmSync(output, {force: true});
          return seconds(() => execa(program, [base.path, output, 'Q4_K_M', '2'], {stdio: 'ignore'}));
        };
        const [first, second] = pair % 2 === 0 ? [await ours(), await theirs()] : [await theirs(), await ours()];
        const [mine, reference] = pair % 2 === 0 ? [first, second] : [second, first];
        context.log(`  ours ${mine.toFixed(1)} s, llama-quantize ${reference.toFixed(1)} s`);
        quantized.push(reference / mine);
      }
      figures.push({
        what: '1B Q4_K_M quantization: speed ÷ llama-quantize (same library)',
        value: spread(quantized, 3),
        goal: 'median ≥ 0.97',
        met: median(quantized) >= 0.97,
      });
    } finally {
      for (const file of [path, output]) rmSync(file, {force: true});
    }
    return figures;
  },
};

async function seconds(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** What `dd bs=8M conv=fsync` does. */
function writePlain(path: string, bytes: number): void {
  const buffer = Buffer.alloc(CHUNK, 0x5a);
  const file = openSync(path, 'w');
  try {
    for (let done = 0; done < bytes; done += CHUNK) writeSync(file, buffer, 0, Math.min(CHUNK, bytes - done));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
