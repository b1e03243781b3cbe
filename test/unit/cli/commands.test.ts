import {Command} from 'commander';
import {expect, test} from 'vitest';
import {registerCommands} from '../../../harness/cli/commands.ts';

async function names(args: readonly string[]): Promise<string[]> {
  const program = new Command('bench');
  await registerCommands(
    program,
    {
      env: {},
      stdout: {write: () => true},
      stderr: {write: () => true},
      signal: new AbortController().signal,
      exit: () => {},
    },
    args,
  );
  return program.commands.flatMap((one) => [
    one.name(),
    ...(one.name() === 'setup' ? one.commands.map((sub) => `setup ${sub.name()}`) : []),
  ]);
}

test.each([
  [['decide', 'results'], ['decide']],
  [
    ['setup', 'python'],
    ['setup', 'setup python', 'setup llama-cpp'],
  ],
])('bench %s loads its own command', async (args, expected) => {
  expect(await names(args)).toEqual(expected);
});

test.each([[[]], [['--help']], [['decode', 'results']], [['help', 'decide']], [['constructor']]])(
  'bench %s knows every command, to list or to suggest them',
  async (args) => {
    const all = await names(args);
    expect(all).toEqual(expect.arrayContaining(['matrix', 'doctor', 'decide', 'report', 'setup llama-cpp']));
    expect(all).toHaveLength(15);
  },
);
