import {createHash} from 'node:crypto';
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {matrixFolder} from '../../../harness/cli/matrix-folder.ts';
import type {Cell} from '../../../harness/contract/cell.ts';
import {buildCell} from '../derive/build.ts';

const PROMPTS = '{"id":"1","language":"en","prompt":"p","answer":"a"}\n';
const {signal} = new AbortController();
let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'bench-beside-'));
  for (const name of ['right', 'changed']) await mkdir(join(root, name, 'workloads'), {recursive: true});
  await writeFile(join(root, 'right', 'workloads', 'p.jsonl'), PROMPTS);
  await writeFile(join(root, 'changed', 'workloads', 'p.jsonl'), PROMPTS.replace('"a"', '"b"'));
  await writeFile(join(root, 'right', 'm.gguf'), '');
});
afterAll(() => rm(root, {recursive: true}));

const place = (name: string): string => join(root, name);
const withPrompts = (over: Partial<Cell> = {}): Cell => {
  const promptsSha256 = createHash('sha256').update(PROMPTS).digest('hex');
  return buildCell(over, {prompts: 'workloads/p.jsonl', promptsSha256});
};

test('a cell that takes nothing from beside its matrix needs no folder that is there', async () => {
  expect(await matrixFolder(buildCell(), ['/made/elsewhere', root], signal)).toBe('/made/elsewhere');
  const absolute = buildCell({source: 'file:///models/m.gguf'});
  expect(await matrixFolder(absolute, ['/made/elsewhere'], signal)).toBe('/made/elsewhere');
});

test('the folder is the first that holds the very prompts of the plan, not one that holds others', async () => {
  expect(await matrixFolder(withPrompts(), ['/made/elsewhere', place('changed'), place('right')], signal)).toBe(
    place('right'),
  );
  await expect(matrixFolder(withPrompts(), [place('changed')], signal)).rejects.toMatchObject({
    code: 'FILE_UNREADABLE',
    message: expect.stringMatching(/changed\/workloads\/p\.jsonl is not the file of the plan: give --matrix-dir/),
  });
});

test('weights and own workers beside the matrix have to be there, too', async () => {
  const weights = withPrompts({source: 'file:m.gguf'});
  expect(await matrixFolder(weights, [place('right')], signal)).toBe(place('right'));
  const worker = withPrompts({runner: {id: 'mine', command: ['node', './worker.js']}});
  await expect(matrixFolder(worker, [place('right')], signal)).rejects.toThrow(/right\/worker\.js is not there/);
});
