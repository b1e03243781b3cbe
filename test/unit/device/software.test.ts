import {describe, expect, test} from 'vitest';
import {findSoftware} from '../../../harness/device/software.ts';
import {FakeHost} from '../../support/fake-host.ts';

const ENV = {BENCH_PYTHON: '/nowhere/python3'};
const build = (version: string, cpuFlags: readonly string[], cuda = false) =>
  JSON.stringify({version, cpuFlags, cuda, compiler: 'gcc', cmake: []});

const find = (files: FakeHost, env: Record<string, string> = ENV, platform = 'linux') =>
  findSoftware('/cache', {env, files, platform, architecture: 'x64'});

describe('software found on a host', () => {
  test('a build for another CPU is left alone, of the others the newest release counts', async () => {
    const files = FakeHost.load('ryzen-5800hs-laptop');
    files.set('/cache/llama-cpp/native-0.9.0-aaa/build.json', build('0.9.0', ['avx2']));
    files.set('/cache/llama-cpp/native-0.10.0-bbb/build.json', build('0.10.0', ['avx2', 'fma']));
    files.set('/cache/llama-cpp/native-0.11.0-ccc/build.json', build('0.11.0', ['avx2', 'avx512f']));
    files.set('/cache/llama-cpp/native-0.12.0-ddd/build.json', 'torn {');
    files.set('/cache/llama-cpp/.building-x/build.json', build('0.13.0', ['avx2']));
    files.set('/cache/llama-cpp/bench-0.13.0/libllama.so', '');
    expect((await find(files)).llamaNativeDir).toBe('/cache/llama-cpp/native-0.10.0-bbb');
    expect((await find(FakeHost.load('ryzen-5800hs-laptop'))).llamaNativeDir).toBeNull();
  });

  test('a platform without prebuilt libraries has none', async () => {
    expect(await find(FakeHost.load('kvm-zen4'), ENV, 'plan9')).toMatchObject({llamaPrebuiltDir: null, llamaGpu: []});
  });

  test('CUDA needs driver and runtime of one version, from the loader’s cache or from LD_LIBRARY_PATH', async () => {
    const installed = process.platform === 'linux' && process.arch === 'x64';
    const gpu = async (files: FakeHost, env = {}) => (await find(files, {...ENV, ...env})).llamaGpu;
    const cache = (...names: string[]) =>
      FakeHost.load('kvm-zen4').set('/etc/ld.so.cache', `glibc-ld.so.cache1.1\0${names.join('\0')}\0`);
    const cuda = installed ? ['cuda'] : [];
    expect(await gpu(cache('libcuda.so.1'))).toEqual([]);
    expect(await gpu(cache('libcuda.so.1', 'libcudart.so.12', 'libcublas.so.13'))).toEqual([]);
    expect(await gpu(cache('libcuda.so.1', 'libcudart.so.12', 'libcublas.so.12'))).toEqual(cuda);
    const split = cache('libcuda.so.1').set('/opt/cuda/libcudart.so.13', '').set('/opt/cuda/libcublas.so.13', '');
    expect(await gpu(split)).toEqual([]);
    expect(await gpu(split, {LD_LIBRARY_PATH: 'relative:/opt/cuda'})).toEqual(cuda);
  });

  test('a Python that is missing is told in words', async () => {
    const {python, pythonReason} = await find(FakeHost.load('kvm-zen4'));
    expect(python).toBeNull();
    expect(pythonReason).toContain('/nowhere/python3');
  });
});
