import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import {afterAll, describe, expect, test} from 'vitest';
import {parseCpuList} from '../../../harness/linux/cpu-list.ts';
import {memoryStatField} from '../../../harness/linux/memory-stat.ts';
import {onBattery} from '../../../harness/linux/power-supply.ts';
import {parseHostCpuTimes, parseProcessTimes} from '../../../harness/linux/proc-stat.ts';
import {memInfoBytes, parseProcessMemory, parsePssBytes, statusField} from '../../../harness/linux/proc-status.ts';
import {parseNumber, systemFiles} from '../../../harness/linux/system-files.ts';
import {FakeHost} from '../../support/fake-host.ts';

describe('readers of /proc', () => {
  test('host CPU times count interrupts as work and waiting for a disk as idle', () => {
    expect(parseHostCpuTimes('cpu  100 20 30 400 50 6 7 80 9 10\ncpu0 …')).toEqual({
      busyS: 1.63,
      idleS: 4.5,
      stealS: 0.8,
    });
  });

  test('host CPU times of an old kernel without steal have none', () => {
    expect(parseHostCpuTimes('cpu  100 0 0 100\n')).toEqual({busyS: 1, idleS: 1, stealS: 0});
  });

  test('a program name with blanks and brackets does not shift the fields of its stat file', () => {
    const line = '42 (a) b (c) S 1 42 42 0 -1 4194304 101 0 0 0 250 50 7 3 20 0 1 0 117113 3133440 390';
    expect(parseProcessTimes(line)).toEqual({state: 'S', parentPid: 1, groupId: 42, cpuS: 3, childrenCpuS: 0.1});
  });

  test('a zombie has a status file without memory', () => {
    expect(parseProcessMemory('Name:\tx\nState:\tZ (zombie)\nPid:\t7\n')).toBeNull();
  });

  test('memory of a process is in bytes, part by part', () => {
    const text =
      'Name:\tx\nVmPeak:\t9 kB\nVmHWM:\t 1800 kB\nVmRSS:\t   1784 kB\nRssAnon:\t 112 kB\nRssFile:\t 1600 kB\nRssShmem:\t 72 kB\nVmSwap:\t 4 kB\n';
    expect(parseProcessMemory(text)).toEqual({
      rssBytes: 1784 * 1024,
      rssPeakBytes: 1800 * 1024,
      anonymousBytes: 112 * 1024,
      fileBytes: 1600 * 1024,
      sharedBytes: 72 * 1024,
      swapBytes: 4096,
    });
  });

  test('the proportional set size is not mistaken for its parts', () => {
    expect(
      parsePssBytes('5-7 ---p 0 00:00 0 [rollup]\nRss: 9 kB\nPss_Anon: 1 kB\nPss:  340 kB\nPss_Dirty: 2 kB\n'),
    ).toBe(348160);
  });

  test('fields of status and meminfo are found on the first line, too', () => {
    expect(statusField('Name:\tcat\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\n', 'Cpus_allowed_list')).toBe('0-1');
    expect(statusField('Name:\tcat', 'Name')).toBe('cat');
    expect(memInfoBytes('MemTotal: 2 kB\nSwapTotal: 0 kB\n', 'MemTotal')).toBe(2048);
    expect(memInfoBytes('MemTotal: 2 kB\n', 'Total')).toBeNull();
    expect(memoryStatField('total_inactive_file 9\ninactive_file 7\n', 'inactive_file')).toBe(7);
  });

  test('CPU lists have ranges, gaps and rubbish', () => {
    expect(parseCpuList('0-2,8\n')).toEqual([0, 1, 2, 8]);
    expect(parseCpuList('')).toEqual([]);
    expect(parseCpuList('3-1,x,5-')).toEqual([]);
    expect(parseCpuList('0-99999999999').length).toBeLessThan(10_000);
  });

  test('only a number is a number', () => {
    expect(['7\n', '-1', '2.5', 'max', '', null, '0x10', '1 2'].map(parseNumber)).toEqual([
      7,
      -1,
      2.5,
      null,
      null,
      null,
      null,
      null,
    ]);
  });

  test('no parser throws, whatever the text', () => {
    const line = fc.stringMatching(/^(cpu|VmRSS:|Pss:|\d+ \(|oom_kill|[\w:]+)? ?[-\d a-z():,.]*$/);
    const text = fc.oneof(
      fc.string(),
      fc.array(line).map((lines) => lines.join('\n')),
    );
    fc.assert(
      fc.property(text, (any) => {
        const host = parseHostCpuTimes(any);
        if (host !== null) expect(Number.isFinite(host.busyS + host.idleS + host.stealS)).toBe(true);
        const times = parseProcessTimes(any);
        if (times !== null) expect(Number.isFinite(times.cpuS)).toBe(true);
        const memory = parseProcessMemory(any);
        if (memory !== null) expect(memory.rssBytes).toBeGreaterThanOrEqual(0);
        parsePssBytes(any);
        parseCpuList(any);
        statusField(any, 'Name');
        memoryStatField(any, 'oom_kill');
      }),
      {seed: 1, numRuns: 500},
    );
  });
});

describe('batteries', () => {
  test('a laptop on its battery is told from one that has none or is plugged in; a mouse does not count', () => {
    const laptop = FakeHost.load('ryzen-5800hs-laptop');
    expect(onBattery(laptop)).toBe(true);
    expect(onBattery(laptop.set('/sys/class/power_supply/BAT0/status', 'Charging\n'))).toBe(false);
    expect(onBattery(FakeHost.load('kvm-zen4'))).toBeNull();
  });
});

describe('system files', () => {
  const root = mkdtempSync(path.join(os.tmpdir(), 'bench-files-'));
  afterAll(() => rmSync(root, {recursive: true, force: true}));

  test('stand below a root, and are null or empty when absent', () => {
    mkdirSync(path.join(root, 'proc'));
    writeFileSync(path.join(root, 'proc', 'b'), 'x'.repeat(200_000));
    writeFileSync(path.join(root, 'proc', 'a'), '1\n');
    const files = systemFiles(root);
    expect(files.list('/proc')).toEqual(['a', 'b']);
    expect(files.text('/proc/b')?.length).toBe(200_000);
    expect(files.text('/proc/c')).toBeNull();
    expect(files.text('/proc')).toBeNull();
    expect(files.list('/nowhere')).toEqual([]);
  });

  test('an open file is read anew each time, and is null once closed', () => {
    const file = path.join(root, 'counter');
    writeFileSync(file, '1');
    const open = systemFiles(root).open('/counter');
    expect(open.read()).toBe('1');
    writeFileSync(file, '22');
    expect(open.read()).toBe('22');
    open.close();
    open.close();
    expect(open.read()).toBeNull();
  });
});
