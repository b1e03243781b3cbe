import {describe, expect, it} from 'vitest';
import type {Runner} from '../../../harness/contract/runner.ts';
import {llamaCppRunner} from '../../../runners/llama-cpp/runner.ts';
import {nodeLlamaCppRunner} from '../../../runners/node-llama-cpp/runner.ts';
import {transformersRunner} from '../../../runners/transformers/runner.ts';
import {planHost} from '../../support/plan-hosts.ts';
import {type OrderChanges, workOrder} from '../../support/work-order.ts';

const PREBUILT = '/npm/@node-llama-cpp/linux-x64/bins/linux-x64';
const cpuHost = planHost();
const host = {...cpuHost, software: {...cpuHost.software, llamaPrebuiltDir: PREBUILT}};
const gpuBase = planHost({gpu: 't4'});
const gpuHost = {...gpuBase, software: {...gpuBase.software, llamaPrebuiltDir: PREBUILT, llamaGpu: ['cuda'] as const}};

function refusal(runner: Runner, changes: OrderChanges, on = host): string {
  const support = runner.supports(workOrder(changes).cell, on);
  return support.ok ? 'runs' : support.reason;
}

describe('llama-cpp', () => {
  it('runs what it can and refuses the rest in words that say what to do', () => {
    const refusals = [
      {},
      {cell: {format: 'fp16'}},
      {cell: {kernel: 'marlin'}},
      {cell: {deviceKind: 'cuda'}, settings: {gpuLayers: 999}},
      {cell: {isa: 'avx2'}},
      {cell: {isa: 'avx512'}},
      {settings: {engineBuild: 'native'}},
      {settings: {kvType: 'q8_0'}},
      {settings: {contextTokens: 29}},
      {settings: {gpuLayers: 4}},
      {workload: {concurrency: 4}},
      {workload: {prefixCache: 'shared:24'}},
      {workload: {prompts: 'p.jsonl', promptTokens: 0, batch: 2}},
    ] as const;
    expect(refusals.map((changes) => refusal(llamaCppRunner, changes))).toMatchInlineSnapshot(`
      [
        "runs",
        "llama-cpp reads GGUF files, and fp16 is none: choose a gguf-* format",
        "llama-cpp has no kernel to choose: use kernel auto and isa, not marlin",
        "the CUDA libraries of llama.cpp cannot be loaded here: install the NVIDIA driver and the CUDA 12 or 13 runtime with cuBLAS",
        "isa avx2 needs fma, f16c, bmi2, which this CPU lacks",
        "isa avx512 needs avx512f, avx512cd, avx512bw, avx512dq, avx512vl, which this CPU lacks",
        "no llama.cpp is built on this host: run \`bench setup llama-cpp --native\`",
        "kv_type q8_0 needs flash_attention: true",
        "context_tokens 29 is less than prompt + generated + 1 = 30",
        "gpu_layers needs a GPU device",
        "llama-cpp runs one request at a time: use batch for sequences decoded together, or a server runner",
        "prefix_cache shared:24 leaves no prompt token to compute",
        "prompts of a file differ in length and cannot be decoded as one batch: set batch to 1",
      ]
    `);
  });

  it('needs a context of prompt, generated and one more', () => {
    expect(refusal(llamaCppRunner, {settings: {contextTokens: 30}})).toBe('runs');
  });

  it('shows the worker its own device and no other', () => {
    const cpu = llamaCppRunner.launch(workOrder().cell, gpuHost);
    expect(cpu.env).toEqual({CUDA_VISIBLE_DEVICES: '', BENCH_LLAMA_DIR: PREBUILT});
    const cell = workOrder({cell: {device: 't4', deviceKind: 'cuda'}, settings: {gpuLayers: 999}}).cell;
    expect(llamaCppRunner.supports(cell, gpuHost)).toEqual({ok: true});
    expect(llamaCppRunner.launch(cell, gpuHost).env).toEqual({
      CUDA_VISIBLE_DEVICES: '0',
      CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
      BENCH_LLAMA_DIR: '/npm/@node-llama-cpp/linux-x64-cuda/bins/linux-x64-cuda',
      BENCH_LLAMA_CUDA_FALLBACK: '/npm/@node-llama-cpp/linux-x64-cuda-ext/bins/linux-x64-cuda/fallback/libggml-cuda.so',
    });
  });
});

describe('transformers on a GPU', () => {
  const [card] = gpuBase.gpus;
  const reason = (torch: string, cuda: string): string => {
    if (card === undefined) throw new Error('a host with a GPU');
    const gpus = [{...card, driver: '535.183.01', cuda}];
    const python = {
      executable: '/x/python',
      version: '3.12.4',
      transformers: '5.17.0',
      torch,
      cuda: false,
      kernels: {},
    };
    const software = {...gpuHost.software, python, pythonReason: null};
    const cell = {format: 'fp16', runner: {id: 'transformers'}, device: 't4', deviceKind: 'cuda'} as const;
    return refusal(transformersRunner, {cell, settings: {gpuLayers: 999}}, {...gpuHost, gpus, software});
  };

  it('says which of build and driver is in the way of PyTorch', () => {
    expect(reason('2.14.1+cpu', '13.0')).toBe('torch 2.14.1+cpu was built for CPUs: run `bench setup python --cuda`');
    expect(reason('2.14.1+cu130', '12.2')).toBe(
      'torch 2.14.1+cu130 needs a driver for CUDA 13, and 535.183.01 goes up to CUDA 12.2: update the driver, or set BENCH_PYTHON to a Python whose PyTorch was built for CUDA 12',
    );
    expect(reason('2.14.1+cu130', '13.0')).toBe(
      'torch 2.14.1+cu130 sees no GPU: run `bench setup python --cuda`, or update the driver',
    );
  });
});

it('node-llama-cpp refuses what its public API cannot hold still', () => {
  const refusals = [
    {},
    {workload: {batch: 2}},
    {workload: {prefixCache: 'shared:8'}},
    {settings: {engineBuild: 'native'}},
    {cell: {format: 'gptq-4bit'}},
  ] as const;
  expect(refusals.map((changes) => refusal(nodeLlamaCppRunner, changes))).toMatchInlineSnapshot(`
    [
      "runs",
      "node-llama-cpp decides itself what it decodes together: use the runner llama-cpp for a batch",
      "node-llama-cpp cannot be told which prefix to keep: use the runner llama-cpp for prefix_cache",
      "node-llama-cpp runs the library that it ships: use engine_build prebuilt, or the runner llama-cpp",
      "node-llama-cpp reads GGUF files, and gptq-4bit is none: choose a gguf-* format",
    ]
  `);
});
