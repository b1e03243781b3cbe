import {createRequire} from 'node:module';
import path from 'node:path';
import type {Command} from 'commander';
import {BenchError} from '../../contract/errors.ts';
import {cacheDir} from '../../weights/cache-dir.ts';
import type {CommandContext} from '../context.ts';
import {readHost} from '../host.ts';
import {buildNative} from '../setup/llama-native.ts';

interface Options {
  readonly native?: true;
  readonly cuda?: true;
  readonly withLlamaBench?: true;
}

/** `bench setup llama-cpp --native`. Prints the folder of the build to stdout, steps to stderr. */
export function registerSetupLlamaCppCommand(program: Command, context: CommandContext): void {
  const setup =
    program.commands.find((command) => command.name() === 'setup') ??
    program.command('setup').description('engines that npm does not bring along');
  setup
    .command('llama-cpp')
    .description('llama.cpp compiled for this very host, from the source that node-llama-cpp ships')
    .option('--native', 'compile for this CPU (needs cmake, a C++ compiler and git)')
    .option('--cuda', 'compile the CUDA back end, too (needs nvcc)')
    .option('--with-llama-bench', 'compile llama-bench, too')
    .action(async (options: Options) => {
      if (options.native !== true) {
        throw new BenchError('USAGE', 'setup llama-cpp: give --native (the prebuilt llama.cpp needs no setup)');
      }
      const {host} = await readHost(context, {pythonProbe: 'skip'});
      const {folder, reused} = await buildNative({
        packageDir: nodeLlamaCppDir(),
        targetDir: path.join(cacheDir(context.env), 'llama-cpp'),
        cpuFlags: host.cpu.flags,
        searchPath: context.env['PATH'] ?? '',
        cuda: options.cuda === true,
        withLlamaBench: options.withLlamaBench === true,
        jobs: host.cpu.usableCores,
        signal: context.signal,
        onStep: (text) => context.stderr.write(`${text}\n`),
      });
      context.stderr.write(
        reused ? 'this build exists already\n' : 'done: use it with `engine_build: native` in a matrix\n',
      );
      context.stdout.write(`${folder}\n`);
    });
}

/** Folder of the package, which does not export its package.json. */
export function nodeLlamaCppDir(): string {
  return path.dirname(path.dirname(createRequire(import.meta.url).resolve('node-llama-cpp')));
}
