import {readdirSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {z} from 'zod';
import {BenchError} from '../../harness/contract/errors.ts';

/** Absolute paths of the three libraries of one build, in the order in which they must be loaded. */
export interface Libraries {
  readonly folder: string;
  readonly base: string;
  readonly ggml: string;
  readonly llama: string;
}

/** `libllama.so`, `libllama.v0.5.0.so`, `libllama.cuda.v0.5.0.so`, and the same as .dylib. */
const named = (name: string) => new RegExp(`^lib${name}(?:\\.[a-z]+)?(?:\\.v[\\d.]+)?\\.(?:so|dylib)$`);

/** @throws {BenchError} ENGINE_UNAVAILABLE when the folder does not hold a build. */
export function findLibraries(folder: string): Libraries {
  const files = listFolder(folder);
  const find = (name: string): string => {
    const file = files.find((candidate) => named(name).test(candidate));
    if (file === undefined) {
      throw new BenchError('ENGINE_UNAVAILABLE', `no lib${name} in the llama.cpp folder ${folder}`);
    }
    return path.join(folder, file);
  };
  return {folder, base: find('ggml-base'), ggml: find('ggml'), llama: find('llama')};
}

function listFolder(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    // biome-ignore lint/style/useErrorCause: the cause is the third argument of BenchError.
    throw new BenchError('ENGINE_UNAVAILABLE', `the llama.cpp folder ${folder} cannot be read`, {cause: error});
  }
}

const BuildSchema = z.object({cpuFlags: z.array(z.string())});

/**
 * A build of its own uses what its CPU had without asking again: on another one it would end with an illegal
 * instruction. A cache folder on a shared disk gets there.
 *
 * @param cpuFlags Flags of /proc/cpuinfo of this machine.
 * @throws {BenchError} ENGINE_UNAVAILABLE naming the flags that this machine lacks.
 */
export function checkNativeBuild(folder: string, cpuFlags: readonly string[]): void {
  const build = readBuild(path.join(folder, 'build.json'));
  const missing = build.cpuFlags.filter((flag) => !cpuFlags.includes(flag));
  if (missing.length > 0) {
    throw new BenchError(
      'ENGINE_UNAVAILABLE',
      `${folder} was built on a CPU with ${missing.slice(0, 3).join(', ')}: run \`bench setup llama-cpp --native\` here`,
    );
  }
}

function readBuild(file: string): z.infer<typeof BuildSchema> {
  try {
    return BuildSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    // biome-ignore lint/style/useErrorCause: the cause is the third argument of BenchError.
    throw new BenchError('ENGINE_UNAVAILABLE', `${file} does not say for which CPU it was built`, {cause: error});
  }
}
