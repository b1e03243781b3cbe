import {createHash} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import type {Architecture} from '../../../harness/contract/architecture.ts';
import {findArchitecture} from '../../../harness/weights/architectures.ts';
import {ropeFactors} from '../../../harness/weights/gguf-layout.ts';
import {F16_VALUES} from '../../../harness/weights/half-float.ts';
import {TensorValues} from '../../../harness/weights/tensor-values.ts';
import {listTensors} from '../../../harness/weights/tensors.ts';
import {writeSyntheticGguf} from '../../../harness/weights/write-gguf.ts';
import {never, temporaryDir} from './support/temporary.ts';

function catalogue(name: string): Architecture {
  const architecture = findArchitecture(name);
  if (architecture === null) throw new Error(name);
  return architecture;
}

async function make(name: string, seed = 1) {
  const path = join(temporaryDir(), 'model.gguf');
  const made = await writeSyntheticGguf({
    architecture: catalogue(name),
    seed,
    path,
    signal: never,
    onProgress: () => undefined,
  });
  return {...made, bytes: readFileSync(path)};
}

test('the same seed gives the same bytes, on every machine', async () => {
  const {bytes, fileBytes} = await make('bench-tiny');
  expect(bytes).toHaveLength(fileBytes);
  expect((await make('bench-tiny')).bytes.equals(bytes)).toBe(true);
  expect((await make('bench-tiny', 2)).bytes.equals(bytes)).toBe(false);
  expect(createHash('sha256').update(bytes).digest('hex')).toMatchInlineSnapshot(
    `"d076eb8e1099677d0067e38c72118017b5b3b96d7b232c974f788b9ab8bfa7bb"`,
  );
});

test('the file begins as GGUF version 3 with its counts', async () => {
  const {bytes} = await make('bench-tiny');
  expect(bytes.toString('latin1', 0, 4)).toBe('GGUF');
  expect(bytes.readUInt32LE(4)).toBe(3);
  expect(bytes.readBigUInt64LE(8)).toBe(39n);
  expect(bytes.readBigUInt64LE(16)).toBe(28n);
  expect(bytes.readBigUInt64LE(24)).toBe(20n);
  expect(bytes.toString('latin1', 32, 52)).toBe('general.architecture');
  expect(bytes.readUInt32LE(52)).toBe(8);
  expect(bytes.toString('latin1', 64, 69)).toBe('llama');
});

test('the last tensor lies at the end, in Gemma as norm + 1', async () => {
  const {bytes} = await make('bench-tiny-gemma');
  const norm = listTensors(catalogue('bench-tiny-gemma')).at(-1);
  expect(norm?.name).toBe('model.norm.weight');
  const stored = new Float32Array(new Uint8Array(bytes.subarray(-4 * 256)).buffer);
  const values = norm && new TensorValues(1, norm).all(256);
  expect([...stored]).toEqual(values && Array.from(values, (bits) => Math.fround(1 + (F16_VALUES[bits] ?? 0))));
  expect(Math.abs(stored.reduce((sum, value) => sum + value, 0) / 256 - 1)).toBeLessThan(0.1);
});

test('frequencies of scaled RoPE stay, stretch, or are blended', () => {
  const factors = ropeFactors(catalogue('llama-3.2-1b'));
  expect(factors).toHaveLength(32);
  expect(new Set(factors.subarray(0, 15))).toEqual(new Set([1]));
  // Wavelengths between 2048 and 8192 positions are blended.
  expect([...factors.subarray(14, 20)].map((factor) => factor.toFixed(4))).toMatchInlineSnapshot(`
    [
      "1.0000",
      "1.6513",
      "3.2923",
      "9.6667",
      "32.0000",
      "32.0000",
    ]
  `);
  expect(new Set(factors.subarray(18))).toEqual(new Set([32]));
});

test('an abort ends the work with INTERRUPTED', async () => {
  const controller = new AbortController();
  const work = writeSyntheticGguf({
    architecture: catalogue('bench-tiny'),
    seed: 1,
    path: join(temporaryDir(), 'model.gguf'),
    signal: controller.signal,
    onProgress: () => controller.abort(),
  });
  await expect(work).rejects.toMatchObject({code: 'INTERRUPTED'});
});

test('a model that the disk cannot hold is refused at once, with path and bytes', async () => {
  const path = join(temporaryDir(), 'model.gguf');
  const architecture = {...catalogue('bench-tiny'), hiddenSize: 2 ** 36};
  const work = writeSyntheticGguf({architecture, seed: 1, path, signal: never, onProgress: () => undefined});
  await expect(work).rejects.toMatchObject({code: 'DISK_FULL', details: {path}});
  await expect(work).rejects.toThrow(/model\.gguf: [\d.]+ TiB needed, .* free in /);
});

test('a folder that does not exist is named', async () => {
  const path = join(temporaryDir(), 'nowhere', 'model.gguf');
  const work = writeSyntheticGguf({
    architecture: catalogue('bench-tiny'),
    seed: 1,
    path,
    signal: never,
    onProgress: () => undefined,
  });
  await expect(work).rejects.toMatchObject({code: 'FILE_UNREADABLE', message: `${path}: no such file or folder`});
});
