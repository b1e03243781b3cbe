import {spawn} from 'node:child_process';
import {mkdtemp, readdir, readFile, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {beforeEach, expect, test} from 'vitest';
import {acquireHostLock} from '../../../harness/exec/host-lock.ts';
import {markedProcesses, WORKER_MARK} from '../../../harness/exec/process-tree.ts';

let dir = '';
beforeEach(async () => {
  dir = join(await mkdtemp(join(tmpdir(), 'bench-lock-')), 'locks');
});

async function lockPath(): Promise<string> {
  return join(dir, (await readdir(dir))[0] ?? '');
}

test('a second run on the host is told who is there', async () => {
  const lock = await acquireHostLock(dir, {matrix: 'quick'});
  await expect(acquireHostLock(dir, {matrix: 'other'})).rejects.toMatchObject({
    code: 'HOST_BUSY',
    message: `Another bench run is active on this host: process ${process.pid}, matrix quick`,
  });
  await lock.release();
  await (await acquireHostLock(dir, {matrix: 'other'})).release();
  expect(await readdir(dir)).toEqual([]);
});

test('a run alongside another one has a caveat and leaves the lock alone', async () => {
  const lock = await acquireHostLock(dir, {matrix: 'quick'});
  const second = await acquireHostLock(dir, {matrix: 'other', alongside: true});
  expect(second.caveats).toEqual([{code: 'alongside'}]);
  await second.noteWorker({pid: 1234, mark: 'x'.repeat(24)});
  await second.release();
  await expect(acquireHostLock(dir, {matrix: 'third'})).rejects.toMatchObject({code: 'HOST_BUSY'});
  await lock.release();
});

test('of many that come at once exactly one gets the lock, stale or not', async () => {
  for (const stale of [false, true]) {
    if (stale) await makeStale();
    const tries = await Promise.allSettled(Array.from({length: 12}, () => acquireHostLock(dir, {matrix: 'quick'})));
    const won = tries.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(won).toHaveLength(1);
    await won[0]?.release();
    expect(await readdir(dir)).toEqual([]);
  }
});

test('a damaged lock is taken over', async () => {
  await acquireHostLock(dir, {matrix: 'quick'});
  await writeFile(await lockPath(), '{"pid":');
  await (await acquireHostLock(dir, {matrix: 'next'})).release();
});

test('whoever takes over a stale lock ends the worker that it names', async () => {
  const mark = 'test-mark-of-a-stale-worker';
  const worker = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
    detached: true,
    stdio: 'ignore',
    env: {...process.env, [WORKER_MARK]: mark},
  });
  await expect.poll(() => markedProcesses(mark)).toEqual([worker.pid]);
  const lock = await acquireHostLock(dir, {matrix: 'quick'});
  await lock.noteWorker({pid: worker.pid ?? 0, mark});
  const path = await lockPath();
  await writeFile(path, (await readFile(path, 'utf8')).replace(/"started":\d+/, '"started":1'));
  await (await acquireHostLock(dir, {matrix: 'next'})).release();
  expect(await markedProcesses(mark)).toEqual([]);
});

test('a process that has the number of a stale worker by chance is left alone', async () => {
  const lock = await acquireHostLock(dir, {matrix: 'quick'});
  // Our own number: if it were believed, this test would end here.
  await lock.noteWorker({pid: process.pid, mark: 'nobody-carries-this-mark'});
  const path = await lockPath();
  await writeFile(path, (await readFile(path, 'utf8')).replace(/"started":\d+/, '"started":1'));
  await (await acquireHostLock(dir, {matrix: 'next'})).release();
});

async function makeStale(): Promise<void> {
  await acquireHostLock(dir, {matrix: 'quick'});
  const path = await lockPath();
  await writeFile(path, (await readFile(path, 'utf8')).replace(/"started":\d+/, '"started":1'));
}
