import {cp, mkdir, readdir, rm, symlink} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {availableParallelism, tmpdir} from 'node:os';
import path from 'node:path';
import {readHost} from '../../harness/cli/host.ts';
import {BuildLog} from '../../harness/cli/setup/build-step.ts';
import {findBuildTools} from '../../harness/cli/setup/build-tools.ts';
import {sourceVersion, unpackSource} from '../../harness/cli/setup/llama-native.ts';
import {makeWorkFolder} from '../../harness/cli/setup/work-folder.ts';

/**
 * llama-server of the source that npm brings, linked to the shipped libraries: the server and the llama-cpp runner then
 * run the same machine code. Takes some ten minutes on two cores, once.
 *
 * @returns Path of the program.
 * @throws {BenchError} SETUP_FAILED.
 */
export async function shippedServer(cacheDir: string, onStep: (text: string) => void): Promise<string> {
  const packageDir = path.dirname(path.dirname(createRequire(import.meta.url).resolve('node-llama-cpp')));
  const folder = path.join(cacheDir, 'llama-cpp', `llama-server-shipped-${await sourceVersion(packageDir)}`);
  const program = path.join(folder, 'llama-server');
  if ((await readdir(folder).catch((): string[] => [])).includes('llama-server')) return program;
  const {host} = await readHost({env: process.env}, {pythonProbe: 'skip'});
  const prebuilt = host.software.llamaPrebuiltDir;
  if (prebuilt === null) throw new Error('no prebuilt llama.cpp for this platform');
  const tools = await findBuildTools(process.env['PATH'] ?? '');
  await mkdir(folder, {recursive: true});
  const log = new BuildLog(path.join(folder, 'build.log'), new AbortController().signal);
  const work = await makeWorkFolder(tmpdir(), 'bench-llama-server-');
  try {
    const source = await unpackSource({packageDir, work, tools, log});
    const ui = path.join(work, 'ui');
    await mkdir(ui);
    await log.run('an empty web page', tools.cmake, [...uiSettings(source, ui)], work);
    const files = await sourceFiles(source, ui);
    onStep(`compiling ${files.length} files of llama-server (log: ${log.path})`);
    const objects = await compile({files, source, ui, work, compiler: tools.compiler, log});
    const libraries = (await readdir(prebuilt)).filter((name) => name.endsWith('.so'));
    for (const name of libraries) {
      await rm(path.join(folder, name), {force: true});
      await symlink(path.join(prebuilt, name), path.join(folder, name));
    }
    const linked = libraries.filter((name) => !name.startsWith('libggml-cpu-')).map((name) => `-l:${name}`);
    const made = path.join(work, 'llama-server');
    const flags = ['-lpthread', '-ldl', '-Wl,-rpath,$ORIGIN', '-Wl,--allow-shlib-undefined', '-o', made];
    await log.run('linking', tools.compiler, [...objects, `-L${prebuilt}`, ...linked, ...flags], work);
    await cp(made, program);
    return program;
  } finally {
    await rm(work, {recursive: true, force: true});
  }
}

function* uiSettings(source: string, ui: string): Generator<string> {
  yield `-DUI_SOURCE_DIR=${path.join(source, 'tools/ui')}`;
  yield `-DUI_BINARY_DIR=${ui}`;
  yield `-DLLAMA_SOURCE_DIR=${source}`;
  yield '-DLLAMA_BUILD_NUMBER=0';
  yield* ['HF_ENABLED', 'BUILD_UI', 'LLAMA_UI_GZIP'].map((name) => `-D${name}=OFF`);
  yield* ['-P', path.join(source, 'scripts/ui-assets.cmake')];
}

/** The server with what it links statically: images and sound (mtmd), HTTP, hashes, and its page. */
async function sourceFiles(source: string, ui: string): Promise<string[]> {
  const of = async (folder: string, pattern = /\.cpp$/) =>
    (await readdir(path.join(source, folder))).filter((name) => pattern.test(name)).map((name) => `${folder}/${name}`);
  const names = [
    ...(await of('tools/server')),
    ...(await of('tools/mtmd', /^(?:clip|mtmd|mtmd-audio|mtmd-image|mtmd-helper|mtmd-helper-gen)\.cpp$/)),
    ...(await of('tools/mtmd/models')),
    'vendor/cpp-httplib/httplib.cpp',
    'vendor/hash/hash.cpp',
    'vendor/hash/sha256/sha256.c',
  ];
  return [...names.map((name) => path.join(source, name)), path.join(ui, 'ui.cpp')];
}

interface Compile {
  readonly files: readonly string[];
  readonly source: string;
  readonly ui: string;
  readonly work: string;
  readonly compiler: string;
  readonly log: BuildLog;
}

/** As many compilers at once as there are cores. @returns The object files. */
async function compile({files, source, ui, work, compiler, log}: Compile): Promise<string[]> {
  const folders = [
    'tools/server',
    'tools/mtmd',
    'common',
    'include',
    'ggml/include',
    'vendor',
    'vendor/hash',
    '.',
    'src',
  ];
  const includes = [...folders.map((name) => path.join(source, name)), ui].map((folder) => `-I${folder}`);
  const flags = ['-O1', '-DNDEBUG', '-DLLAMA_SUBPROCESS', '-DMTMD_VIDEO', ...includes];
  const left = files.entries();
  const objects: string[] = [];
  const compiling = async () => {
    for (const [index, file] of left) {
      const object = path.join(work, `${index}.o`);
      const language = file.endsWith('.c') ? ['-x', 'c'] : ['-std=c++17'];
      await log.run(path.basename(file), compiler, [...flags, ...language, '-c', file, '-o', object], work);
      objects.push(object);
    }
  };
  await Promise.all(Array.from({length: availableParallelism()}, compiling));
  return objects;
}
