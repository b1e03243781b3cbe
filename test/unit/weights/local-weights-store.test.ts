import {createHash} from 'node:crypto';
import {mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import {BenchError} from '../../../harness/contract/errors.ts';
import type {Format} from '../../../harness/contract/format.ts';
import {Hub} from '../../../harness/weights/hub.ts';
import {hubAccess} from '../../../harness/weights/hub-fetch.ts';
import {LocalWeightsStore, type WeightsMakers} from '../../../harness/weights/local-weights-store.ts';
import {writeSyntheticGguf} from '../../../harness/weights/write-gguf.ts';
import {COMMIT, startHub} from './support/hub-server.ts';
import {
  CONFIG,
  type GgufTensorPlan,
  SAFETENSORS,
  safetensorsBytes,
  tinyGguf,
  writeModelFolder,
} from './support/model-files.ts';
import {never, temporaryDir} from './support/temporary.ts';

const TENSORS: readonly GgufTensorPlan[] = [
  {name: 'token_embd.weight', dimensions: [64, 32], type: 8, bytes: 2176},
  {name: 'blk.0.ffn_up.weight', dimensions: [64, 128], type: 8, bytes: 8704},
  {name: 'output_norm.weight', dimensions: [64], type: 0, bytes: 256},
];
const Q8 = tinyGguf({'general.file_type': {type: 'u32', value: 7}}, TENSORS);

/** A store whose makers write small files and note what they were asked for. */
function setUp(more: {readonly hub?: Hub; readonly quantized?: Buffer} = {}) {
  const cacheDir = temporaryDir();
  const asked: string[] = [];
  const steps: string[] = [];
  const small = (what: string, path: string, bytes: Buffer) => {
    asked.push(what);
    writeFileSync(path, bytes);
    return Promise.resolve({fileBytes: bytes.length, weightsBytes: 20_736, parameters: 10_304});
  };
  const makers: WeightsMakers = {
    gguf: ({architecture, seed, path}) => small(`gguf ${architecture.name} ${seed}`, path, tinyGguf()),
    safetensors: ({architecture, dtype, folder}) => {
      writeModelFolder(folder);
      return small(
        `safetensors ${architecture.name} ${dtype}`,
        join(folder, 'model.safetensors'),
        safetensorsBytes(SAFETENSORS),
      );
    },
    gptq: ({architecture, folder}) => small(`gptq ${architecture.name}`, join(folder, 'x'), Buffer.alloc(0)),
    quantize: async ({format, output}) => void (await small(`quantize ${format}`, output, more.quantized ?? Q8)),
  };
  const store = new LocalWeightsStore({
    cacheDir,
    env: {},
    makers,
    baseDir: cacheDir,
    ...(more.hub === undefined ? {} : {hub: more.hub}),
  });
  const work = {
    signal: never,
    onProgress: ({step}: {step: string}) => void (steps.at(-1) === step || steps.push(step)),
  };
  const ensure = (source: string, format: Format, seed = 1) => store.ensure({source, format, seed}, work);
  return {cacheDir, store, asked, steps, work, ensure};
}

async function refusal(work: Promise<unknown>, hide: string): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof BenchError) return `${error.code}: ${error.message.replaceAll(hide, 'DIR')}`;
    throw error;
  }
  return 'accepted';
}

const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

