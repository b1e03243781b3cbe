import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {readHost} from '../../harness/cli/host.ts';
import {buildShippedTool, type ShippedTool, sourceVersion} from '../../harness/cli/setup/llama-native.ts';
import type {SelfContext} from './section.ts';

/** A tool of llama.cpp linked to the shipped libraries: both sides of a comparison run the same machine code. */
export async function shippedTool(tool: ShippedTool, {cacheDir, log}: SelfContext): Promise<string> {
  const {host} = await readHost({env: process.env}, {pythonProbe: 'skip'});
  const {llamaPrebuiltDir} = host.software;
  if (llamaPrebuiltDir === null) throw new Error('no prebuilt llama.cpp for this platform');
  log(`${tool} on the shipped libraries`);
  const packageDir = dirname(dirname(createRequire(import.meta.url).resolve('node-llama-cpp')));
  return buildShippedTool({
    tool,
    packageDir,
    prebuiltDir: llamaPrebuiltDir,
    folder: join(cacheDir, 'llama-cpp', `${tool}-shipped-${await sourceVersion(packageDir)}`),
    searchPath: process.env['PATH'] ?? '',
    signal: new AbortController().signal,
  });
}
