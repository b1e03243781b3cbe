import {afterEach, describe, expect, test, vi} from 'vitest';
import {allSamplers} from '../../../harness/samplers/catalog.ts';
import {CgroupSampler} from '../../../harness/samplers/cgroup.ts';
import {RaplSampler} from '../../../harness/samplers/rapl.ts';
import {Ticker} from '../../../harness/samplers/ticker.ts';
import {fakeClock} from '../../support/fake-clock.ts';
import {FakeHost} from '../../support/fake-host.ts';

const RAPL = '/sys/class/powercap';

afterEach(() => {
  vi.useRealTimers();
});

function context(clock: {nowMs: () => number}, pid = 100) {
  return {pid, periodMs: 50, nowMs: clock.nowMs, gpuIndex: null};
}

describe('the energy sampler', () => {
  test('adds up packages only, from the start of the recording, and undoes the wrap-around', async () => {
    const host = FakeHost.load('bare-epyc-rapl');
    const clock = fakeClock();
    const recording = await new RaplSampler({files: host, ticker: new Ticker()}).start(context(clock));
    // The first counter passes 262143328850 and begins anew: 328850 + 1 + 671149 = 1 J more.
    host.set(`${RAPL}/intel-rapl:0/energy_uj`, '671149\n').set(`${RAPL}/intel-rapl:1/energy_uj`, '3000000\n');
    clock.advance(250);
    host.set(`${RAPL}/intel-rapl:0/energy_uj`, '2671149\n');
    clock.advance(250);
    const {series, caveats} = await recording.stop();
    expect(series).toEqual([
      {channel: 'rapl_package_j', unit: 'J', tMs: [0, 250, 500], values: [0, 3, 5], periodMs: 250, gaps: 0},
    ]);
    expect(caveats).toEqual([]);
  });

  test('a reading that fails is null, and the next one has the energy of both', async () => {
    const host = FakeHost.load('bare-epyc-rapl');
    const clock = fakeClock();
    const recording = await new RaplSampler({files: host, ticker: new Ticker()}).start(context(clock));
    host.remove(`${RAPL}/intel-rapl:1/energy_uj`);
    clock.advance(250);
    host.set(`${RAPL}/intel-rapl:1/energy_uj`, '9000000\n');
    clock.advance(250);
    const {series} = await recording.stop();
    expect(series[0]).toMatchObject({values: [0, null, 8], gaps: 1});
  });

  test('counters for root only are told with the command that opens them', async () => {
    const host = FakeHost.load('bare-epyc-rapl').remove(`${RAPL}/intel-rapl:0/energy_uj`);
    const sampler = new RaplSampler({files: host, ticker: new Ticker()});
    expect(await sampler.available()).toMatchInlineSnapshot(`
      {
        "fix": "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj",
        "ok": false,
        "reason": "RAPL counters are readable for root only",
      }
    `);
    await expect(sampler.start(context({nowMs: () => 0}))).rejects.toMatchObject({code: 'SAMPLER_UNAVAILABLE'});
  });
});

describe('the control group sampler', () => {
  test('reads memory and peak of version 1 and 2', async () => {
    const clock = fakeClock();
    const values = async (name: string, line: string) => {
      const host = FakeHost.load(name).set('/proc/100/cgroup', line);
      const recording = await new CgroupSampler({files: host, ticker: new Ticker()}).start(context(clock));
      return Object.fromEntries((await recording.stop()).series.map((series) => [series.channel, series.values]));
    };
    expect(await values('kvm-zen4', '4:memory:/sandbox/6b8d\n')).toEqual({
      cgroup_memory_bytes: [356_864_000],
      cgroup_memory_peak_bytes: [2_201_587_712],
    });
    expect(await values('container-v2', '0::/docker/abc123/worker\n')).toEqual({cgroup_memory_bytes: [1_000_000_000]});
  });

  test('the root group counts nothing, and says so', async () => {
    const sampler = new CgroupSampler({files: FakeHost.load('bare-epyc-rapl'), ticker: new Ticker()});
    expect(await sampler.available()).toMatchObject({ok: false, fix: 'systemd-run --user --scope bench matrix'});
  });
});

describe('all samplers', () => {
  test('each says on each host whether it can be read', async () => {
    const answers = await Promise.all(
      ['kvm-zen4', 'ryzen-5800hs-laptop', 'container-v2', 'vm-v1', 'bare-epyc-rapl'].map(async (name) => {
        const samplers = allSamplers({files: FakeHost.load(name)});
        const cpuSide = samplers.filter(({id}) => ['process-memory', 'cgroup', 'cpu', 'rapl'].includes(id));
        const found = await Promise.all(cpuSide.map(async (s) => ((await s.available()).ok ? s.id : `no ${s.id}`)));
        return `${name}: ${found.join(', ')}`;
      }),
    );
    expect(answers).toMatchInlineSnapshot(`
      [
        "kvm-zen4: process-memory, cgroup, cpu, no rapl",
        "ryzen-5800hs-laptop: process-memory, cgroup, cpu, no rapl",
        "container-v2: process-memory, cgroup, cpu, no rapl",
        "vm-v1: process-memory, cgroup, cpu, no rapl",
        "bare-epyc-rapl: process-memory, no cgroup, cpu, rapl",
      ]
    `);
  });
});
