import {existsSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {basename} from 'node:path';
import {expect, test} from 'vitest';
import {staleScratch} from '../../support/scratch.ts';

test('temporary folders of tests lie in one folder that goes with the run', () => {
  expect(basename(tmpdir())).toMatch(/^bench-tests-[0-9a-f]{6}-\d+$/);
  expect(existsSync(tmpdir())).toBe(true);
});

test('of what killed runs left, nothing of a living one and nothing of another host is taken away', () => {
  const own = basename(tmpdir()).replace(/\d+$/, '');
  const names = [`${own}4000000`, `${own}${process.pid}`, 'bench-tests-ffffff-4000001', `${own}x`, 'bench-exec-a1b2c3'];
  const asked: number[] = [];
  const isAlive = (pid: number) => {
    asked.push(pid);
    return pid === process.pid;
  };
  expect(staleScratch(names, isAlive)).toEqual([`${own}4000000`]);
  expect(asked).toEqual([4_000_000, process.pid]);
});
