import {createHash} from 'node:crypto';
import {cp, mkdir, readdir, readFile, rename, rm, symlink, writeFile} from 'node:fs/promises';
import {availableParallelism, tmpdir} from 'node:os';
import path from 'node:path';
import {execa} from 'execa';
import {z} from 'zod';
import {BenchError} from '../../contract/errors.ts';
import {acquireLock} from '../../weights/cache-lock.ts';
import {BuildLog} from './build-step.ts';
import {type BuildTools, findBuildTools} from './build-tools.ts';
import {makeWorkFolder} from './work-folder.ts';

/** build.json in the folder of a build: by it, a build made for another CPU is recognised and left alone. */
export const NativeBuildSchema = z.object({
  /** Release of llama.cpp, without the leading v. */
  version: z.string(),
  /** First line of what the compiler says of itself. */
  compiler: z.string(),
  /** Flags of /proc/cpuinfo, sorted: the code uses them without asking again. */
  cpuFlags: z.array(z.string()),
  cuda: z.boolean(),
  cmake: z.array(z.string()),
});
export type NativeBuild = z.infer<typeof NativeBuildSchema>;

export interface NativeBuildOptions {
  /** Folder `node-llama-cpp` in node_modules: it carries the exact source of its libraries. */
  readonly packageDir: string;
  /** `<cache>/llama-cpp`. */
  readonly targetDir: string;
  readonly cpuFlags: readonly string[];
  readonly searchPath: string;
  readonly cuda: boolean;
  readonly withLlamaBench: boolean;
  readonly jobs?: number;
  readonly signal: AbortSignal;
  onStep(text: string): void;
}

export interface NativeBuildResult {
  readonly folder: string;
  /** True when it was there already. */
  readonly reused: boolean;
}

/**
 * Builds llama.cpp for this very CPU, from the source that node-llama-cpp ships, so that struct layouts and version are
 * those of the prebuilt libraries and only the machine code differs. OpenMP stays off for the same reason: the prebuilt
 * libraries have none, and the threads are ggml's own in both.
 *
 * @throws {BenchError} SETUP_FAILED, INTERRUPTED.
 */
export async function buildNative(options: NativeBuildOptions): Promise<NativeBuildResult> {
  const {targetDir, cuda, withLlamaBench, signal, onStep} = options;
  const tools = await findBuildTools(options.searchPath);
  if (cuda && tools.nvcc === null) {
    throw new BenchError('SETUP_FAILED', '--cuda needs nvcc: sudo apt-get install nvidia-cuda-toolkit');
  }
  const build = await describeBuild(options, tools);
  const folder = path.join(targetDir, `native-${build.version}-${buildHash(build)}`);
  if (await isComplete(folder, withLlamaBench)) return {folder, reused: true};

  const release = await acquireLock({
    dir: path.join(targetDir, '.locks'),
    name: 'native',
    what: 'setup llama-cpp',
    signal,
    onWait: onStep,
  });
  try {
    // Whoever held the lock before may have made it.
    if (await isComplete(folder, withLlamaBench)) return {folder, reused: true};
    await compile(options, {tools, build, folder});
    return {folder, reused: false};
  } finally {
    await release();
  }
}

interface BuildPlace {
  readonly tools: BuildTools;
  readonly build: NativeBuild;
  readonly folder: string;
}

async function compile(options: NativeBuildOptions, {tools, build, folder}: BuildPlace): Promise<void> {
  const {targetDir, withLlamaBench, signal, onStep} = options;
  const log = new BuildLog(path.join(targetDir, `${path.basename(folder)}.log`), signal);
  await writeFile(log.path, '');
  const work = await makeWorkFolder(targetDir, '.building-');
  try {
    onStep('unpacking the source of llama.cpp');
    const source = await unpackSource({packageDir: options.packageDir, work, tools, log});
    const tree = path.join(work, 'build');
    onStep('configuring');
    await log.run('cmake', tools.cmake, ['-S', source, '-B', tree, '-G', tools.generator, ...build.cmake], work);
    const jobs = String(options.jobs ?? availableParallelism());
    const target = withLlamaBench ? 'llama-bench' : 'llama';
    onStep(`compiling with ${jobs} jobs: takes minutes (log: ${log.path})`);
    await log.run('the build', tools.cmake, ['--build', tree, '--target', target, '-j', jobs], work);
    onStep('installing');
    await install(path.join(tree, 'bin'), folder, work, build);
  } finally {
    await rm(work, {recursive: true, force: true});
  }
}

