import {describe, expect, test} from 'vitest';
import {gpuCaveats} from '../../../harness/samplers/gpu-caveats.ts';
import {GpuLog, type GpuReading, type GpuSlowReading} from '../../../harness/samplers/gpu-log.ts';
import {GpuProcesses} from '../../../harness/samplers/gpu-processes.ts';
import {gpuTarget} from '../../../harness/samplers/gpu-target.ts';
import {T4} from '../../support/fake-gpu.ts';
import {planHost} from '../../support/plan-hosts.ts';

const BUSY: GpuReading & GpuSlowReading = {
  memoryUsedBytes: 5e9,
  powerW: 68,
  energyJ: null,
  smClockHz: 1.5e9,
  memoryClockHz: 5e9,
  temperatureC: 60,
  utilizationRatio: 0.97,
  throttleMask: 0n,
};

function withTdp(watts: number) {
  return planHost({gpu: 't4'}).devices.map((device) => ({
    ...device,
    entry: device.entry === null ? null : {...device.entry, tdp_w: watts},
  }));
}

function logOf(readings: readonly Partial<GpuReading & GpuSlowReading>[], {smClockHz = 1.59e9 as number | null} = {}) {
  const log = new GpuLog({source: 'nvml', periodMs: 100, smClockHz, slowdownC: 93, powerLimitW: 70});
  for (const [index, reading] of readings.entries()) {
    log.push(index * 100, {...BUSY, ...reading});
    log.pushSlow(index * 100, {...BUSY, ...reading});
  }
  const values = (name: string) => log.series().find(({channel}) => channel === name)?.values;
  return {log, values};
}

describe('what a card tells in a period', () => {
  test('is throttled by a reason or a clock under 75 % of its reference, but never while idle', () => {
    const {values} = logOf([
      {},
      {throttleMask: 0x4n},
      {smClockHz: 1.1e9},
      {throttleMask: 0x1n, smClockHz: 0.3e9, utilizationRatio: 0},
      {throttleMask: 0x2n},
      {throttleMask: null, utilizationRatio: 0, smClockHz: 0.3e9},
      {throttleMask: null, utilizationRatio: null},
    ]);
    expect(values('gpu_throttled_ratio')).toEqual([0, 1, 1, null, 0, null, null]);
    expect(values('gpu_sm_clock_busy_hz')).toEqual([1.5e9, 1.5e9, 1.1e9, null, 1.5e9, null, null]);
    expect(values('gpu_sm_clock_hz')?.[3]).toBe(0.3e9);
  });

  test('without a reference clock only the reasons count', () => {
    expect(logOf([{smClockHz: 0.2e9}], {smClockHz: null}).values('gpu_throttled_ratio')).toEqual([0]);
  });

  test('a channel that the card never gives is no series of nulls', () => {
    expect(logOf([{}]).values('gpu_energy_j')).toBeUndefined();
  });

  test('heat is told by the threshold and by the thermal reasons, with the highest temperature', () => {
    expect(logOf([{temperatureC: 92}]).log.caveats()).toEqual([]);
    expect(logOf([{temperatureC: 94}, {temperatureC: 80}]).log.caveats()).toEqual([{code: 'hot', value: '94'}]);
    expect(logOf([{temperatureC: 85, throttleMask: 0x20n}]).log.caveats()).toEqual([{code: 'hot', value: '85'}]);
    expect(logOf([{temperatureC: 85, throttleMask: 0x4n}]).log.caveats()).toEqual([]);
  });

  test('power that the card cannot draw is a caveat, one that it may draw for a moment is none', () => {
    expect(logOf([{powerW: 70}, {powerW: 77}, {powerW: null}]).log.caveats()).toEqual([]);
    expect(logOf([{powerW: 70}, {powerW: 77.1}, {powerW: 68}]).log.caveats()).toEqual([
      {code: 'power-implausible', value: '77/70'},
    ]);
    const unknown = new GpuLog({source: 'nvml', periodMs: 100, smClockHz: null, slowdownC: null, powerLimitW: null});
    unknown.push(0, {...BUSY, powerW: 4_294_967});
    expect(unknown.caveats()).toEqual([]);
  });

  test('what a card may draw is its data sheet, or a limit that somebody has raised', () => {
    const limit = (powerLimitW: number | null, tdp: number | null) =>
      gpuTarget({gpus: [{...T4, powerLimitW}], devices: tdp === null ? [] : withTdp(tdp)}, 0).powerLimitW;
    expect([limit(null, 70), limit(50, 70), limit(75, 70), limit(75, null), limit(null, null)]).toEqual([
      70,
      70,
      75,
      75,
      null,
    ]);
  });

  test('what is read more seldom has times, a period and gaps of its own', () => {
    const log = new GpuLog({
      source: 'nvml',
      periodMs: 50,
      slowPeriodMs: 500,
      smClockHz: null,
      slowdownC: 93,
      powerLimitW: null,
    });
    for (let tMs = 0; tMs <= 2500; tMs += 50) log.push(tMs, BUSY);
    for (const tMs of [0, 500, 2500]) log.pushSlow(tMs, BUSY);
    const find = (name: string) => log.series().find(({channel}) => channel === name);
    expect(find('gpu_temperature_c')).toMatchObject({tMs: [0, 500, 2500], periodMs: 500, gaps: 3, source: 'nvml'});
    expect(find('gpu_power_w')).toMatchObject({periodMs: 50, gaps: 0});
    expect(log.caveats()).toEqual([]);
  });

  test('pauses and unreadable lines are gaps, and many of them a caveat', () => {
    const {log} = logOf([{}, {}]);
    log.push(600, BUSY);
    log.unreadable(700);
    expect(log.series()[0]?.gaps).toBe(5);
    expect(log.caveats()).toEqual([{code: 'sampler-gaps', value: '0.625'}]);
  });
});

