import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import type {PythonFacts} from '../../../harness/contract/device.ts';
import {measureGpuBandwidth} from '../../../harness/device/gpu-bandwidth.ts';

const PYTHON: PythonFacts = {
  // Any program that runs a script will do: what it prints is what matters.
  executable: process.execPath,
  version: '3.12.4',
  torch: '2.14.1',
  transformers: '5.17.0',
  cuda: true,
  kernels: {},
};

describe('the memory bandwidth of a GPU', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'bench-gpu-bandwidth-'));
  });
  afterAll(() => rmSync(folder, {recursive: true, force: true}));

  const script = (name: string, text: string): string => {
    const path = join(folder, `${name}.cjs`);
    writeFileSync(path, text);
    return path;
  };

  test('is what PyTorch measures on the card that the driver counts so', async () => {
    const path = script(
      'good',
      `console.log('a line of some library');
       const {CUDA_VISIBLE_DEVICES: index, CUDA_DEVICE_ORDER: order} = process.env;
       console.log(JSON.stringify({bytesPerS: 250e9 + Number(index), arrayBytes: 2 ** 30, cacheBytes: order === 'PCI_BUS_ID' ? 4 << 20 : 1}));`,
    );
    expect(await measureGpuBandwidth({python: PYTHON, gpuIndex: 3, script: path})).toEqual({
      bytesPerS: 250e9 + 3,
      arrayBytes: 2 ** 30,
      cacheBytes: 4 << 20,
    });
  });

  test('is unknown without a PyTorch that sees the card', async () => {
    const never = script('never', 'throw new Error("must not run")');
    expect(await measureGpuBandwidth({python: null, gpuIndex: 0, script: never})).toBeNull();
    expect(await measureGpuBandwidth({python: {...PYTHON, cuda: false}, gpuIndex: 0, script: never})).toBeNull();
  });

  test('a PyTorch that fails says why, in one line', async () => {
    const path = script(
      'bad',
      'process.stderr.write("Traceback\\nRuntimeError: CUDA out of memory\\n"); process.exit(1)',
    );
    await expect(measureGpuBandwidth({python: PYTHON, gpuIndex: 0, script: path})).rejects.toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: "memory bandwidth: PyTorch could not read the GPU's memory: RuntimeError: CUDA out of memory",
    });
    const odd = script('odd', 'console.log(JSON.stringify({bytesPerS: -1, arrayBytes: 1, cacheBytes: null}))');
    await expect(measureGpuBandwidth({python: PYTHON, gpuIndex: 0, script: odd})).rejects.toThrow('status 0');
  });

  test('an interruption ends it at once', async () => {
    const path = script('slow', 'setTimeout(() => undefined, 60000)');
    const controller = new AbortController();
    const measured = measureGpuBandwidth({python: PYTHON, gpuIndex: 0, script: path, signal: controller.signal});
    controller.abort();
    await expect(measured).rejects.toMatchObject({code: 'INTERRUPTED'});
  });
});
