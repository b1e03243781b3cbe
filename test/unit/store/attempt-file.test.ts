import {appendFile, mkdir, mkdtemp, readdir, readFile, truncate, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {beforeEach, describe, expect, test} from 'vitest';
import {ATTEMPT_SCHEMA_VERSION, type AttemptHead} from '../../../harness/contract/attempt.ts';
import type {Manifest} from '../../../harness/contract/journal.ts';
import {
  attemptFolder,
  findAttempts,
  hasSealedAttempt,
  readAttempt,
  sealAttempt,
} from '../../../harness/store/attempt-file.ts';

const MANIFEST: Manifest = {
  schema: 1,
  runId: 'r',
  matrix: 'm',
  matrixSha256: 'x',
  matrixText: '',
  planId: 'p',
  command: 'bench cell',
  harnessVersion: '0.1.0',
  gitCommit: null,
  startedAt: '2026-01-01T00:00:00.000Z',
  finishedAt: null,
  host: {
    host: 'h',
    os: 'Linux',
    kernelRelease: '6',
    node: 'v20',
    virtualization: null,
    cpuModel: 'c',
    cores: 1,
    isa: 'avx2',
    ramBytes: 1,
    cgroupLimitBytes: null,
    driver: null,
    cuda: null,
    devices: [],
  },
  caveats: [],
  samplers: [],
};
const head = (attempt = 'local-0123456789abcdef'): AttemptHead => ({
  type: 'attempt',
  schema: ATTEMPT_SCHEMA_VERSION,
  attempt,
  planId: 'p',
  cellId: 'aaaaaaaaaaaa',
  engine: 'local',
  engineJob: null,
  engineNode: null,
  bootId: null,
  manifest: MANIFEST,
});
const AT = '2026-01-01T00:00:00.000Z';
let root = '';
let folder = '';
let journal = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'bench-attempt-'));
  folder = attemptFolder(root, 'aaaaaaaaaaaa');
  await mkdir(folder, {recursive: true});
  journal = join(root, 'journal.jsonl');
  const lines = [
    {type: 'run_started', schema: 1, runId: 'r', at: AT},
    {type: 'run_finished', at: AT},
  ];
  await writeFile(journal, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
});

describe('a sealed attempt', () => {
  test('reads back as head and journal, and leaves nothing else in the folder', async () => {
    const path = await sealAttempt(folder, head(), journal);
    expect(await readAttempt(path)).toMatchObject({
      head: head(),
      records: [{type: 'run_started'}, {type: 'run_finished'}],
    });
    expect(await readdir(folder)).toEqual(['local-0123456789abcdef.jsonl']);
    expect(await hasSealedAttempt(root, 'aaaaaaaaaaaa')).toBe(true);
  });

  test('is written once: a second writer of the same name is refused and changes nothing', async () => {
    const path = await sealAttempt(folder, head(), journal);
    const before = await readFile(path, 'utf8');
    await expect(sealAttempt(folder, {...head(), engine: 'other'}, journal)).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
    });
    expect(await readFile(path, 'utf8')).toBe(before);
    expect(await readdir(folder)).toHaveLength(1);
  });

  test('cut off at any byte is refused and is no finished cell', async () => {
    const path = await sealAttempt(folder, head(), journal);
    const whole = await readFile(path);
    for (let size = whole.length - 1; size >= 0; size -= 7) {
      await truncate(path, size);
      expect(await readAttempt(path)).toMatchObject({code: 'truncated'});
      expect(await hasSealedAttempt(root, 'aaaaaaaaaaaa')).toBe(false);
    }
  });

  test('with one byte changed is damaged', async () => {
    const path = await sealAttempt(folder, head(), journal);
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('run_finished', 'run_Finished'));
    expect(await readAttempt(path)).toMatchObject({code: 'damaged'});
    await writeFile(path, text);
    await appendFile(path, '{"type":"run_finished"}\n');
    expect(await readAttempt(path)).toMatchObject({code: 'truncated'});
  });

  test('is found beside partial ones and journals, which are none', async () => {
    const path = await sealAttempt(folder, head(), journal);
    await mkdir(join(folder, 'local-1.partial'));
    await writeFile(join(folder, 'local-1.partial', 'journal.jsonl'), '');
    await writeFile(join(folder, '.local-2.tmp'), 'x');
    expect(await findAttempts([root])).toEqual({
      sealed: [path],
      partial: [join(folder, '.local-2.tmp'), join(folder, 'local-1.partial')],
    });
  });
});
