import {describe, expect, test} from 'vitest';
import type {Cell} from '../../../harness/contract/cell.ts';
import type {HostFacts} from '../../../harness/contract/device.ts';
import type {WeightsEstimate} from '../../../harness/contract/weights.ts';
import type {CellDevice} from '../../../harness/plan/cell-device.ts';
import {estimateMemory, whyNotFit} from '../../../harness/plan/estimate.ts';
import {planHost} from '../../support/plan-hosts.ts';
import {buildCell} from '../derive/build.ts';

const MIB = 2 ** 20;

function weights(weightsBytes: number, parameters: number, kvBytesPerToken: number): WeightsEstimate {
  return {weightsBytes, parameters, kvBytesPerToken, bytesPerToken: weightsBytes, diskBytesNeeded: 0, secondsNeeded: 0};
}

function cell(over: Partial<Cell>, settings: Partial<Cell['settings']> = {}, promptTokens = 256): Cell {
  const base = buildCell({}, {promptTokens});
  return {...base, settings: {...base.settings, contextTokens: 512, ...settings}, ...over};
}

const QUICKSTART = {parameters: 53_490_432, kvBytesPerToken: 8192};
const LLAMA = {parameters: 1_235_814_400, kvBytesPerToken: 32_768};
const GEMMA = {parameters: 2_506_172_416, kvBytesPerToken: 18_432};
const PHI = {parameters: 2_779_683_840, kvBytesPerToken: 327_680};

/** Format, prompt, context, model, bytes of the weights, measured peak. */
type Measured = readonly [Cell['format'], number, number, typeof LLAMA, number, number];

function deviceOf(host: HostFacts, kind: 'cpu' | 'cuda'): CellDevice {
  const here = host.devices.find((device) => device.kind === kind) ?? null;
  return {name: here?.name ?? '', kind, words: [], here, entry: here?.entry ?? null};
}

describe('the estimate of memory', () => {
  // Peaks as measured on two cores of an AMD EPYC (Zen 4): proportional set size of the process tree.
  test.each<Measured>([
    ['gguf-f16', 64, 256, QUICKSTART, 107_006_976, 159_344_640],
    ['gguf-q8_0', 64, 256, QUICKSTART, 56_871_936, 109_968_384],
    ['gguf-q4_k_m', 64, 256, QUICKSTART, 32_769_024, 109_757_440],
    ['gguf-q6_k', 1, 256, LLAMA, 1_013_969_024, 1_106_899_968],
    ['gguf-q8_0', 512, 768, LLAMA, 1_313_251_456, 1_500_300_000],
    ['gguf-q4_k_m', 200, 256, LLAMA, 799_862_912, 1_380_293_632],
    ['gguf-q4_k_m', 416, 512, LLAMA, 799_862_912, 1_441_254_400],
    ['gguf-q3_k_m', 512, 768, LLAMA, 683_012_224, 1_057_536_000],
    ['gguf-f16', 256, 512, GEMMA, 5_012_496_384, 5_222_604_800],
    ['gguf-q4_k_m', 256, 512, GEMMA, 1_624_223_744, 2_757_622_784],
    ['gguf-q4_k_m', 256, 512, PHI, 1_735_823_360, 3_128_612_864],
    ['bf16', 512, 768, LLAMA, 2_471_628_800, 3_219_310_000],
    ['fp32', 1, 256, LLAMA, 4_943_257_600, 5_640_540_000],
    ['gptq-4bit', 1, 256, LLAMA, 1_032_327_168, 2_557_180_000],
  ])(
    'of %s with prompts of %d is within 3 %% of the measured peak',
    (format, prompt, contextTokens, model, bytes, measured) => {
      const id = format.startsWith('gguf') ? 'llama-cpp' : 'transformers';
      const asked = cell({format, runner: {id}}, {contextTokens}, prompt);
      const {residentBytes} = estimateMemory(asked, weights(bytes, model.parameters, model.kvBytesPerToken));
      expect(Math.abs(residentBytes / measured - 1)).toBeLessThan(0.03);
    },
  );

  test('counts weights twice only where they are copied beside a mapped file', () => {
    const model = weights(8e8, 1.2e9, 32_768);
    const extra = (one: Cell) => {
      const {residentBytes, totalBytes} = estimateMemory(one, model);
      return residentBytes - totalBytes;
    };
    expect(extra(cell({}))).toBe(480_000_000);
    expect(extra(cell({}, {mmap: false}))).toBe(0);
    expect(extra(cell({format: 'gguf-q6_k'}))).toBe(0);
    expect(extra(cell({device: 't4', deviceKind: 'cuda'}, {gpuLayers: 999}))).toBe(0);
    const gptq = {format: 'gptq-4bit', runner: {id: 'transformers'}} as const;
    expect(extra(cell(gptq))).toBe(680_000_000);
    expect(extra(cell({...gptq, kernel: 'dequant-eager'}))).toBe(0);
  });

  test('of the cache counts every sequence, at the width of its type', () => {
    const model = weights(8e8, 1.2e9, 32_768);
    expect(estimateMemory(cell({}), model).kvBytes).toBe(16 * MIB);
    const batch = {...buildCell().workload, batch: 4, concurrency: 2};
    expect(estimateMemory(cell({workload: batch}), model).kvBytes).toBe(128 * MIB);
    expect(estimateMemory(cell({}, {kvType: 'f32'}), model).kvBytes).toBe(32 * MIB);
    expect(estimateMemory(cell({}, {kvType: 'q8_0'}), model).kvBytes).toBe(8.5 * MIB);
  });
});

describe('why a cell does not fit', () => {
  test('the copy that the kernel can drop is no reason', () => {
    const model = weights(5e9, 8e9, 32_768);
    const memory = estimateMemory(cell({}), model);
    expect(memory.residentBytes).toBeGreaterThan(8e9);
    expect(whyNotFit(cell({}), deviceOf(planHost(), 'cpu'), planHost({availableBytes: 6e9}), memory)).toBeNull();
    const small = planHost({availableBytes: 5e9});
    expect(whyNotFit(cell({}), deviceOf(small, 'cpu'), small, memory)).toContain('needs 4.8');
  });

  test('of a partitioned card only the instance counts', () => {
    const asked = cell({device: 'a100-80gb', deviceKind: 'cuda'}, {gpuLayers: 999});
    const memory = estimateMemory(asked, weights(12e9, 6e9, 32_768));
    const whole = planHost({gpu: 'a100-80gb'});
    expect(whyNotFit(asked, deviceOf(whole, 'cuda'), whole, memory)).toBeNull();
    const mig = [{uuid: 'MIG-1', memoryBytes: 10 * 2 ** 30}];
    const parted = {...whole, gpus: whole.gpus.map((gpu) => ({...gpu, migMode: 'Enabled', mig}))};
    expect(whyNotFit(asked, deviceOf(parted, 'cuda'), parted, memory)).toContain(
      'but the MIG instance of a100-80gb has 10.0 GiB',
    );
  });
});
