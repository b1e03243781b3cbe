import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {setTimeout as sleep} from 'node:timers/promises';
import {afterEach, describe, expect, test, vi} from 'vitest';
import type {SamplerResult} from '../../../harness/contract/sampler.ts';
import {systemFiles} from '../../../harness/linux/system-files.ts';
import {ProcessMemorySampler} from '../../../harness/samplers/process-memory.ts';
import {Ticker} from '../../../harness/samplers/ticker.ts';
import {fakeClock} from '../../support/fake-clock.ts';
import {FakeHost, setProcess} from '../../support/fake-host.ts';

const KIB = 1024;

function channel(result: SamplerResult, name: string): readonly (number | null)[] | undefined {
  return result.series.find((series) => series.channel === name)?.values;
}

afterEach(() => {
  vi.useRealTimers();
});

/** @param pssCostMs What reading the proportional set size seems to cost. */
async function start(host: FakeHost, pssCostMs = 0.01) {
  const clock = fakeClock();
  let cost = 0;
  const costMs = () => {
    cost += pssCostMs;
    return cost;
  };
  const sampler = new ProcessMemorySampler({files: host, ticker: new Ticker(), costMs});
  const recording = await sampler.start({pid: 100, periodMs: 50, nowMs: clock.nowMs, gpuIndex: null});
  return {clock, recording};
}

describe('the process memory sampler', () => {
  test('splits the resident set: shared memory counts as anonymous, so that the parts make the whole', async () => {
    const host = new FakeHost();
    setProcess(host, 100, {anonymousKib: 10, fileKib: 20, sharedKib: 3, swapKib: 2, pssKib: 25});
    const {recording} = await start(host);
    const result = await recording.stop();
    expect(Object.fromEntries(result.series.map(({channel: name, values}) => [name, values]))).toEqual({
      ram_pss_bytes: [25 * KIB],
      ram_rss_bytes: [33 * KIB],
      ram_anonymous_bytes: [13 * KIB],
      ram_file_bytes: [20 * KIB],
      ram_swap_bytes: [2 * KIB],
    });
    expect(result.caveats).toEqual([{code: 'swapped', value: String(2 * KIB)}]);
  });

  test('sums the tree: children that come later, and grandchildren whose parent ended', async () => {
    const host = new FakeHost();
    setProcess(host, 100, {anonymousKib: 10});
    const {clock, recording} = await start(host);
    setProcess(host, 100, {anonymousKib: 10, children: [101]});
    setProcess(host, 101, {anonymousKib: 5, children: [102]});
    setProcess(host, 102, {anonymousKib: 7});
    recording.edge('load');
    setProcess(host, 100, {anonymousKib: 10});
    host.remove('/proc/101');
    recording.edge('warmup');
    clock.advance(250);
    expect(channel(await recording.stop(), 'ram_rss_bytes')).toEqual([10 * KIB, 22 * KIB, 17 * KIB, 17 * KIB]);
  });

  test('between two readings of the proportional size, the growth of the resident size is added, up to that size', async () => {
    const host = new FakeHost();
    setProcess(host, 100, {anonymousKib: 100, pssKib: 80});
    // 1 ms a reading, at most 0.1 % of the time: the next one is due after 1000 ms.
    const {clock, recording} = await start(host, 1);
    setProcess(host, 100, {anonymousKib: 130, pssKib: 90});
    clock.advance(250);
    setProcess(host, 100, {anonymousKib: 10, pssKib: 90});
    clock.advance(250);
    setProcess(host, 100, {anonymousKib: 130, pssKib: 90});
    clock.advance(500);
    const values = channel(await recording.stop(), 'ram_pss_bytes')?.map((bytes) => Number(bytes) / KIB);
    expect([values?.[0], values?.[1], values?.[2], values?.at(-1)]).toEqual([80, 110, 0, 90]);
  });

  test('a peak between two readings is what the kernel kept of it, in the phase in which it was', async () => {
    const host = new FakeHost();
    // What was before the recording is no peak of it.
    setProcess(host, 100, {anonymousKib: 10, peakKib: 500, pssKib: 8});
    const {clock, recording} = await start(host);
    recording.edge('load');
    setProcess(host, 100, {anonymousKib: 20, peakKib: 60, pssKib: 18});
    clock.advance(250);
    setProcess(host, 100, {anonymousKib: 30, peakKib: 60, pssKib: 28});
    clock.advance(250);
    // Between the last reading of the phase and its end.
    setProcess(host, 100, {anonymousKib: 30, peakKib: 90, pssKib: 28});
    recording.edge('warmup');
    clock.advance(250);
    const result = await recording.stop();
    const kib = (name: string) => channel(result, name)?.map((bytes) => Number(bytes) / KIB);
    expect(kib('ram_rss_bytes')).toEqual([10, 10, 60, 90, 30, 30]);
    expect(kib('ram_pss_bytes')).toEqual([8, 8, 58, 88, 28, 28]);
    expect(kib('ram_anonymous_bytes')).toEqual([10, 10, 20, 30, 30, 30]);
  });

  test('of processes that rose at different times, the higher peak counts once', async () => {
    const host = new FakeHost();
    setProcess(host, 100, {anonymousKib: 10, peakKib: 10, children: [101]});
    setProcess(host, 101, {anonymousKib: 10, peakKib: 10});
    const {clock, recording} = await start(host);
    setProcess(host, 100, {anonymousKib: 10, peakKib: 40, children: [101]});
    setProcess(host, 101, {anonymousKib: 10, peakKib: 30});
    clock.advance(250);
    expect(channel(await recording.stop(), 'ram_rss_bytes')).toEqual([20 * KIB, 50 * KIB]);
  });

  test('the first measured request is not disturbed by a dear reading', async () => {
    const host = new FakeHost();
    setProcess(host, 100, {anonymousKib: 100, pssKib: 80});
    const {recording} = await start(host, 20);
    setProcess(host, 100, {anonymousKib: 100, pssKib: 60});
    recording.edge('measure');
    recording.edge('warmup');
    const values = channel(await recording.stop(), 'ram_pss_bytes');
    expect(values).toEqual([80 * KIB, 80 * KIB, 60 * KIB]);
  });

  test('without smaps_rollup there is no proportional size, rather than a wrong one', async () => {
    const host = new FakeHost();
    setProcess(host, 100, {anonymousKib: 100});
    const {recording} = await start(host);
    expect(channel(await recording.stop(), 'ram_pss_bytes')).toBeUndefined();
  });

  test('the end of the worker ends the readings and is no gap', async () => {
    const host = new FakeHost();
    setProcess(host, 100, {anonymousKib: 100});
    const {clock, recording} = await start(host);
    clock.advance(250);
    host.remove('/proc/100');
    clock.advance(500);
    const result = await recording.stop();
    expect(channel(result, 'ram_rss_bytes')).toHaveLength(2);
    expect(result.series[0]?.gaps).toBe(0);
    expect(result.caveats).toEqual([]);
  });

  test('readings that were missed are counted and told', async () => {
    const host = new FakeHost();
    setProcess(host, 100, {anonymousKib: 100});
    const {clock, recording} = await start(host);
    clock.advance(250);
    clock.stall(2000);
    clock.advance(300);
    const result = await recording.stop();
    expect(result.series[0]?.gaps).toBe(8);
    expect(result.caveats).toEqual([{code: 'sampler-gaps', value: '0.727'}]);
  });

  test('stopping twice gives the same result', async () => {
    const host = new FakeHost();
    setProcess(host, 100, {anonymousKib: 1});
    const {recording} = await start(host);
    expect(await recording.stop()).toBe(await recording.stop());
  });

  test('on an older kernel the process group stands for the tree', async () => {
    const host = new FakeHost();
    for (const pid of [100, 101, 200]) setProcess(host, pid, {anonymousKib: 4});
    host.remove('/proc/100/task').remove('/proc/101/task');
    host.set('/proc/101/stat', '101 (child) S 100 100 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 1 1\n');
    const {recording} = await start(host);
    expect(channel(await recording.stop(), 'ram_rss_bytes')).toEqual([8 * KIB]);
  });

  test('a process that does not exist cannot be watched', async () => {
    await expect(start(new FakeHost())).rejects.toMatchObject({code: 'SAMPLER_UNAVAILABLE'});
    const sampler = new ProcessMemorySampler({files: new FakeHost(), ticker: new Ticker()});
    expect(await sampler.available()).toMatchObject({ok: false});
  });
});

