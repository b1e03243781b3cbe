import {execFile} from 'node:child_process';
import {createHash} from 'node:crypto';
import {mkdtempSync, readFileSync, rmSync, truncateSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {z} from 'zod';
import type {Format} from '../../../harness/contract/format.ts';
import {ARCHITECTURES, findArchitecture} from '../../../harness/weights/architectures.ts';
import {prebuiltLibraryDir} from '../../../harness/weights/llama-library.ts';
import {quantizeGguf} from '../../../harness/weights/quantize.ts';
import {writeSyntheticGguf} from '../../../harness/weights/write-gguf.ts';
import {never, temporaryDir} from './support/temporary.ts';

const libraryDir = prebuiltLibraryDir();
if (libraryDir === null)
  process.stderr.write('skipping tests of the quantizer: npm ci on Linux x64 or arm64 brings it\n');

const shared = mkdtempSync(join(tmpdir(), 'bench-quantize-'));
const source = join(shared, 'f16.gguf');
const quiet = {threads: 2, signal: never, onProgress: () => undefined};
const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

async function make(name: string, path: string): Promise<void> {
  const architecture = findArchitecture(name);
  if (architecture === null) throw new Error(name);
  await writeSyntheticGguf({architecture, seed: 1, path, signal: never, onProgress: () => undefined});
}

const LogitsSchema = z.object({
  logits: z.array(z.number()).nullable(),
  textTokens: z.array(z.number()),
  warnings: z.array(z.string()),
});

/** In a process of its own: an assertion that fails in the engine must not end the tests. */
async function evaluate(path: string) {
  const program = new URL('support/model-logits.ts', import.meta.url).pathname;
  const {stdout} = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', program, libraryDir ?? '', path, '5,6,7,8,9,10,11,12'],
    {maxBuffer: 2 ** 24},
  );
  return LogitsSchema.parse(JSON.parse(stdout));
}

/** Cosine of the angle between two lists of logits. */
function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) =>
    x.reduce((sum, value, index) => sum + value * (y[index] ?? Number.NaN), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

describe.skipIf(libraryDir === null)('llama.cpp’s quantizer', () => {
  beforeAll(() => make('bench-tiny', source));
  afterAll(() => rmSync(shared, {recursive: true}));

  test('gives the same bytes every time, whatever the number of threads', async () => {
    const folder = temporaryDir();
    const [first, second] = [join(folder, 'a'), join(folder, 'b')];
    await quantizeGguf({...quiet, input: source, output: first, format: 'gguf-q4_k_m'});
    await quantizeGguf({...quiet, input: source, output: second, format: 'gguf-q4_k_m', threads: 1});
    expect(sha256(second)).toBe(sha256(first));
  });

  test.each<[Format, number]>([
    ['gguf-q8_0', 2_823_840],
    ['gguf-q4_k_m', 1_665_184],
    ['gguf-bf16', 5_281_440],
  ])('writes %s in its size, and says how far it is', async (format, bytes) => {
    const output = join(temporaryDir(), 'out.gguf');
    const steps: number[] = [];
    await quantizeGguf({...quiet, input: source, output, format, onProgress: ({doneBytes}) => steps.push(doneBytes)});
    expect(readFileSync(output)).toHaveLength(bytes);
    expect(steps).toHaveLength(39);
    expect(steps.at(-1)).toBeGreaterThan(5e6);
  });

  test('refuses a truncated file in the words of the engine', async () => {
    const folder = temporaryDir();
    const input = join(folder, 'torn.gguf');
    await make('bench-tiny', input);
    truncateSync(input, 1_000_000);
    const work = quantizeGguf({...quiet, input, output: join(folder, 'out'), format: 'gguf-q8_0'});
    await expect(work).rejects.toMatchObject({code: 'MODEL_CORRUPT'});
    await expect(work).rejects.toThrow(
      /torn\.gguf: llama\.cpp does not quantize it to gguf-q8_0: .*corrupted or incomplete/,
    );
  });

  test('names paths that are not there', async () => {
    const output = join(temporaryDir(), 'nowhere', 'out');
    await expect(quantizeGguf({...quiet, input: '/nowhere', output, format: 'gguf-q8_0'})).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: '/nowhere: no such file or folder',
    });
    await expect(quantizeGguf({...quiet, input: source, output, format: 'gguf-q8_0'})).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
    });
  });

  test('refuses a folder without the engine', async () => {
    const folder = temporaryDir();
    const work = quantizeGguf({
      ...quiet,
      input: source,
      output: join(folder, 'out'),
      format: 'gguf-q8_0',
      libraryDir: folder,
    });
    await expect(work).rejects.toMatchObject({code: 'ENGINE_UNAVAILABLE'});
    await expect(work).rejects.toThrow('there is no libggml-base in it');
  });

  test('refuses formats that are not GGUF', async () => {
    const work = quantizeGguf({...quiet, input: source, output: '/nowhere', format: 'gptq-4bit'});
    await expect(work).rejects.toMatchObject({code: 'UNSUPPORTED'});
  });

  test('is killed by an abort', async () => {
    const controller = new AbortController();
    const work = quantizeGguf({
      ...quiet,
      input: source,
      output: join(temporaryDir(), 'out'),
      format: 'gguf-q4_k_m',
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(work).rejects.toMatchObject({code: 'INTERRUPTED'});
  });

  test('keeps the model’s answers in 8 bits', async () => {
    const output = join(temporaryDir(), 'out.gguf');
    await quantizeGguf({...quiet, input: source, output, format: 'gguf-q8_0'});
    const [full, eight] = await Promise.all([evaluate(source), evaluate(output)]);
    expect(full.logits).toHaveLength(1024);
    expect(cosine(full.logits ?? [], eight.logits ?? [])).toBeGreaterThan(0.995);
    expect(full.logits).not.toEqual(eight.logits);
  });

  test.each(ARCHITECTURES.filter(({name}) => name.startsWith('bench-tiny')).map(({name}) => name))(
    'llama.cpp loads %s without a word about its tokenizer, and computes with it',
    async (name) => {
      const path = join(temporaryDir(), 'model.gguf');
      await make(name, path);
      const {logits, textTokens, warnings} = await evaluate(path);
      // About the cache of a window, which is the context's choice and not the model's.
      expect(warnings.filter((line) => !line.includes('full-size SWA cache'))).toEqual([]);
      expect(logits?.every(Number.isFinite)).toBe(true);
      expect(new Set(logits).size).toBeGreaterThan(1000);
      // Begin of text, then bytes and merges of "Hello, the rain in 2026!".
      expect(textTokens.slice(0, 7)).toEqual([1008, 72, 101, 108, 108, 111, 44]);
    },
  );
});
