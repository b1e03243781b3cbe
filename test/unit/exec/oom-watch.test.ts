import {describe, expect, test} from 'vitest';
import {workerError} from '../../../harness/exec/exit-error.ts';
import {OomWatch} from '../../../harness/exec/oom-watch.ts';
import {FakeHost} from '../../support/fake-host.ts';

describe('the watch for the OOM killer', () => {
  test('tells the limit of the group from a host without memory, and neither from a rest', () => {
    const host = FakeHost.load('container-v2');
    const watch = new OomWatch({files: host});
    expect(watch.killedBy()).toBeNull();
    host.set('/proc/vmstat', 'oom_kill 4\n');
    expect(watch.killedBy()).toBe('host');
    host.set('/sys/fs/cgroup/worker/memory.events', 'oom 1\noom_kill 5\n');
    expect(watch.killedBy()).toBe('cgroup');
  });

  test('in version 1 it looks at the group of the process, not at the one above it', () => {
    const host = FakeHost.load('kvm-zen4');
    const watch = new OomWatch({files: host});
    host.set('/sys/fs/cgroup/memory/memory.oom_control', 'oom_kill_disable 0\nunder_oom 0\noom_kill 99\n');
    expect(watch.killedBy()).toBeNull();
    const own = '/sys/fs/cgroup/memory/sandbox/6b8d/memory.oom_control';
    host.set(own, 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n');
    expect(watch.killedBy()).toBe('cgroup');
  });

  test('on a host that does not count, nobody is accused', () => {
    expect(new OomWatch({files: new FakeHost()}).killedBy()).toBeNull();
  });

  test.each([
    ['cgroup', 'DOES_NOT_FIT', 'The kernel killed the worker of cell c: memory limit of its control group'],
    ['host', 'DOES_NOT_FIT', 'The kernel killed the worker of cell c: out of memory'],
    [null, 'WORKER_CRASHED', 'The worker of cell c ended with SIGKILL (killed from outside)'],
  ] as const)('a worker killed while %s struck is %s', (oomKiller, code, message) => {
    const error = workerError('c', {code: null, signal: 'SIGKILL'}, {logTail: '', oomKiller});
    expect({code: error.code, message: error.message}).toEqual({code, message});
  });

  test('a worker that crashed by itself is not taken for one that was killed, whatever was counted meanwhile', () => {
    const error = workerError('c', {code: null, signal: 'SIGSEGV'}, {logTail: '', oomKiller: 'host'});
    expect(error.code).toBe('WORKER_CRASHED');
  });
});
