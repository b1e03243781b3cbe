import {Command} from 'commander';
import {expect, test} from 'vitest';
import {registerSetupPythonCommand} from '../../../harness/cli/commands/setup-python.ts';

test.each([
  ['/nowhere/python', 'BENCH_PYTHON: /nowhere/python does not exist'],
  ['/dev/null', 'BENCH_PYTHON: /dev/null may not be executed'],
  [process.execPath, `BENCH_PYTHON: ${process.execPath} failed with status 1`],
])('setup python with BENCH_PYTHON=%s says in one line what is wrong with it', async (python, message) => {
  const program = new Command('bench').exitOverride();
  registerSetupPythonCommand(program, {
    env: {BENCH_PYTHON: python},
    stdout: {write: () => true},
    stderr: {write: () => true},
    signal: new AbortController().signal,
    exit: () => {},
  });
  const error: unknown = await program.parseAsync(['node', 'bench', 'setup', 'python']).catch((thrown) => thrown);
  expect(error).toMatchObject({code: 'SETUP_FAILED', message: expect.stringContaining(message)});
  expect(String(error)).not.toContain('\n');
});
