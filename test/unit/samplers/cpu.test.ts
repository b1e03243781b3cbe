import {afterEach, describe, expect, test, vi} from 'vitest';
import type {SamplerResult} from '../../../harness/contract/sampler.ts';
import {CpuSampler} from '../../../harness/samplers/cpu.ts';
import {openClocks, openTemperature} from '../../../harness/samplers/cpu-sensors.ts';
import {Ticker} from '../../../harness/samplers/ticker.ts';
import {fakeClock} from '../../support/fake-clock.ts';
import {FakeHost, setHostTimes, setProcess} from '../../support/fake-host.ts';

afterEach(() => {
  vi.useRealTimers();
});

async function start(host: FakeHost) {
  const clock = fakeClock();
  let harnessS = 0;
  const sampler = new CpuSampler({files: host, ticker: new Ticker(), harnessCpuS: () => harnessS});
  const recording = await sampler.start({pid: 100, periodMs: 50, nowMs: clock.nowMs, gpuIndex: null});
  return {
    clock,
    recording,
    spend: (seconds: number) => {
      harnessS += seconds;
    },
  };
}

const last = (result: SamplerResult, name: string) =>
  result.series.find(({channel}) => channel === name)?.values.at(-1) ?? null;

describe('the CPU sampler', () => {
  test('takes the worker and the harness off what the host did; the rest is foreign', async () => {
    const host = new FakeHost();
    setHostTimes(host, {busy: 1000, idle: 1000, steal: 0});
    setProcess(host, 100, {cpuTicks: 500});
    const {clock, recording, spend} = await start(host);
    recording.edge('measure');
    clock.advance(240);
    // In 250 ms of four cores: 0.65 s busy, of which 0.45 s the worker's and 0.05 s ours; 0.05 s stolen.
    setHostTimes(host, {busy: 1065, idle: 1030, steal: 5});
    setProcess(host, 100, {cpuTicks: 545});
    spend(0.05);
    clock.advance(10);
    recording.edge('end');
    const result = await recording.stop();
    expect(last(result, 'cpu_worker_cores')).toBeCloseTo(1.8);
    expect(last(result, 'cpu_foreign_cores')).toBeCloseTo(0.6);
    expect(last(result, 'cpu_steal_ratio')).toBeCloseTo(0.05);
    expect(result.caveats).toEqual([
      {code: 'foreign-cpu', value: '0.60'},
      {code: 'cpu-steal', value: '0.050'},
    ]);
  });

  test('foreign load outside the measured phase is no caveat', async () => {
    const host = new FakeHost();
    setHostTimes(host, {busy: 0, idle: 0, steal: 0});
    setProcess(host, 100, {});
    const {clock, recording} = await start(host);
    clock.advance(300);
    setHostTimes(host, {busy: 60, idle: 60, steal: 0});
    recording.edge('measure');
    clock.advance(300);
    setHostTimes(host, {busy: 60, idle: 180, steal: 0});
    recording.edge('end');
    clock.advance(300);
    setHostTimes(host, {busy: 120, idle: 180, steal: 0});
    clock.advance(300);
    expect((await recording.stop()).caveats).toEqual([]);
  });

  test('a process of the tree that ended keeps what it used', async () => {
    const host = new FakeHost();
    setHostTimes(host, {busy: 0, idle: 0, steal: 0});
    setProcess(host, 100, {cpuTicks: 10, children: [101]});
    setProcess(host, 101, {cpuTicks: 0});
    const {clock, recording} = await start(host);
    clock.advance(1000);
    setProcess(host, 101, {cpuTicks: 50});
    setHostTimes(host, {busy: 60, idle: 140, steal: 0});
    clock.advance(250);
    host.remove('/proc/101');
    setHostTimes(host, {busy: 60, idle: 190, steal: 0});
    clock.advance(250);
    expect(last(await recording.stop(), 'cpu_worker_cores')).toBe(0);
  });

  test('the clock is that of the cores that the worker keeps busy, and the temperature that of the CPU', async () => {
    const host = FakeHost.load('ryzen-5800hs-laptop');
    setHostTimes(host, {busy: 0, idle: 0, steal: 0});
    setProcess(host, 100, {cpuTicks: 0});
    const {clock, recording} = await start(host);
    setHostTimes(host, {busy: 50, idle: 350, steal: 0});
    setProcess(host, 100, {cpuTicks: 50});
    clock.advance(250);
    const result = await recording.stop();
    expect(last(result, 'cpu_worker_cores')).toBeCloseTo(2);
    expect(last(result, 'cpu_clock_hz')).toBe(4.2e9);
    expect(last(result, 'cpu_temperature_c')).toBe(71.25);
  });

  test('without /proc/stat it is unavailable', async () => {
    const host = new FakeHost();
    expect(await new CpuSampler({files: host, ticker: new Ticker()}).available()).toMatchObject({ok: false});
    await expect(start(host)).rejects.toMatchObject({code: 'SAMPLER_UNAVAILABLE'});
  });
});

describe('sensors', () => {
  test('a clock that is no measurement is left out', () => {
    expect(openClocks(FakeHost.load('kvm-zen4'))).toBeNull();
    expect(openClocks(FakeHost.load('vm-v1'))?.read()).toEqual(Array.from({length: 4}, () => 3499.871e6));
    expect(openClocks(FakeHost.load('ryzen-5800hs-laptop'))?.source).toBe('scaling_cur_freq');
  });

  test('a disk is no CPU, and of several sockets the hottest counts', () => {
    expect(openTemperature(FakeHost.load('ryzen-5800hs-laptop'))?.limitC).toBeNull();
    const server = openTemperature(FakeHost.load('bare-epyc-rapl'));
    expect([server?.read(), server?.limitC]).toEqual([66, 90]);
    expect(openTemperature(FakeHost.load('kvm-zen4'))).toBeNull();
  });

  test('the limit of the maker, once reached, is a caveat', async () => {
    const host = FakeHost.load('bare-epyc-rapl').set('/sys/class/hwmon/hwmon0/temp2_input', '91000\n');
    setProcess(host, 100, {});
    const {clock, recording} = await start(host);
    setHostTimes(host, {busy: 1500, idle: 8200, steal: 20});
    clock.advance(250);
    expect((await recording.stop()).caveats).toContainEqual({code: 'hot', value: '91'});
  });
});
