import {expect, test} from 'vitest';
import {roundStatus, workerError} from '../../../harness/exec/exit-error.ts';

type Arguments = Readonly<Parameters<typeof workerError>>;
const told = (end: Arguments[1], logTail: string, oomKiller: Arguments[2]['oomKiller']) => {
  const {code, message} = workerError('0123456789ab', end, {logTail, oomKiller});
  return [code, roundStatus(code), message.replace(/^.*0123456789ab:? /, '')];
};
const killed = {code: null, signal: 'SIGKILL'} as const;

test('a SIGKILL is want of memory only when the kernel counted one meanwhile, or the log speaks of it', () => {
  expect(told(killed, 'loading', 'host')).toEqual(['DOES_NOT_FIT', 'does-not-fit', 'out of memory']);
  expect(told(killed, 'loading', 'cgroup')).toEqual([
    'DOES_NOT_FIT',
    'does-not-fit',
    'memory limit of its control group',
  ]);
  expect(told(killed, 'loading', null)).toEqual([
    'WORKER_CRASHED',
    'crashed',
    'ended with SIGKILL (killed from outside): loading',
  ]);
  expect(told(killed, 'ggml: failed to allocate buffer', null)[0]).toBe('DOES_NOT_FIT');
});

test('a kill by the kernel that came while another process died does not excuse a crash', () => {
  expect(told({code: null, signal: 'SIGSEGV'}, '', 'host')[0]).toBe('WORKER_CRASHED');
  expect(told({code: 3, signal: null}, 'error: bad file', 'cgroup')[0]).toBe('WORKER_CRASHED');
});

test('signals are told by what they mean, and the last telling line of the log stands behind', () => {
  expect(told({code: null, signal: 'SIGBUS'}, '', null)[2]).toBe(
    'ended with SIGBUS (a mapped file became shorter, or bad memory)',
  );
  expect(told({code: null, signal: 'SIGILL'}, 'starting\nerror: x\n    at y (z.mjs:1:1)\n', null)[2]).toBe(
    'ended with SIGILL (an instruction that this CPU lacks): error: x',
  );
  expect(told({code: 0, signal: null}, '', null)[0]).toBe('PROTOCOL_VIOLATION');
  expect(told({code: null, signal: null}, '', null)[2]).toBe('ended with exit code unknown');
});
