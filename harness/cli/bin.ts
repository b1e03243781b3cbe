#!/usr/bin/env node
import {Command, CommanderError} from 'commander';
import {BenchError} from '../contract/errors.ts';
import {registerCommands} from './commands.ts';
import type {CommandContext} from './context.ts';
import {HARNESS_VERSION} from './package-root.ts';
import {reportError} from './report-error.ts';
import {styleFor} from './terminal.ts';

const interrupted = new AbortController();
let asked = 0;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    asked++;
    interrupted.abort(new BenchError('INTERRUPTED', `stopped by ${name}`));
    // Somebody who presses Ctrl-C three times means it; workers die with their parent.
    if (asked >= 3) process.exit(130);
  });
}
// A reader that closes the pipe (`bench … | head`) has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 3));

const context: CommandContext = {
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: interrupted.signal,
  exit: (status) => {
    process.exitCode = status;
  },
};

const program = new Command('bench')
  .description('Which weight format of which model should run on which device: measured, explained, priced.')
  .version(HARNESS_VERSION)
  .showSuggestionAfterError(true)
  .exitOverride()
  .configureOutput({
    writeErr: (text) => process.stderr.write(text.replace(/^error: /, 'error: ')),
  });
try {
  await registerCommands(program, context, process.argv.slice(2));
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Help and version end with 0; a mistake in the options has been told by commander and is bad input.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.exitCode = reportError(error, (text) => process.stderr.write(text), styleFor(process.stderr, process.env));
  }
}