async function describeBuild(options: NativeBuildOptions, tools: BuildTools): Promise<NativeBuild> {
  const {stdout} = await execa(tools.compiler, ['--version'], {reject: false});
  return {
    version: await sourceVersion(options.packageDir),
    compiler: stdout?.split('\n')[0] ?? '',
    cpuFlags: [...options.cpuFlags].sort(),
    cuda: options.cuda,
    cmake: [
      '-DCMAKE_BUILD_TYPE=Release',
      '-DBUILD_SHARED_LIBS=ON',
      '-DGGML_NATIVE=ON',
      '-DGGML_BACKEND_DL=OFF',
      '-DGGML_OPENMP=OFF',
      '-DGGML_CCACHE=OFF',
      '-DLLAMA_OPENSSL=OFF',
      '-DLLAMA_BUILD_TESTS=OFF',
      '-DLLAMA_BUILD_EXAMPLES=OFF',
      '-DLLAMA_BUILD_SERVER=OFF',
      '-DLLAMA_BUILD_APP=OFF',
      '-DLLAMA_BUILD_UI=OFF',
      '-DLLAMA_BUILD_COMMON=ON',
      '-DLLAMA_BUILD_TOOLS=ON',
      '-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON',
      '-DCMAKE_INSTALL_RPATH=$ORIGIN',
      ...(options.cuda
        ? ['-DGGML_CUDA=ON', '-DCMAKE_CUDA_ARCHITECTURES=native', `-DCMAKE_CUDA_COMPILER=${tools.nvcc ?? ''}`]
        : []),
    ],
  };
}

/** First 12 hex digits of the SHA-256 of all that the machine code depends on. */
export function buildHash(build: NativeBuild): string {
  return createHash('sha256')
    .update(JSON.stringify(NativeBuildSchema.parse(build)))
    .digest('hex')
    .slice(0, 12);
}

const ReleaseSchema = z.object({release: z.string()});

/** Release of the source that the package carries: `0.5.0`. */
export async function sourceVersion(packageDir: string): Promise<string> {
  const file = path.join(packageDir, 'llama', 'binariesGithubRelease.json');
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null)
    throw new BenchError('SETUP_FAILED', `node-llama-cpp carries no llama.cpp source: ${file} is missing`);
  return ReleaseSchema.parse(JSON.parse(text)).release.replace(/^v/, '');
}

export interface UnpackSource {
  readonly packageDir: string;
  readonly work: string;
  readonly tools: Pick<BuildTools, 'git'>;
  readonly log: BuildLog;
}

/** @returns Folder of the source with the package's patches applied. */
export async function unpackSource({packageDir, work, tools, log}: UnpackSource): Promise<string> {
  const llama = path.join(packageDir, 'llama');
  const source = path.join(work, 'source');
  const clone = ['clone', '--quiet', path.join(llama, 'gitRelease.bundle'), source];
  await log.run('unpacking', tools.git, ['-c', 'advice.detachedHead=false', ...clone], work);
  const patches = (await readdir(path.join(llama, 'patches')).catch((): string[] => [])).filter((name) =>
    name.endsWith('.diff'),
  );
  for (const name of patches.sort()) {
    await log.run(`patch ${name}`, tools.git, ['apply', path.join(llama, 'patches', name)], source);
  }
  return source;
}

