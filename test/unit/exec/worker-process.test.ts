import {mkdtemp, readFile, stat} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import type {Cell} from '../../../harness/contract/cell.ts';
import type {WorkerEvent} from '../../../harness/contract/protocol.ts';
import type {Launch} from '../../../harness/contract/runner.ts';
import {markedProcesses} from '../../../harness/exec/process-tree.ts';
import {ProtocolCheck} from '../../../harness/exec/protocol-check.ts';
import {runWorker} from '../../../harness/exec/worker-process.ts';
import {find} from '../../support/needs.ts';
import {fixtureCell, nodeLaunch, pythonLaunch} from './fixture-cell.ts';

const python = find('python3') !== null;

interface Run {
  readonly events: WorkerEvent[];
  readonly log: string;
  readonly error: unknown;
  readonly left: readonly number[];
}

/** Runs a fixture worker as a round would, and looks at what it leaves behind. */
async function run(
  launch: Launch,
  {cell = fixtureCell(), signal = new AbortController().signal}: {cell?: Cell; signal?: AbortSignal} = {},
): Promise<Run> {
  const logPath = join(await mkdtemp(join(tmpdir(), 'bench-exec-')), 'worker.log');
  const events: WorkerEvent[] = [];
  const marks: string[] = [];
  const check = new ProtocolCheck(cell);
  const error = await runWorker(
    launch,
    {protocol: 1, cell, round: 0, weightsPath: '', promptsPath: null},
    {
      signal,
      logPath,
      logTitle: 'test',
      killGraceMs: 200,
      async prepare({mark}) {
        marks.push(mark);
        if (launch.args.includes('early')) await new Promise((resolve) => setTimeout(resolve, 2_000));
      },
      emit(event) {
        check.take(event);
        events.push(event);
      },
    },
  ).then(
    () => null,
    (reason: unknown) => reason,
  );
  const log = await readFile(logPath, 'utf8');
  return {events, log, error, left: (await Promise.all(marks.map(markedProcesses))).flat()};
}

const limits = (loadSeconds: number, idleSeconds: number) => fixtureCell({limits: {loadSeconds, idleSeconds}});
const COMPLETE = ['ready', 'loaded', 'phase', 'request', 'phase', 'request', 'request', 'request', 'done'];

describe('a Node worker', () => {
  test('that behaves is heard in order, and the noise of its engine goes to the log', async () => {
    const {events, log, error, left} = await run(nodeLaunch('happy'));
    expect(error).toBeNull();
    expect(events.map(({type}) => type)).toEqual(COMPLETE);
    expect(log).toBe('=== test\nnoise of the engine\n');
    expect(left).toEqual([]);
  });

  test.each([
    ['exit3', 'WORKER_CRASHED', 'exit code 3: error: cannot read tensor blk.0'],
    ['oom', 'DOES_NOT_FIT', 'cudaMalloc failed: out of memory'],
    ['abort', 'WORKER_CRASHED', 'SIGABRT (the engine gave up (assertion)): GGML_ASSERT(n_head > 0) failed'],
    ['segv', 'WORKER_CRASHED', 'SIGSEGV'],
    ['killed', 'WORKER_CRASHED', 'SIGKILL (killed from outside)'],
    ['silent', 'PROTOCOL_VIOLATION', 'ended without "done"'],
    ['early', 'PROTOCOL_VIOLATION', 'spoke before it had its order'],
    ['babble', 'PROTOCOL_VIOLATION', '{"type":"hello"}'],
    ['torn', 'PROTOCOL_VIOLATION', 'stopped within a line'],
    ['giant', 'PROTOCOL_VIOLATION', 'a line above 8388608 bytes'],
    ['failed', 'NOT_A_NUMBER', 'logit 7 is NaN'],
    ['failed-internal', 'WORKER_CRASHED', 'INTERNAL: TypeError: x'],
    ['tokens', 'WRONG_TOKEN_COUNT', '1 generated tokens, expected 4'],
    ['cached', 'WRONG_TOKEN_COUNT', '7 prompt tokens from a cache, expected at most 0'],
    ['reused', 'WRONG_TOKEN_COUNT', '1 evaluated and 0 cached prompt tokens, expected 8 together'],
    ['backwards', 'PROTOCOL_VIOLATION', 'times that do not increase'],
    ['gap', 'PROTOCOL_VIOLATION', 'wrote request 5 where 1 was due'],
    ['after', 'PROTOCOL_VIOLATION', 'after "done"'],
  ])('in the mode "%s" fails with %s and leaves nothing behind', async (mode, code, message) => {
    const {error, left} = await run(nodeLaunch(mode));
    expect(error).toMatchObject({code, message: expect.stringContaining(message) as unknown});
    expect(left).toEqual([]);
  });

  test('that is not loaded in time is a timeout', async () => {
    const {error, left} = await run(nodeLaunch('hang-load'), {cell: limits(0.6, 30)});
    expect(error).toMatchObject({code: 'CELL_TIMEOUT'});
    expect(left).toEqual([]);
  });

  test.each(['hang', 'close'])('that falls silent after loading ("%s") hangs', async (mode) => {
    const {error, left} = await run(nodeLaunch(mode), {cell: limits(30, 0.3)});
    expect(error).toMatchObject({code: 'WORKER_HUNG'});
    expect(left).toEqual([]);
  });

  test('that ignores SIGTERM is killed', async () => {
    const {error, left} = await run(nodeLaunch('stubborn'), {cell: limits(30, 0.3)});
    expect(error).toMatchObject({code: 'WORKER_HUNG'});
    expect(left).toEqual([]);
  });

  test.each(['grandchild', 'daemon'])('that leaves a "%s" behind is rid of it, and its result stands', async (mode) => {
    const {error, events, log, left} = await run(nodeLaunch(mode));
    expect(error).toBeNull();
    expect(events.map(({type}) => type)).toEqual(COMPLETE);
    const pid = Number(/grandchild (\d+)/.exec(log)?.[1]);
    expect(pid).toBeGreaterThan(1);
    expect(await isLive(pid)).toBe(false);
    expect(left).toEqual([]);
  });

  test('that crashes after "done" has measured all the same', async () => {
    const {error, events} = await run(nodeLaunch('crash-after'));
    expect(error).toBeNull();
    expect(events.map(({type}) => type)).toEqual(COMPLETE);
  });

  test('that floods its output fills no disk, and the end of the flood is kept', async () => {
    const {error, log} = await run(nodeLaunch('flood'));
    expect(error).toBeNull();
    expect(log.length).toBeLessThan(5 << 20);
    expect(log).toMatch(/=== \d+ bytes left out\n/);
    expect(log.endsWith('flood of output\n')).toBe(true);
  });

  test('is ended by Ctrl-C, with all its processes', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 400);
    const {error, left} = await run(nodeLaunch('hang'), {signal: controller.signal});
    expect(error).toMatchObject({code: 'INTERRUPTED'});
    expect(left).toEqual([]);
  });

  test('that does not exist is an engine that is not there', async () => {
    const {error} = await run({file: '/nonexistent/engine', args: [], env: {}});
    expect(error).toMatchObject({code: 'ENGINE_UNAVAILABLE'});
  });
});