describe('who holds memory of a card', () => {
  const take = (
    hostPids: boolean,
    baseline: readonly number[],
    later: readonly number[],
    tree: readonly number[] = [100, 101],
  ) => {
    const processes = new GpuProcesses({source: 'nvml', hostPids});
    const list = (pids: readonly number[]) => pids.map((pid) => ({pid, name: `/usr/bin/p ${pid}`, usedBytes: pid}));
    processes.take(0, list(baseline), new Set(tree), true);
    processes.take(1000, list(later), new Set(tree), false);
    return {own: processes.series()[0]?.values ?? null, caveats: processes.caveats()};
  };

  test('on the host: own processes are summed, others named', () => {
    expect(take(true, [], [100, 101])).toEqual({own: [201], caveats: []});
    expect(take(true, [], [100, 7])).toEqual({own: [100], caveats: [{code: 'foreign-gpu', value: 'p_7'}]});
    expect(take(true, [7], [7, 8, 9])).toEqual({own: null, caveats: [{code: 'foreign-gpu', value: 'p_7+2'}]});
  });

  test('in a container with pids of the host: who was there before is a stranger, who came later is not known', () => {
    expect(take(false, [], [40_100])).toEqual({own: null, caveats: []});
    expect(take(false, [7], [7, 40_100])).toEqual({own: null, caveats: [{code: 'foreign-gpu', value: 'p_7'}]});
  });

  test('a stranger of the host whose pid is, by chance, that of our worker is not the worker', () => {
    expect(take(false, [100], [100, 40_100])).toEqual({own: null, caveats: [{code: 'foreign-gpu', value: 'p_100'}]});
  });

  test('in a container whose driver knows pid namespaces the worker is found', () => {
    expect(take(false, [], [100, 7])).toEqual({own: [100], caveats: [{code: 'foreign-gpu', value: 'p_7'}]});
  });

  test('a size that the driver does not tell is no size of 0', () => {
    const processes = new GpuProcesses({source: 'nvml', hostPids: true});
    processes.take(0, [], new Set([1]), true);
    processes.take(1, [{pid: 1, name: '', usedBytes: null}], new Set([1]), false);
    expect(processes.series()).toEqual([]);
    processes.take(2, [{pid: 2, name: '', usedBytes: null}], new Set([1]), false);
    expect(processes.caveats()).toEqual([{code: 'foreign-gpu', value: 'pid-2'}]);
  });
});

test('how a card is set up is told: lowered limit, ECC off, persistence off, MIG', () => {
  expect(gpuCaveats(T4)).toEqual([]);
  expect(
    gpuCaveats({
      ...T4,
      powerLimitW: 50,
      powerDefaultLimitW: 70,
      ecc: false,
      persistence: false,
      migMode: 'Enabled',
      mig: [{uuid: 'MIG-1', memoryBytes: null}],
    }),
  ).toEqual([
    {code: 'power-capped', value: '50/70'},
    {code: 'ecc-off'},
    {code: 'persistence-off'},
    {code: 'mig', value: '1'},
  ]);
  expect(gpuCaveats({...T4, powerLimitW: 69.6, powerDefaultLimitW: 70, ecc: true})).toEqual([]);
  // Off is how these leave the shop.
  expect(gpuCaveats({...T4, name: 'NVIDIA GeForce RTX 4090', ecc: false})).toEqual([]);
  expect(gpuCaveats({...T4, ecc: false, eccDefault: false})).toEqual([]);
});