/** All or nothing: the folder appears under its name only when it is whole. */
async function install(bin: string, folder: string, work: string, build: NativeBuild): Promise<void> {
  const staged = path.join(work, 'install');
  await mkdir(staged);
  for (const name of await readdir(bin)) {
    if (!/\.so(?:\.|$)|\.dylib$|^llama-bench$/.test(name)) continue;
    await cp(path.join(bin, name), path.join(staged, name), {verbatimSymlinks: true});
  }
  await writeFile(path.join(staged, 'build.json'), `${JSON.stringify(build, null, 2)}\n`);
  await rm(folder, {recursive: true, force: true});
  await rename(staged, folder);
}

async function isComplete(folder: string, withLlamaBench: boolean): Promise<boolean> {
  const files = await readdir(folder).catch((): string[] => []);
  return files.includes('build.json') && (!withLlamaBench || files.includes('llama-bench'));
}

/** Programs of llama.cpp that can be linked to the prebuilt libraries. */
export type ShippedTool = 'llama-bench' | 'llama-quantize';

/** Folder below tools/ and source files of each. */
const TOOL_SOURCES: Readonly<Record<ShippedTool, {readonly folder: string; readonly files: readonly string[]}>> = {
  'llama-bench': {folder: 'llama-bench', files: ['main.cpp', 'llama-bench.cpp']},
  'llama-quantize': {folder: 'quantize', files: ['main.cpp', 'quantize.cpp']},
};

export interface ShippedToolOptions {
  readonly tool: ShippedTool;
  readonly packageDir: string;
  /** Folder of the prebuilt libraries. */
  readonly prebuiltDir: string;
  /** Gets the program and links to the libraries: ggml looks for its CPU code beside the program. */
  readonly folder: string;
  readonly searchPath: string;
  readonly signal: AbortSignal;
}

/**
 * A tool of llama.cpp linked to the *prebuilt* libraries: the same machine code that the llama-cpp runner and the
 * quantizer use, driven by the engine's own program. What the self-benchmark compares with.
 *
 * @returns Path of the program.
 * @throws {BenchError} SETUP_FAILED, INTERRUPTED.
 */
export async function buildShippedTool(options: ShippedToolOptions): Promise<string> {
  const {folder, prebuiltDir, signal, tool} = options;
  const program = path.join(folder, tool);
  if ((await readdir(folder).catch((): string[] => [])).includes(tool)) return program;
  const tools = await findBuildTools(options.searchPath);
  await mkdir(folder, {recursive: true});
  const log = new BuildLog(path.join(folder, 'build.log'), signal);
  const work = await makeWorkFolder(tmpdir(), 'bench-llama-');
  try {
    const source = await unpackSource({packageDir: options.packageDir, work, tools, log});
    const libraries = (await readdir(prebuiltDir)).filter((name) => name.endsWith('.so'));
    for (const name of libraries) {
      await rm(path.join(folder, name), {force: true});
      await symlink(path.join(prebuiltDir, name), path.join(folder, name));
    }
    const linked = libraries.filter((name) => !name.startsWith('libggml-cpu-')).map((name) => `-l:${name}`);
    const sources = TOOL_SOURCES[tool];
    const includes = ['include', 'ggml/include', 'common', 'vendor', `tools/${sources.folder}`];
    const made = path.join(work, tool);
    await log.run(
      tool,
      tools.compiler,
      [
        '-O2',
        '-std=c++17',
        ...includes.map((name) => `-I${path.join(source, name)}`),
        ...sources.files.map((name) => path.join(source, 'tools', sources.folder, name)),
        `-L${prebuiltDir}`,
        ...linked,
        '-lpthread',
        '-Wl,-rpath,$ORIGIN',
        '-Wl,--allow-shlib-undefined',
        '-o',
        made,
      ],
      work,
    );
    await cp(made, program);
    return program;
  } finally {
    await rm(work, {recursive: true, force: true});
  }
}