describe('synthetic weights', () => {
  test('are made once as F16 and quantized from there', async () => {
    const {ensure, asked, cacheDir} = setUp();
    const made = await ensure('synthetic:bench-tiny', 'gguf-q8_0');
    await ensure('synthetic:bench-tiny', 'gguf-q8_0');
    const base = await ensure('synthetic:bench-tiny', 'gguf-f16');
    expect(asked).toEqual(['gguf bench-tiny 1', 'quantize gguf-q8_0']);
    expect({
      ...made,
      path: made.path.replace(cacheDir, 'CACHE').replace(/--[0-9a-f]{8}\//, '--HASH/'),
      sha256: '',
    }).toMatchInlineSnapshot(`
      {
        "architectureName": "bench-tiny",
        "bitsPerWeight": 8.645962732919255,
        "bytesPerToken": 11136,
        "format": "gguf-q8_0",
        "kvBytesPerToken": 128,
        "parameters": 10304,
        "path": "CACHE/models/synthetic-bench-tiny--seed-1--gguf-q8_0--HASH/bench-tiny-q8_0.gguf",
        "sha256": "",
        "sourceText": "synthetic:bench-tiny seed 1",
        "synthetic": true,
        "weightsBytes": 11136,
      }
    `);
    expect(made.sha256).toBe(sha256(made.path));
    expect(base.sha256).toBe(sha256(base.path));
    await ensure('synthetic:bench-tiny', 'gguf-f16', 2);
    expect(asked.at(-1)).toBe('gguf bench-tiny 2');
  });

  test('that come out in another format are refused and not kept', async () => {
    const {ensure, store} = setUp({quantized: tinyGguf()});
    await expect(ensure('synthetic:bench-tiny', 'gguf-q8_0')).rejects.toThrow(
      /came out as gguf-f16, not as gguf-q8_0$/,
    );
    expect((await store.cache.list()).map(({format}) => format)).toEqual(['gguf-f16']);
  });

  test('as safetensors are a folder', async () => {
    const {ensure} = setUp();
    const made = await ensure('synthetic:bench-tiny', 'bf16');
    expect(made).toMatchObject({format: 'bf16', architectureName: 'bench-tiny', synthetic: true, parameters: 10_304});
    expect(readdirSync(made.path).sort()).toEqual(['config.json', 'entry.json', 'model.safetensors']);
    expect(made.sha256).toBe(sha256(join(made.path, 'model.safetensors')));
  });

  test('are estimated before, and known exactly after', async () => {
    const {ensure, store} = setUp();
    const request = {source: 'synthetic:llama-3.2-1b', format: 'gguf-q8_0', seed: 1} as const;
    const before = await store.estimate(request);
    expect(before).toMatchObject({parameters: 1_235_814_400, kvBytesPerToken: 32_768});
    // Measured with llama.cpp: 1 318 832 160 bytes of file, 5.58 MB of them header.
    expect((before?.weightsBytes ?? 0) / 1_313_250_000).toBeCloseTo(1, 2);
    expect(before?.diskBytesNeeded).toBeGreaterThan(3.7e9);
    expect(before?.secondsNeeded).toBeGreaterThan(1);
    const made = await ensure(request.source, request.format);
    expect(await store.estimate(request)).toEqual({
      weightsBytes: made.weightsBytes,
      parameters: made.parameters,
      bytesPerToken: made.bytesPerToken,
      kvBytesPerToken: made.kvBytesPerToken,
      diskBytesNeeded: 0,
      secondsNeeded: 0,
    });
  });

  test.each<[Format, number]>([
    ['gguf-q4_k_m', 799_860_000],
    ['gguf-q5_k_m', 903_670_000],
    ['gguf-q3_k_m', 683_010_000],
    ['gguf-q4_0', 763_090_000],
    ['gguf-f16', 2_471_760_000],
  ])('of Llama 3.2 1B in %s are estimated within 2 %% of what llama.cpp wrote', async (format, bytes) => {
    const estimate = await setUp().store.estimate({source: 'synthetic:llama-3.2-1b', format, seed: 1});
    expect(Math.abs((estimate?.weightsBytes ?? 0) / bytes - 1)).toBeLessThan(0.02);
  });

  test('really written are read back with the shape of the catalogue', async () => {
    const cacheDir = temporaryDir();
    const path = join(cacheDir, 'model.gguf');
    const store = new LocalWeightsStore({cacheDir, env: {}});
    const work = {signal: never, onProgress: () => undefined};
    const architecture = store.architecture('bench-tiny');
    if (architecture === null) throw new Error('bench-tiny is gone from the catalogue');
    const made = await writeSyntheticGguf({architecture, seed: 1, path, ...work});
    const artifact = await store.ensure({source: `file:${path}`, format: 'gguf-f16', seed: 1}, work);
    const estimate = await store.estimate({source: 'synthetic:bench-tiny', format: 'gguf-f16', seed: 1});
    expect(artifact).toMatchObject({
      architectureName: 'bench-tiny',
      parameters: made.parameters,
      weightsBytes: made.weightsBytes,
      synthetic: false,
    });
    expect(estimate).toMatchObject({
      parameters: artifact.parameters,
      weightsBytes: artifact.weightsBytes,
      bytesPerToken: artifact.bytesPerToken,
      kvBytesPerToken: artifact.kvBytesPerToken,
    });
  });
});

describe('a file', () => {
  test('in the format asked for is used where it lies, and hashed once', async () => {
    const {ensure, cacheDir, steps} = setUp();
    const path = join(cacheDir, 'model.gguf');
    writeFileSync(path, tinyGguf());
    const first = await ensure('file:model.gguf', 'gguf-f16');
    expect(first).toMatchObject({
      path,
      sha256: sha256(path),
      sourceText: `file:${path}`,
      synthetic: false,
      architectureName: 'llama',
    });
    expect(steps).toEqual(['hashing model.gguf']);
    await ensure('file:model.gguf', 'gguf-f16');
    expect(steps).toHaveLength(1);
    const other = tinyGguf();
    other[other.length - 1] = 1;
    writeFileSync(path, other);
    utimesSync(path, 5, 5);
    expect((await ensure('file:model.gguf', 'gguf-f16')).sha256).toBe(sha256(path));
  });

  test('of 16 bit is quantized once for each content', async () => {
    const {ensure, cacheDir, asked, store} = setUp();
    const path = join(cacheDir, 'model-f16.gguf');
    writeFileSync(path, tinyGguf());
    expect(
      (await store.estimate({source: `file:${path}`, format: 'gguf-q8_0', seed: 1}))?.diskBytesNeeded,
    ).toBeGreaterThan(0);
    const made = await ensure(`file:${path}`, 'gguf-q8_0');
    await ensure(`file:${path}`, 'gguf-q8_0');
    expect(asked).toEqual(['quantize gguf-q8_0']);
    expect(made).toMatchObject({format: 'gguf-q8_0', sourceText: `file:${path}`, synthetic: false});
    expect(made.path).toMatch(/\/model-q8_0\.gguf$/);
    expect((await store.estimate({source: `file:${path}`, format: 'gguf-q8_0', seed: 1}))?.diskBytesNeeded).toBe(0);
    const other = tinyGguf();
    other[other.length - 1] = 1;
    writeFileSync(path, other);
    await ensure(`file:${path}`, 'gguf-q8_0');
    expect(asked).toHaveLength(2);
  });

  test('that is a folder of safetensors is used as it is', async () => {
    const {ensure, cacheDir} = setUp();
    const dir = join(cacheDir, 'folder');
    writeModelFolder(dir);
    expect(await ensure(`file:${dir}`, 'bf16')).toMatchObject({
      path: dir,
      sha256: sha256(join(dir, 'model.safetensors')),
    });
  });

  test.each<[string, Format]>([
    ['file:no.gguf', 'gguf-f16'],
    ['file:q8.gguf', 'gguf-q4_0'],
    ['file:q8.gguf', 'bf16'],
    ['file:f16.gguf', 'bf16'],
    ['file:folder', 'fp16'],
    ['file:folder', 'gguf-f16'],
    ['file:folder', 'gptq-4bit'],
    ['file:folder/model.safetensors', 'bf16'],
    ['file:pickle', 'fp16'],
    ['file:pickle/pytorch_model.bin', 'fp16'],
    ['file:text.gguf', 'gguf-f16'],
    ['synthetic:bench-tyny', 'gguf-f16'],
  ])('%s as %s is refused in one line', async (source, format) => {
    const {ensure, cacheDir} = setUp();
    writeFileSync(join(cacheDir, 'q8.gguf'), Q8);
    writeFileSync(join(cacheDir, 'f16.gguf'), tinyGguf());
    writeFileSync(join(cacheDir, 'text.gguf'), 'This is a text and not a model at all.');
    writeModelFolder(join(cacheDir, 'folder'));
    mkdirSync(join(cacheDir, 'pickle'));
    writeFileSync(join(cacheDir, 'pickle', 'pytorch_model.bin'), 'PK');
    expect(await refusal(ensure(source, format), cacheDir)).toMatchSnapshot();
  });
});

describe('a model on the hub', () => {
  const connect = async (files: Readonly<Record<string, Buffer>>) => {
    const server = await startHub({files});
    return {server, hub: new Hub({access: hubAccess({HF_ENDPOINT: server.url}), delaysMs: [1]})};
  };

  test('is pulled once, recorded with its commit, and quantized from the cache without the network', async () => {
    const {server, hub} = await connect({'tiny-f16.gguf': tinyGguf()});
    const {ensure, store, asked} = setUp({hub});
    const source = 'hf:org/repo/tiny-f16.gguf';
    expect(await store.estimate({source, format: 'gguf-f16', seed: 1})).toBeNull();
    const pulled = await ensure(source, 'gguf-f16');
    expect(pulled).toMatchObject({sourceText: `hf:org/repo/tiny-f16.gguf@${COMMIT}`, sha256: sha256(pulled.path)});
    const requests = server.seen.length;
    const made = await ensure(source, 'gguf-q8_0');
    expect(made.sourceText).toBe(pulled.sourceText);
    expect(asked).toEqual(['quantize gguf-q8_0']);
    expect(await store.estimate({source, format: 'gguf-q8_0', seed: 1})).toMatchObject({diskBytesNeeded: 0});
    expect(server.seen).toHaveLength(requests);
  });

  test('that is a repository becomes a folder', async () => {
    const {hub} = await connect({
      'config.json': Buffer.from(JSON.stringify(CONFIG)),
      'model.safetensors': safetensorsBytes(SAFETENSORS),
    });
    const {ensure} = setUp({hub});
    const pulled = await ensure('hf:org/repo@main', 'bf16');
    expect(pulled).toMatchObject({format: 'bf16', sourceText: `hf:org/repo@${COMMIT}`});
    expect(readdirSync(pulled.path).sort()).toEqual(['config.json', 'entry.json', 'model.safetensors']);
  });

  test('whose bytes are right but no model is refused, and not kept as one', async () => {
    const {hub} = await connect({'tiny.gguf': Buffer.from('This is a text and not a model at all.')});
    const {ensure, store, cacheDir} = setUp({hub});
    expect(await refusal(ensure('hf:org/repo/tiny.gguf', 'gguf-f16'), cacheDir)).toMatch(
      /^MODEL_CORRUPT: .+not a GGUF file: it begins with "This"/,
    );
    expect((await store.cache.list()).map(({state}) => state)).toEqual(['partial']);
  });

  test('only can be pulled', async () => {
    const {store, work} = setUp();
    await expect(store.pull('synthetic:bench-tiny', work)).rejects.toMatchObject({code: 'MODEL_SOURCE_INVALID'});
  });
});
