import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import type {WorkerEvent} from '../../harness/contract/protocol.ts';
import type {Launch} from '../../harness/contract/runner.ts';
import {markedProcesses} from '../../harness/exec/process-tree.ts';
import {runWorker} from '../../harness/exec/worker-process.ts';
import {find} from '../support/needs.ts';
import {type TinyModel, tinyModel} from '../support/tiny-model.ts';
import {workOrder} from '../support/work-order.ts';

const folderOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const python = find('python') ?? '';
const SLOW_MS = 120_000;

/** The real worker, in which torch fails as it does on a GPU that is too small. */
function launch(mode: string): Launch {
  const runner = folderOf('../../runners/transformers');
  const kit = folderOf('../../runners/worker-kit/python');
  return {
    file: python,
    args: [folderOf('../fixtures/python/failing_worker.py'), runner, kit, mode],
    env: {CUDA_VISIBLE_DEVICES: ''},
  };
}

describe.skipIf(python === '')('a transformers worker that fails', () => {
  let model: TinyModel;
  let logs: string;
  beforeAll(async () => {
    model = await tinyModel('synthetic:bench-tiny', 'fp16');
    logs = await mkdtemp(join(tmpdir(), 'bench-failing-'));
  }, SLOW_MS);
  afterAll(async () => {
    await model.remove();
    await rm(logs, {recursive: true, force: true});
  });

  /** As a round of a sweep runs it; then looks for processes that are left. */
  async function run(
    mode: string,
    {loadSeconds = 60, abortAt}: {loadSeconds?: number; abortAt?: WorkerEvent['type']} = {},
  ) {
    const controller = new AbortController();
    const order = workOrder({
      weightsPath: model.path,
      cell: {format: 'fp16', runner: {id: 'transformers'}, limits: {loadSeconds, idleSeconds: 60}},
    });
    const told: string[] = [];
    const marks: string[] = [];
    const error: unknown = await runWorker(launch(mode), order, {
      signal: controller.signal,
      logPath: join(logs, `${mode}.log`),
      logTitle: mode,
      killGraceMs: 200,
      prepare: ({mark}) => {
        marks.push(mark);
        return Promise.resolve();
      },
      emit: (event) => {
        told.push(event.type);
        // Loading starts right after `ready`; half a second later it is in the middle of it.
        if (event.type === abortAt) setTimeout(() => controller.abort(), 500);
      },
    }).then(
      () => null,
      (reason: unknown) => reason,
    );
    return {told, error, left: (await Promise.all(marks.map(markedProcesses))).flat()};
  }

  const memory = {peakBytes: 15_500_000_000, reservedBytes: 15_900_000_000, totalBytes: 16_000_000_000};
  const message =
    'CUDA ran out of memory: 15500000000 bytes allocated at the peak, 15900000000 reserved, of 16000000000';

  it.each([
    ['while it loads', 'load', ['ready', 'failed']],
    ['in a library of CUDA', 'cublas', ['ready', 'failed']],
    ['in a request', 'request', ['ready', 'loaded', 'phase', 'failed']],
  ])(
    'says does-not-fit with the peak when the GPU is full %s, and is gone',
    async (_, mode, events) => {
      const {told, error, left} = await run(mode);
      expect(error).toMatchObject({code: 'DOES_NOT_FIT', details: memory});
      expect(error).toHaveProperty('message', expect.stringContaining(message));
      expect(told.filter((type) => type !== 'memory')).toEqual(events);
      expect(left).toEqual([]);
    },
    SLOW_MS,
  );

  it.each([
    ['compiler', 'this machine has no C compiler: install gcc'],
    ['gcc', 'gcc failed: see the log'],
  ])(
    'says unsupported with the reason when a kernel cannot be compiled here (%s)',
    async (mode, reason) => {
      const {error, left} = await run(mode);
      expect(error).toMatchObject({code: 'UNSUPPORTED'});
      expect(error).toHaveProperty('message', expect.stringContaining(reason));
      expect(left).toEqual([]);
    },
    SLOW_MS,
  );

  it(
    'says does-not-fit when the driver does not even tell the peak',
    async () => {
      const {error} = await run('broken');
      expect(error).toMatchObject({code: 'DOES_NOT_FIT'});
      expect(error).toHaveProperty('message', expect.stringContaining('an unknown number of bytes allocated'));
    },
    SLOW_MS,
  );

  it(
    'leaves nothing behind when it is stopped while it loads, not even a compiler of its own session',
    async () => {
      const {error, left} = await run('hang', {abortAt: 'ready'});
      expect(error).toMatchObject({code: 'INTERRUPTED'});
      expect(left).toEqual([]);
    },
    SLOW_MS,
  );

  it(
    'is ended with all it started when loading takes too long',
    async () => {
      const {error, left} = await run('hang', {loadSeconds: 15});
      expect(error).toMatchObject({code: 'CELL_TIMEOUT'});
      expect(left).toEqual([]);
    },
    SLOW_MS,
  );
});
