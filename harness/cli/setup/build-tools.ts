import {access, constants} from 'node:fs/promises';
import path from 'node:path';
import {BenchError} from '../../contract/errors.ts';

/** A program that a build needs, and the Debian package that has it. */
interface Tool {
  readonly names: readonly string[];
  readonly debian: string;
}

const TOOLS: readonly Tool[] = [
  {names: ['cmake'], debian: 'cmake'},
  {names: ['g++', 'clang++'], debian: 'g++'},
  {names: ['git'], debian: 'git'},
  {names: ['ninja', 'make'], debian: 'make'},
];

/** Absolute path of the first of the programs on PATH, or null. */
export async function findProgram(names: readonly string[], searchPath: string): Promise<string | null> {
  for (const name of names) {
    for (const folder of searchPath.split(path.delimiter).filter((part) => part !== '')) {
      const file = path.join(folder, name);
      const found = await access(file, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (found) return file;
    }
  }
  return null;
}

export interface BuildTools {
  readonly cmake: string;
  readonly compiler: string;
  readonly git: string;
  /** Name of CMake's generator. */
  readonly generator: 'Ninja' | 'Unix Makefiles';
  readonly nvcc: string | null;
}

/** @throws {BenchError} SETUP_FAILED naming everything that is missing, in one line. */
export async function findBuildTools(searchPath: string): Promise<BuildTools> {
  const found = await Promise.all(TOOLS.map(({names}) => findProgram(names, searchPath)));
  const missing = TOOLS.filter((_, index) => found[index] === null);
  const [cmake, compiler, git, make] = found;
  if (missing.length > 0 || !cmake || !compiler || !git || !make) {
    const names = missing.map(({names: [name]}) => name).join(', ');
    const packages = missing.map(({debian}) => debian).join(' ');
    throw new BenchError('SETUP_FAILED', `building llama.cpp needs ${names}: sudo apt-get install ${packages}`);
  }
  return {
    cmake,
    compiler,
    git,
    generator: path.basename(make) === 'ninja' ? 'Ninja' : 'Unix Makefiles',
    nvcc: await findProgram(['nvcc'], [searchPath, '/usr/local/cuda/bin'].join(path.delimiter)),
  };
}