describe.skipIf(!python)('a Python worker', () => {
  test('speaks the same protocol', async () => {
    const {events, error, left} = await run(pythonLaunch('happy'));
    expect(error).toBeNull();
    expect(events.map(({type}) => type)).toEqual(COMPLETE);
    expect(left).toEqual([]);
  });

  test.each([
    ['exit3', 'WORKER_CRASHED', 'exit code 3'],
    ['raise', 'WORKER_CRASHED', 'ValueError: no kernel image is available for this device'],
    ['killed', 'WORKER_CRASHED', 'SIGKILL'],
    ['torn', 'PROTOCOL_VIOLATION', 'stopped within a line'],
    ['failed', 'DOES_NOT_FIT', 'CUDA out of memory'],
  ])('in the mode "%s" fails with %s', async (mode, code, message) => {
    const {error, left} = await run(pythonLaunch(mode));
    expect(error).toMatchObject({code, message: expect.stringContaining(message) as unknown});
    expect(left).toEqual([]);
  });

  test.each(['hang', 'stubborn'])('in the mode "%s" hangs and is ended', async (mode) => {
    const {error, left} = await run(pythonLaunch(mode), {cell: limits(30, 0.3)});
    expect(error).toMatchObject({code: 'WORKER_HUNG'});
    expect(left).toEqual([]);
  });

  test('that leaves a grandchild in a session of its own is rid of it', async () => {
    const {error, left} = await run(pythonLaunch('grandchild'));
    expect(error).toBeNull();
    expect(left).toEqual([]);
  });
});

test('an event that cannot be kept ends the worker', async () => {
  const logPath = join(await mkdtemp(join(tmpdir(), 'bench-exec-')), 'worker.log');
  const context = {
    signal: new AbortController().signal,
    logPath,
    logTitle: 'test',
    prepare: async () => {},
    emit() {
      throw new Error('ENOSPC');
    },
  };
  const order = {protocol: 1, cell: fixtureCell(), round: 0, weightsPath: '', promptsPath: null} as const;
  await expect(runWorker(nodeLaunch('hang'), order, context)).rejects.toThrow('ENOSPC');
});

test('a worker waits for its order until the samplers run', async () => {
  const logPath = join(await mkdtemp(join(tmpdir(), 'bench-exec-')), 'worker.log');
  const said: string[] = [];
  await runWorker(
    nodeLaunch('happy'),
    {protocol: 1, cell: fixtureCell(), round: 0, weightsPath: '', promptsPath: null},
    {
      signal: new AbortController().signal,
      logPath,
      logTitle: 'test',
      async prepare() {
        await new Promise((resolve) => setTimeout(resolve, 400));
        said.push('prepared');
      },
      emit: ({type}) => said.push(type),
    },
  );
  expect(said.slice(0, 2)).toEqual(['prepared', 'ready']);
});

test.each(['dies', 'is interrupted'])(
  'what is prepared for a worker that %s meanwhile has settled when its end is told',
  async (how) => {
    const logPath = join(await mkdtemp(join(tmpdir(), 'bench-exec-')), 'worker.log');
    const controller = new AbortController();
    const said: string[] = [];
    const launch =
      how === 'dies' ? {file: process.execPath, args: ['-e', 'process.exit(7)'], env: {}} : nodeLaunch('hang');
    const run = runWorker(
      launch,
      {protocol: 1, cell: fixtureCell(), round: 0, weightsPath: '', promptsPath: null},
      {
        signal: controller.signal,
        logPath,
        logTitle: 'test',
        killGraceMs: 200,
        async prepare() {
          if (how !== 'dies') controller.abort();
          await new Promise((resolve) => setTimeout(resolve, 800));
          said.push('prepared');
        },
        emit: ({type}) => said.push(type),
      },
    );
    await expect(run).rejects.toMatchObject({code: how === 'dies' ? 'WORKER_CRASHED' : 'INTERRUPTED'});
    expect(said).toEqual(['prepared']);
  },
);

async function isLive(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  if (text !== '') return !/^ [ZX]/.test(text.slice(text.lastIndexOf(')') + 1));
  return (await stat('/proc/self').catch(() => null)) === null && kill0(pid);
}

function kill0(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
