import {spawn} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import {setTimeout as delay} from 'node:timers/promises';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {systemFiles} from '../../../harness/linux/system-files.ts';
import {NvmlSampler} from '../../../harness/samplers/nvml.ts';
import {channel, record, T4} from '../../support/fake-gpu.ts';
import {findCompiler, makeNvmlStub, type NvmlStub, T4_SCRIPT} from '../../support/nvml-stub.ts';

const compiler = findCompiler();

describe.skipIf(compiler === null)('NVML, played by a stub', () => {
  let stub: NvmlStub;
  beforeAll(() => {
    stub = makeNvmlStub(compiler);
  });
  afterAll(() => stub.remove());

  const sampler = (script: string, options: {startMs?: number; hostPids?: boolean} = {}) =>
    new NvmlSampler({
      files: systemFiles(),
      host: {gpus: [T4], devices: []},
      env: stub.env(T4_SCRIPT + script),
      hostPids: true,
      ...options,
    });

  test('every channel is filled, and what changes is seen when it changes', async () => {
    // Times of a script count from nvmlInit, shortly before the recording begins.
    const result = await record(
      sampler(`
700 0 used 2623537152
0 0 throttle 1
700 0 throttle 4
300 0 process ${process.pid}:2000000000,7:1
`),
      {
        periodMs: 50,
        phases: [
          ['baseline', 300],
          ['load', 300],
          ['warmup', 100],
          ['measure', 600],
          ['end', 0],
        ],
      },
    );
    const used = channel(result, 'vram_used_bytes');
    expect(used[0]).toBe(3_145_728);
    expect(used.at(-1)).toBe(2_623_537_152);
    const energy = channel(result, 'gpu_energy_j').filter((value) => value !== null);
    expect((energy.at(-1) ?? 0) - (energy[0] ?? 0)).toBeGreaterThan(10);
    expect(channel(result, 'gpu_sm_clock_hz').at(-1)).toBe(1.59e9);
    expect(channel(result, 'gpu_memory_clock_hz').at(-1)).toBe(5e9);
    expect(channel(result, 'gpu_power_w').at(-1)).toBe(27.5);
    expect(channel(result, 'gpu_temperature_c').at(-1)).toBe(48);
    expect(channel(result, 'gpu_throttled_ratio')[0]).toBeNull();
    expect(channel(result, 'gpu_throttled_ratio').at(-1)).toBe(1);
    expect(channel(result, 'vram_process_bytes')).toEqual([2e9, 2e9]);
    expect(result.caveats).toEqual([{code: 'foreign-gpu', value: 'process-7'}]);
    // Times lie on the clock of the cell: the readings cover it from its beginning to its end.
    const times = result.series[0]?.tMs ?? [];
    expect(times.at(-1) ?? 0).toBeGreaterThan(1250);
    expect([...times].sort((a, b) => a - b)).toEqual(times);
  });

  test('a field that the card does not give is absent, one that fails for a while has nulls', async () => {
    const result = await record(
      sampler(`
0 0 error.energy 3
0 0 error.util 4
0 0 error.temp 999
900 0 error.temp 0
`),
      {periodMs: 50, phases: [['measure', 1500]]},
    );
    expect(channel(result, 'gpu_energy_j')).toEqual([]);
    expect(channel(result, 'gpu_utilization_ratio')).toEqual([]);
    expect(channel(result, 'gpu_temperature_c')).toContain(null);
    expect(channel(result, 'gpu_temperature_c').at(-1)).toBe(48);
    expect(channel(result, 'vram_used_bytes')).not.toContain(null);
  });

  test('drivers before 510 give the memory by the older call', async () => {
    const result = await record(sampler('0 0 v1 1\n'), {periodMs: 50, phases: [['measure', 200]]});
    expect(channel(result, 'vram_used_bytes')[0]).toBe(3_145_728);
  });

  test('of a partitioned card the memory and the processes are those of the instance, the rest is of the card', async () => {
    const result = await record(
      sampler(`
0 0 mig 1
0 0 migcount 7
0 0 error.util 3
0 8 uuid MIG-1
0 8 total 10737418240
0 8 used 73400320
0 8 process ${process.pid}:60000000
0 0 process 7:1
`),
      {periodMs: 50, phases: [['warmup', 300]]},
    );
    expect(channel(result, 'vram_used_bytes')[0]).toBe(73_400_320);
    expect(channel(result, 'gpu_power_w')[0]).toBe(27.5);
    expect(channel(result, 'gpu_utilization_ratio')).toEqual([]);
    expect(result.caveats).toEqual([{code: 'foreign-gpu', value: `process-${process.pid}`}]);
  });

  test('processes of unknown size are strangers, and no size of 0', async () => {
    const many = Array.from({length: 12}, (_, index) => `${index + 50_000_000}:?`);
    const script = `0 0 process ${many.join(',')}\n`;
    const result = await record(sampler(script), {periodMs: 50, phases: [['warmup', 100]]});
    expect(result.caveats).toEqual([{code: 'foreign-gpu', value: 'process-50000000+11'}]);
    expect(channel(result, 'vram_process_bytes')).toEqual([]);
  });

  test('a card that falls off the bus ends the readings with a caveat; what was read is kept', async () => {
    const result = await record(sampler('600 0 lost 1\n'), {periodMs: 50, phases: [['measure', 1400]]});
    expect(result.caveats).toContainEqual({code: 'sampler-lost', value: 'nvml:gpu-is-lost'});
    expect(channel(result, 'vram_used_bytes').length).toBeGreaterThan(2);
  });

  test('a library that crashes ends its own process only', async () => {
    const result = await record(sampler('600 0 crash 1\n'), {periodMs: 50, phases: [['measure', 1500]]});
    expect(result.caveats.map(({code, value}) => `${code}=${value}`)).toEqual([
      expect.stringMatching(/^sampler-lost=nvml:ended-by-/),
    ]);
  });

  test('a driver that hangs is noticed, killed and told', async () => {
    const result = await record(sampler('1200 0 hang 1\n'), {periodMs: 50, phases: [['measure', 5000]]});
    expect(result.caveats).toContainEqual({code: 'sampler-lost', value: 'nvml:no-reading-for-3-s'});
    expect(channel(result, 'vram_used_bytes').length).toBeGreaterThan(2);
  });

  test('a driver that hangs from the beginning delays two cells, and the third not any more', async () => {
    const hung = sampler('0 * hang 1\n', {startMs: 700});
    for (const _ of [1, 2]) {
      const result = await record(hung, {phases: []});
      expect(result.caveats).toEqual([{code: 'sampler-lost', value: 'nvml:no-reading-for-0.7-s'}]);
    }
    expect((await record(hung, {phases: []})).caveats).toEqual([{code: 'sampler-lost', value: 'nvml:given-up'}]);
  });

  test.each([
    ['0 * init 18\n', 'nvmlInit: driver and library have different versions', 'reboot'],
    ['0 * init 9\n', 'nvmlInit: driver not loaded', 'modprobe'],
    ['0 * count 0\n', 'NVML finds no GPU', '--gpus all'],
    ['0 * hang 1\n', 'NVML gave no answer within 0.7 s', 'reboot'],
  ])('where NVML does not work it says why and what to do: %j', async (script, reason, fix) => {
    // Only the hanging driver is to run into the limit: starting the process takes longer than that on a busy machine.
    const startMs = script.includes('hang') ? 700 : 30_000;
    expect(await sampler(script, {startMs}).available()).toMatchObject({
      ok: false,
      reason: expect.stringContaining(reason),
      fix: expect.stringContaining(fix),
    });
  });

  test('nothing is left behind when bench is killed while the driver hangs', async () => {
    const url = new URL('../../../harness/nvml/nvml-process.ts', import.meta.url).href;
    const program = `import {NvmlSampling} from ${JSON.stringify(url)};
      new NvmlSampling({do: 'sample', index: 0, uuid: null, periodMs: 50},
        {onMessage: () => process.stdout.write('x'), onLost: () => undefined});`;
    const env = stub.env(`${T4_SCRIPT}900 0 hang 1\n`);
    const mark = env['BENCH_NVML_STUB'] ?? '';
    const children = () =>
      readdirSync('/proc').filter((pid) => {
        try {
          const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
          return line.includes('nvml-child') && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(mark);
        } catch {
          return false;
        }
      }).length;
    const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => parent.stdout.once('data', resolve));
    await delay(1500);
    expect(children()).toBe(1);
    parent.kill('SIGKILL');
    for (let tries = 0; tries < 100 && children() > 0; tries++) await delay(50);
    expect(children()).toBe(0);
  });
});

test('a host without a driver starts nothing, and a cell on the CPU has no card to read', async () => {
  const files = {...systemFiles(), list: () => [], text: () => null};
  const bare = new NvmlSampler({files, host: {gpus: [], devices: []}, env: {}});
  expect(await bare.available()).toEqual({ok: false, reason: 'no NVIDIA driver on this host', fix: null});
  await expect(record(bare, {phases: [], gpuIndex: null})).rejects.toThrow('uses no GPU');
});
