import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {Command} from 'commander';
import {expect, test} from 'vitest';
import {registerCommands} from '../../../harness/cli/commands.ts';
import {PACKAGE_ROOT} from '../../../harness/cli/package-root.ts';

const README = readFileSync(join(PACKAGE_ROOT, 'README.md'), 'utf8');
const PACKAGE: {scripts: Record<string, string>} = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8'));

const program = new Command('bench');
await registerCommands(program, {
  env: {},
  stdout: {write: () => true},
  stderr: {write: () => true},
  signal: new AbortController().signal,
  exit: () => {},
});

/** Every `npx bench …` of a shell block, without its comment. */
const lines = [...README.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = '']) =>
  block.split('\n').flatMap((line) => {
    const command = /npx bench (.*)$/.exec(line.replace(/\s+#.*$/, ''));
    return command?.[1] === undefined ? [] : [command[1].split('&&')[0]?.trim() ?? ''];
  }),
);

test.each([...new Set(lines)])('README: bench %s is a command with these options', (line) => {
  const words = line.split(/\s+/);
  let command: Command = program;
  while (words.length > 0) {
    const sub = command.commands.find((candidate) => candidate.name() === words[0]);
    if (sub === undefined) break;
    command = sub;
    words.shift();
  }
  expect(command.name()).not.toBe('bench');
  for (const word of words) {
    if (word.startsWith('--')) expect(command.options.map(({long}) => long)).toContain(word);
    else if (word.startsWith('matrices/')) expect([word, existsSync(join(PACKAGE_ROOT, word))]).toEqual([word, true]);
  }
});

test('README: every npm script that it names exists', () => {
  const named = [...README.matchAll(/npm (?:run )?(test|[a-z]+:[a-z]+|generate)\b/g)].map(([, name = '']) => name);
  expect(named.length).toBeGreaterThan(2);
  for (const name of named) expect(Object.keys(PACKAGE.scripts)).toContain(name);
});

test('README: every folder of the map exists', () => {
  const map = /```\n(harness\/contract[\s\S]*?)```/.exec(README)?.[1] ?? '';
  const folders = [...map.matchAll(/^([a-z][a-z/-]*)\/ /gm)].map(([, folder = '']) => folder);
  expect(folders.length).toBeGreaterThan(10);
  for (const folder of folders)
    if (!folder.includes('<')) expect([folder, existsSync(join(PACKAGE_ROOT, folder))]).toEqual([folder, true]);
});
