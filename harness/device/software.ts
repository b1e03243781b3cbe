import {existsSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {z} from 'zod';
import type {SoftwareFacts} from '../contract/device.ts';
import {type SystemFiles, systemFiles} from '../linux/system-files.ts';
import {nodeCpus, readCpu} from './cpu.ts';
import {canLoad} from './library-search.ts';
import {probePython} from './python.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface SoftwareOptions {
  readonly env?: Environment;
  readonly files?: SystemFiles;
  readonly platform?: string;
  readonly architecture?: string;
  /** `skip` spares the seconds that importing PyTorch takes, where no cell needs it. Default: `look`. */
  readonly pythonProbe?: 'skip' | 'look' | 'deep';
}

/** Looks for what can run a model here: engines in node_modules, engines built on this host, Python. */
export async function findSoftware(
  cacheDir: string,
  {
    env = process.env,
    files = systemFiles(),
    platform = process.platform,
    architecture = process.arch,
    pythonProbe = 'look',
  }: SoftwareOptions = {},
): Promise<SoftwareFacts> {
  const {python, reason} =
    pythonProbe === 'skip'
      ? {python: null, reason: 'not looked for: no cell needs it'}
      : await probePython({cacheDir, env, deep: pythonProbe === 'deep'});
  const target = `${platform}-${architecture === 'arm' ? 'armv7l' : architecture}`;
  return {
    llamaPrebuiltDir: prebuiltDir(target, target),
    llamaNativeDir: nativeDir(files, path.join(cacheDir, 'llama-cpp'), new Set(readCpu(files, nodeCpus()).facts.flags)),
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

const BuildSchema = z.object({version: z.string(), cpuFlags: z.array(z.string()), cuda: z.boolean()});

/**
 * `<cache>/llama-cpp/native-…/` with a build.json that `bench setup llama-cpp --native` writes last. A home folder may be
 * shared by hosts: a build that uses an instruction this CPU lacks would die of it, and is left alone. Of several, the
 * newest release, and with CUDA rather than without.
 */
function nativeDir(files: SystemFiles, root: string, flags: ReadonlySet<string>): string | null {
  const builds = files
    .list(root)
    .filter((name) => name.startsWith('native-'))
    .flatMap((name) => {
      const folder = path.join(root, name);
      const build = parseBuild(files.text(path.join(folder, 'build.json')));
      return build?.cpuFlags.every((flag) => flags.has(flag)) === true ? [{folder, build}] : [];
    });
  builds.sort(
    (a, b) =>
      a.build.version.localeCompare(b.build.version, 'en', {numeric: true}) ||
      Number(a.build.cuda) - Number(b.build.cuda),
  );
  return builds.at(-1)?.folder ?? null;
}

function parseBuild(text: string | null): z.infer<typeof BuildSchema> | null {
  try {
    return BuildSchema.parse(JSON.parse(text ?? ''));
  } catch {
    return null;
  }
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
