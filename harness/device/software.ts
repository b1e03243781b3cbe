import {existsSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import type {SoftwareFacts} from '../contract/device.ts';
import {type SystemFiles, systemFiles} from '../linux/system-files.ts';
import {canLoad} from './library-search.ts';
import {probePython} from './python.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface SoftwareOptions {
  readonly env?: Environment;
  readonly files?: SystemFiles;
  readonly platform?: string;
  readonly architecture?: string;
}

/** Looks for what can run a model here: engines in node_modules, engines built on this host, Python. */
export async function findSoftware(
  cacheDir: string,
  {
    env = process.env,
    files = systemFiles(),
    platform = process.platform,
    architecture = process.arch,
  }: SoftwareOptions = {},
): Promise<SoftwareFacts> {
  const {python, reason} = await probePython(cacheDir, env);
  const target = `${platform}-${architecture === 'arm' ? 'armv7l' : architecture}`;
  return {
    llamaPrebuiltDir: prebuiltDir(target, target),
    llamaNativeDir: nativeDir(files, path.join(cacheDir, 'llama-cpp')),
    llamaGpu: (['cuda', 'vulkan'] as const).filter((gpu) => gpuLoads(gpu, target, files, env)),
    python,
    pythonReason: reason,
  };
}

/** Folder of libraries in one of node-llama-cpp's platform packages. */
function prebuiltDir(packageName: string, folderName: string): string | null {
  try {
    // The main file is dist/index.js; package.json is not exported and cannot be resolved.
    const main = createRequire(import.meta.url).resolve(`@node-llama-cpp/${packageName}`);
    const folder = path.join(path.dirname(path.dirname(main)), 'bins', folderName);
    return existsSync(folder) ? folder : null;
  } catch {
    return null;
  }
}

/**
 * The newest finished build: `<cache>/llama-cpp/<name>/` with the library in it or in its `bin` or `lib`. Names that
 * begin with a dot or end in `.partial` are builds under way.
 */
function nativeDir(files: SystemFiles, root: string): string | null {
  const builds = files
    .list(root)
    .filter((name) => !name.startsWith('.') && !name.endsWith('.partial'))
    .map((name) => path.join(root, name));
  const folders = builds.flatMap((build) => [build, path.join(build, 'bin'), path.join(build, 'lib')]);
  const complete = folders.filter((folder) =>
    files.list(folder).some((name) => /^libllama[^/]*\.(so|dylib)/.test(name)),
  );
  return complete.at(-1) ?? null;
}

/** What the prebuilt GPU library needs from the system, none of which npm brings along. */
const CUDA_13 = ['libcuda.so.1', 'libcudart.so.13', 'libcublas.so.13'] as const;
const CUDA_12 = ['libcuda.so.1', 'libcudart.so.12', 'libcublas.so.12'] as const;

function gpuLoads(gpu: 'cuda' | 'vulkan', target: string, files: SystemFiles, env: Environment): boolean {
  const all = (names: readonly string[]) => names.every((name) => canLoad(name, files, env));
  if (gpu === 'vulkan') return prebuiltDir(`${target}-vulkan`, `${target}-vulkan`) !== null && all(['libvulkan.so.1']);
  const main = prebuiltDir(`${target}-cuda`, `${target}-cuda`) !== null && all(CUDA_13);
  return main || (prebuiltDir(`${target}-cuda-ext`, `${target}-cuda`) !== null && all(CUDA_12));
}
