import {createHash} from 'node:crypto';
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {expect, test} from 'vitest';
import {z} from 'zod';
import type {Architecture} from '../../../harness/contract/architecture.ts';
import type {Format} from '../../../harness/contract/format.ts';
import {ARCHITECTURES} from '../../../harness/weights/architectures.ts';
import {encodeGgufHeader} from '../../../harness/weights/gguf-encoder.ts';
import {ggufMetadata, ggufTensors, ropeFactors} from '../../../harness/weights/gguf-layout.ts';
import {huggingFaceConfig} from '../../../harness/weights/huggingface-files.ts';
import {prebuiltLibraryDir, QUANTIZER_VERSION} from '../../../harness/weights/llama-library.ts';
import {GENERATOR, LocalWeightsStore} from '../../../harness/weights/local-weights-store.ts';
import {listTensors} from '../../../harness/weights/tensors.ts';
import {makeVocabulary} from '../../../harness/weights/vocabulary.ts';
import {never, temporaryDir} from './support/temporary.ts';

/**
 * Cached models are found by GENERATOR and not by the code that made them: a maker that writes other bytes under the same
 * version would leave every cache with models that nobody can make again. Hence the bytes of each version are kept here,
 * and a version that is kept is never rewritten: raise GENERATOR, then run this test with BENCH_NEW_GENERATOR=1, which
 * adds what is new to the file.
 */
const FILE = fileURLToPath(new URL('generator.golden.json', import.meta.url));
const HOW = 'the makers write other bytes: raise GENERATOR in local-weights-store.ts (see generator.test.ts)';

const DigestsSchema = z.record(z.string(), z.string());
const GoldenSchema = z.record(z.string(), z.record(z.string(), DigestsSchema));
const golden = GoldenSchema.parse(JSON.parse(readFileSync(FILE, 'utf8')));

const FORMATS: readonly Format[] = ['fp32', 'bf16', 'fp16', 'gptq-4bit', 'gguf-f16'];
/** Of every family of llama.cpp's quantizers one: plain blocks, K-quants, non-linear ones. */
const QUANTIZED: readonly Format[] = ['gguf-q8_0', 'gguf-q4_k_m', 'gguf-iq4_nl'];
const TINY = ARCHITECTURES.filter(({name}) => name.startsWith('bench-tiny'));

const sha256 = (...parts: readonly (string | Uint8Array)[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

/** Every file of a model, with its name. */
function digestOf(path: string): string {
  if (path.endsWith('.gguf')) return sha256(readFileSync(path));
  const names = readdirSync(path).filter((name) => name !== 'entry.json');
  return sha256(
    names
      .sort()
      .map((name) => `${sha256(readFileSync(join(path, name)))}  ${name}\n`)
      .join(''),
  );
}

async function made(models: readonly Architecture[], formats: readonly Format[]): Promise<Record<string, string>> {
  const store = new LocalWeightsStore({cacheDir: temporaryDir(), env: {}, threads: 2});
  const digests: Record<string, string> = {};
  for (const {name} of models) {
    for (const format of formats) {
      const request = {source: `synthetic:${name}`, format, seed: 1};
      digests[`${name} ${format}`] = digestOf(
        (await store.ensure(request, {signal: never, onProgress: () => {}})).path,
      );
    }
  }
  return digests;
}

/** All that decides the bytes of a model but the random values: names, shapes, distributions, vocabulary, settings. */
function figures(architecture: Architecture): string {
  const header = encodeGgufHeader(ggufMetadata(architecture, 1), ggufTensors(architecture));
  const config = huggingFaceConfig(architecture, 'float16', makeVocabulary(architecture.vocabSize));
  const factors = ropeFactors(architecture);
  const rest = JSON.stringify([config, listTensors(architecture)]);
  return sha256(header, new Uint8Array(factors.buffer, factors.byteOffset, factors.byteLength), rest);
}

/** Compares with what is kept of the version; what is not kept yet (a new version, a new model) is kept when asked for. */
function check(version: string, part: string, digests: Record<string, string>): void {
  const kept = golden[version]?.[part] ?? {};
  expect(digests, HOW).toMatchObject(kept);
  const missing = Object.keys(digests).filter((name) => kept[name] === undefined);
  if (missing.length > 0 && process.env['BENCH_NEW_GENERATOR'] === '1') {
    golden[version] = {...golden[version], [part]: digests};
    writeFileSync(FILE, `${JSON.stringify(golden, null, 2)}\n`);
    return;
  }
  expect(missing, `not in generator.golden.json under ${version}: run this test with BENCH_NEW_GENERATOR=1`).toEqual(
    [],
  );
}

test('the makers write what they wrote when GENERATOR was set, for each family and format', async () => {
  check(GENERATOR, 'models', await made(TINY, FORMATS));
});

test('the catalogue’s models are what they were when GENERATOR was set', () => {
  check(GENERATOR, 'catalogue', Object.fromEntries(ARCHITECTURES.map((one) => [one.name, figures(one)])));
});

// Another processor's compiler may fuse what this one rounds.
test.skipIf(prebuiltLibraryDir() === null || process.arch !== 'x64')(
  'the quantizer writes what its version wrote',
  async () => {
    check(`${GENERATOR} llama.cpp ${QUANTIZER_VERSION}`, 'models', await made(TINY.slice(0, 1), QUANTIZED));
  },
);

test('no two versions are the same: a version that changes nothing would make every model again for nothing', () => {
  const versions = Object.entries(golden).map(([, parts]) => JSON.stringify(parts));
  expect(new Set(versions).size).toBe(versions.length);
});

test('every linear layer of the catalogue fits the layout of GPTQ', () => {
  const unfit = ARCHITECTURES.flatMap((architecture) =>
    listTensors(architecture)
      .filter(
        ({kind, shape: [outputs = 0, inputs = 0]}) => kind === 'linear' && (inputs % 128 !== 0 || outputs % 16 !== 0),
      )
      .map(({name}) => `${architecture.name} ${name}`),
  );
  expect(unfit).toEqual([]);
});
