import {mkdirSync, truncateSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {BenchError} from '../../../harness/contract/errors.ts';
import {bytesPerToken, kvBytesPerToken, parametersOf, weightsBytesOf} from '../../../harness/weights/artifact.ts';
import {readSafetensorsFolder, readSafetensorsHeader} from '../../../harness/weights/safetensors-reader.ts';
import {CONFIG, SAFETENSORS, safetensorsBytes, writeModelFolder} from './support/model-files.ts';
import {temporaryDir} from './support/temporary.ts';

function refusal(dir: string): string {
  try {
    readSafetensorsFolder(dir);
  } catch (error) {
    if (error instanceof BenchError) return `${error.code}: ${error.message.replace(dir, 'DIR')}`;
    throw error;
  }
  return 'accepted';
}

function folder(prepare: (dir: string) => unknown): string {
  const dir = join(temporaryDir(), 'model');
  mkdirSync(dir);
  prepare(dir);
  return dir;
}

const rawHeader = (header: string, data = 0) => {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  return Buffer.concat([length, Buffer.from(header), Buffer.alloc(data)]);
};

describe('a sound folder', () => {
  test('is counted', () => {
    const file = readSafetensorsFolder(folder((dir) => writeModelFolder(dir)));
    expect(file).toMatchObject({format: 'bf16', tied: true, files: ['model.safetensors']});
    expect(parametersOf(file.tensors)).toBe(2048 + 8192 + 64);
    expect(weightsBytesOf(file.tensors)).toBe(4096 + 16_384 + 128);
    expect(bytesPerToken(file)).toBe(4096 + 16_384 + 128);
    expect(kvBytesPerToken(file.shape)).toBe(2 * (16 + 16) * 2);
  });

  test('may be in parts named by an index, and reads nothing else', () => {
    const dir = folder((at) => {
      writeFileSync(join(at, 'config.json'), JSON.stringify(CONFIG));
      const isNorm = ([name]: readonly [string, unknown]) => name === 'model.norm.weight';
      const norm = Object.fromEntries(Object.entries(SAFETENSORS).filter(isNorm));
      const rest = Object.fromEntries(Object.entries(SAFETENSORS).filter((entry) => !isNorm(entry)));
      writeFileSync(join(at, 'model-00001-of-00002.safetensors'), safetensorsBytes(rest));
      writeFileSync(join(at, 'model-00002-of-00002.safetensors'), safetensorsBytes(norm));
      writeFileSync(join(at, 'consolidated.safetensors'), 'not looked at');
      const map = Object.fromEntries(Object.keys(rest).map((name) => [name, 'model-00001-of-00002.safetensors']));
      const index = {weight_map: {...map, 'model.norm.weight': 'model-00002-of-00002.safetensors'}};
      writeFileSync(join(at, 'model.safetensors.index.json'), JSON.stringify(index));
    });
    const file = readSafetensorsFolder(dir);
    expect(file.files).toEqual(['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']);
    expect(parametersOf(file.tensors)).toBe(2048 + 8192 + 64);
  });

  test('of GPTQ counts eight weights in each word, and scales as bytes only', () => {
    const config = {...CONFIG, quantization_config: {quant_method: 'gptq', bits: 4, group_size: 64}};
    const up = 'model.layers.0.mlp.up_proj';
    const dir = folder((at) =>
      writeModelFolder(at, config, {
        'model.embed_tokens.weight': {dtype: 'F16', shape: [32, 64], bytes: 4096},
        [`${up}.qweight`]: {dtype: 'I32', shape: [8, 128], bytes: 4096},
        [`${up}.qzeros`]: {dtype: 'I32', shape: [1, 16], bytes: 64},
        [`${up}.scales`]: {dtype: 'F16', shape: [1, 128], bytes: 256},
        [`${up}.g_idx`]: {dtype: 'I32', shape: [64], bytes: 256},
      }),
    );
    const file = readSafetensorsFolder(dir);
    expect(file.format).toBe('gptq-4bit');
    expect(parametersOf(file.tensors)).toBe(2048 + 64 * 128);
    expect(weightsBytesOf(file.tensors)).toBe(4096 + 4096 + 64 + 256 + 256);
  });

  test('takes the figures of the language model from text_config', () => {
    const dir = folder((at) =>
      writeModelFolder(at, {model_type: 'gemma3', text_config: {...CONFIG, model_type: 'gemma3_text'}}),
    );
    expect(readSafetensorsFolder(dir).shape.family).toBe('gemma3_text');
  });
});

describe('a folder is refused in one line', () => {
  const config = (dir: string, value: object = CONFIG) =>
    writeFileSync(join(dir, 'config.json'), JSON.stringify(value));
  const weights = (dir: string, bytes: Buffer) => writeFileSync(join(dir, 'model.safetensors'), bytes);
  const index = (dir: string, map: Record<string, string>) =>
    writeFileSync(join(dir, 'model.safetensors.index.json'), JSON.stringify({weight_map: map}));
  test.each<[string, (dir: string) => unknown]>([
    ['empty', () => undefined],
    ['pickle only', (dir) => writeFileSync(join(dir, 'pytorch_model.bin'), 'PK')],
    ['without config', (dir) => weights(dir, safetensorsBytes(SAFETENSORS))],
    ['config without figures', (dir) => writeModelFolder(dir, {model_type: 'llama'})],
    [
      'config that is no JSON',
      (dir) => [weights(dir, safetensorsBytes(SAFETENSORS)), writeFileSync(join(dir, 'config.json'), '{')],
    ],
    [
      'another quantization',
      (dir) => writeModelFolder(dir, {...CONFIG, quantization_config: {quant_method: 'awq', bits: 4}}),
    ],
    ['too short', (dir) => weights(dir, Buffer.alloc(4))],
    ['absurd header length', (dir) => weights(dir, Buffer.alloc(64, 0xff))],
    ['header that is no JSON', (dir) => weights(dir, rawHeader('{"a":'))],
    ['header that is a list', (dir) => weights(dir, rawHeader('[]'))],
    ['tensor without offsets', (dir) => weights(dir, rawHeader('{"a":{"dtype":"F16"}}'))],
    [
      'unknown dtype',
      (dir) => weights(dir, rawHeader('{"a":{"dtype":"toString","shape":[1],"data_offsets":[0,1]}}', 1)),
    ],
    ['wrong length', (dir) => weights(dir, rawHeader('{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,3]}}', 3))],
    [
      'overflowing shape',
      (dir) =>
        weights(
          dir,
          rawHeader('{"a":{"dtype":"F16","shape":[9007199254740991,9007199254740991],"data_offsets":[0,4]}}', 4),
        ),
    ],
    ['cut', (dir) => [writeModelFolder(dir), truncateSync(join(dir, 'model.safetensors'), 5000)]],
    ['gap', (dir) => weights(dir, rawHeader('{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', 2))],
    ['bytes left over', (dir) => weights(dir, rawHeader('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 9))],
    ['index that leaves the folder', (dir) => [config(dir), index(dir, {a: '../../secret.safetensors'})]],
    ['index that names a pickle', (dir) => [config(dir), index(dir, {a: 'pytorch_model.bin'})]],
    ['index with a missing part', (dir) => [config(dir), index(dir, {a: 'model-00001-of-00001.safetensors'})]],
  ])('%s', (_name, prepare) => {
    expect(refusal(folder(prepare))).toMatchSnapshot();
  });
});

test('whatever bytes of a header are changed, the reader answers or refuses', () => {
  const whole = safetensorsBytes(SAFETENSORS);
  const header = Number(whole.readBigUInt64LE(0)) + 8;
  const path = join(temporaryDir(), 'model.safetensors');
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(header - 1), fc.integer({min: 0, max: 255})), {minLength: 1, maxLength: 8}),
      fc.option(fc.nat(whole.length)),
      (changes, cut) => {
        const bytes = Buffer.from(whole);
        for (const [at, value] of changes) bytes[at] = value;
        writeFileSync(path, cut === null ? bytes : bytes.subarray(0, cut));
        const before = process.memoryUsage().arrayBuffers;
        try {
          readSafetensorsHeader(path);
        } catch (error) {
          if (!(error instanceof BenchError)) throw error;
          expect(error.message).not.toContain('\n');
        }
        expect(process.memoryUsage().arrayBuffers - before).toBeLessThanOrEqual(whole.length + 65_536);
      },
    ),
    {numRuns: 1000},
  );
});
