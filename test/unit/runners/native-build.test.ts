import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, expect, it} from 'vitest';
import {nodeLlamaCppDir} from '../../../harness/cli/commands/setup-llama-cpp.ts';
import {BuildLog} from '../../../harness/cli/setup/build-step.ts';
import {findBuildTools} from '../../../harness/cli/setup/build-tools.ts';
import {buildHash, buildNative, sourceVersion} from '../../../harness/cli/setup/llama-native.ts';
import {checkNativeBuild} from '../../../runners/llama-cpp/libraries.ts';
import {KNOWN_ENGINE_VERSIONS} from '../../../runners/llama-cpp/struct-layouts.ts';

const folder = mkdtempSync(join(tmpdir(), 'bench-native-'));
afterAll(() => rmSync(folder, {recursive: true}));
const signal = new AbortController().signal;

it('the source that the package carries is of a version whose structs are known', async () => {
  expect(KNOWN_ENGINE_VERSIONS).toContain(await sourceVersion(nodeLlamaCppDir()));
});

it('missing tools are named in one line with their packages', async () => {
  await expect(findBuildTools(folder)).rejects.toMatchObject({
    code: 'SETUP_FAILED',
    message: 'building llama.cpp needs cmake, g++, git, ninja: sudo apt-get install cmake g++ git make',
  });
});

it('a failed step names its first error and the log that has the rest', async () => {
  const log = new BuildLog(join(folder, 'a.log'), signal);
  const script = 'echo one; echo "x.cpp:1: error: no such thing"; echo "error: two" >&2; exit 2';
  await expect(log.run('the build', 'sh', ['-c', script], folder)).rejects.toMatchObject({
    code: 'SETUP_FAILED',
    message: `the build failed: x.cpp:1: error: no such thing (log: ${join(folder, 'a.log')})`,
  });
});

it('an interrupted step says so', async () => {
  const controller = new AbortController();
  const running = new BuildLog(join(folder, 'b.log'), controller.signal).run('the build', 'sleep', ['60'], folder);
  controller.abort();
  await expect(running).rejects.toMatchObject({code: 'INTERRUPTED'});
});

it('the hash of a build follows CPU, compiler and options', () => {
  const build = {version: '0.5.0', compiler: 'g++ 12', cpuFlags: ['avx2'], cuda: false, cmake: ['-DX=1']};
  const hashes = [
    build,
    {...build, cpuFlags: ['avx2', 'fma']},
    {...build, compiler: 'g++ 13'},
    {...build, cmake: []},
  ].map(buildHash);
  expect(new Set(hashes).size).toBe(4);
  expect(hashes[0]).toMatch(/^[0-9a-f]{12}$/);
});

it('a build for another CPU is refused before it is loaded', () => {
  writeFileSync(join(folder, 'build.json'), JSON.stringify({cpuFlags: ['avx2', 'avx512f']}));
  expect(() => checkNativeBuild(folder, ['avx2', 'avx512f', 'sse'])).not.toThrow();
  expect(() => checkNativeBuild(folder, ['avx2'])).toThrow(/avx512f/);
  expect(() => checkNativeBuild(join(folder, 'none'), [])).toThrow(/does not say/);
});

it('--cuda without nvcc is refused in one line', async () => {
  // A folder of programs that do nothing, and no nvcc among them.
  const bin = mkdtempSync(join(folder, 'bin-'));
  for (const name of ['cmake', 'g++', 'git', 'make']) writeFileSync(join(bin, name), '#!/bin/sh\n', {mode: 0o755});
  const options = {
    packageDir: nodeLlamaCppDir(),
    targetDir: join(folder, 'out'),
    cpuFlags: [],
    searchPath: bin,
    cuda: true,
    withLlamaBench: false,
    signal,
    onStep: () => undefined,
  };
  const hasNvcc = (await findBuildTools(bin)).nvcc !== null;
  if (!hasNvcc) await expect(buildNative(options)).rejects.toMatchObject({code: 'SETUP_FAILED'});
});
