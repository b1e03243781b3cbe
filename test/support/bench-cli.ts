import {createRequire} from 'node:module';
import {join} from 'node:path';
import {pathToFileURL} from 'node:url';
import {execa} from 'execa';
import {PACKAGE_ROOT} from '../../harness/cli/package-root.ts';

const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

export interface CliResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Arguments that start bench from source. */
export const BENCH = [process.execPath, '--import', TSX, join(PACKAGE_ROOT, 'harness', 'cli', 'bin.ts')] as const;

/** Runs `bench ARGS` as a person would, in a folder of its own, and returns what it printed and its exit status. */
export async function bench(
  args: readonly string[],
  {cwd, env = {}}: {cwd: string; env?: Record<string, string>},
): Promise<CliResult> {
  const [file, ...first] = BENCH;
  const {exitCode, stdout, stderr} = await execa(file, [...first, ...args], {
    cwd,
    env: {BENCH_CACHE: join(cwd, 'cache'), ...env},
    reject: false,
    stdin: 'ignore',
  });
  return {status: exitCode ?? -1, stdout, stderr};
}
