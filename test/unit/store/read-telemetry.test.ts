import {appendFile, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {readTelemetry} from '../../../harness/store/read-telemetry.ts';
import {writeTelemetry} from '../../../harness/store/telemetry.ts';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'bench-telemetry-'));
});
afterAll(() => rm(root, {recursive: true}));

test('reads the first round of the first of the cells that are asked for, and no further', async () => {
  const path = join(root, 'telemetry.csv');
  const round = async (cellId: string, number: number, value: number | null) =>
    writeTelemetry(path, {
      cellId,
      round: number,
      series: [{channel: 'gpu_w', unit: 'W', tMs: [0, 100], values: [value, 2], periodMs: 100, gaps: 0}],
    });
  await round('canary', 0, 9);
  await round('b', 0, null);
  await appendFile(path, '12.0,b,0,gp\nx,b,0,gpu_w,1\n');
  await round('a', 0, 5);
  await round('b', 1, 7);
  expect(await readTelemetry(path, new Set(['a', 'b']))).toEqual({
    cellId: 'b',
    round: 0,
    series: [
      {channel: 'gpu_w', tMs: [0, 100], values: [null, 2]},
      {channel: 'gp', tMs: [12], values: [null]},
    ],
  });
  expect(await readTelemetry(path, new Set(['other']))).toBeNull();
});

test('of a file that is not there, says so', async () => {
  await writeFile(join(root, 'x'), '');
  await expect(readTelemetry(join(root, 'none.csv'), new Set(['a']))).rejects.toMatchObject({code: 'FILE_UNREADABLE'});
});
