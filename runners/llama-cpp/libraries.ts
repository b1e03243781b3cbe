import {readdirSync} from 'node:fs';
import path from 'node:path';
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
