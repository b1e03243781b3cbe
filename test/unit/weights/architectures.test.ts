import {expect, test} from 'vitest';
import {ARCHITECTURES, findArchitecture} from '../../../harness/weights/architectures.ts';
import {countParameters, listTensors} from '../../../harness/weights/tensors.ts';

/** As the model pages (safetensors parameter count) state them. */
const PUBLISHED = {
  'llama-3.2-1b': 1_235_814_400,
  'llama-3.2-3b': 3_212_749_824,
  'llama-3-8b': 8_030_261_248,
  'gemma-2b': 2_506_172_416,
  'gemma-3-1b': 999_885_952,
  'mistral-7b': 7_241_732_096,
  'mistral-7b-v0.3': 7_248_023_552,
  'phi-2': 2_779_683_840,
  'qwen2.5-0.5b': 494_032_768,
  'qwen2.5-1.5b': 1_543_714_304,
  'tinyllama-1.1b': 1_100_048_384,
};

test.each(Object.entries(PUBLISHED))('%s has the published number of parameters', (name, parameters) => {
  const architecture = findArchitecture(name);
  expect(architecture && countParameters(architecture)).toBe(parameters);
});

test('every real model of the catalogue is checked above', () => {
  const real = ARCHITECTURES.filter(({source}) => !source.startsWith('made for')).map(({name}) => name);
  expect(real.sort()).toEqual(Object.keys(PUBLISHED).sort());
});

test('the rows of the tiny shapes suit K-quants', () => {
  for (const architecture of ARCHITECTURES.filter(({name}) => name.startsWith('bench-tiny'))) {
    const matrices = listTensors(architecture).filter(({shape}) => shape.length === 2);
    expect(matrices.filter(({shape}) => (shape[1] ?? 0) % 256 !== 0)).toEqual([]);
  }
});

test('an unknown name is not found', () => {
  expect(findArchitecture('llama-4')).toBeNull();
});

test('names of tensors are unique in both layouts', () => {
  for (const architecture of ARCHITECTURES) {
    const tensors = listTensors(architecture);
    expect(new Set(tensors.map(({name}) => name)).size).toBe(tensors.length);
    expect(new Set(tensors.map(({gguf}) => gguf.name)).size).toBe(tensors.length);
  }
});