const linux = process.platform === 'linux';
if (!linux) process.stdout.write('skipped: the real /proc is there on Linux only\n');

describe('on this machine', () => {
  test.skipIf(!linux)('64 MiB that a grandchild writes are seen as anonymous memory of the tree', async () => {
    const inner = `let c = Buffer.alloc(96 << 20, 1); c = null; global.gc(); const b = Buffer.alloc(64 << 20, 1); console.log('full'); setTimeout(() => b, 60000)`;
    const outer = `const c = require('node:child_process').spawn(process.execPath, ['--expose-gc', '-e', ${JSON.stringify(inner)}], {stdio: ['ignore', 'inherit', 'inherit']}); process.on('SIGTERM', () => { c.kill('SIGKILL'); process.exit(); })`;
    const worker = spawn(process.execPath, ['-e', outer], {stdio: ['ignore', 'pipe', 'inherit']});
    try {
      await once(worker.stdout, 'data');
      const sampler = new ProcessMemorySampler({files: systemFiles(), ticker: new Ticker()});
      const context = {pid: worker.pid ?? 0, periodMs: 20, nowMs: () => performance.now(), gpuIndex: null};
      const recording = await sampler.start(context);
      await sleep(100);
      const result = await recording.stop();
      const peak = (name: string) => Math.max(...(channel(result, name) ?? []).map(Number));
      expect(peak('ram_anonymous_bytes')).toBeGreaterThan(64 << 20);
      expect(peak('ram_pss_bytes')).toBeGreaterThan(64 << 20);
      expect(peak('ram_pss_bytes')).toBeLessThan(peak('ram_rss_bytes'));
    } finally {
      worker.kill('SIGTERM');
    }
  });
});
