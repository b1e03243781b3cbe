import {spawn} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {expect, test} from 'vitest';
import type {Sampler} from '../../../harness/contract/sampler.ts';
import {NvidiaSmiSampler} from '../../../harness/samplers/nvidia-smi.ts';
import {channel, fakeSmiEnv, filesWithoutDriver, record, scratch, T4} from '../../support/fake-gpu.ts';

const noNvml: Sampler = {
  id: 'nvml',
  available: async () => ({ok: false, reason: 'a test', fix: null}),
  start: () => Promise.reject(new Error('never')),
};

function sampler(settings: Record<string, string>, options: {startMs?: number; silenceMs?: number} = {}) {
  return new NvidiaSmiSampler({
    files: filesWithoutDriver(),
    host: {gpus: [T4, {...T4, index: 1, uuid: 'GPU-11111111-2222-3333-4444-555555555501'}], devices: []},
    insteadOf: noNvml,
    env: fakeSmiEnv(settings),
    hostPids: true,
    ...options,
  });
}

const CELL = [
  ['baseline', 300],
  ['load', 300],
  ['warmup', 400],
  ['measure', 300],
  ['end', 0],
] as const;

test('one stream gives every channel, idle first and then busy, and the processes at the edges', async () => {
  const result = await record(sampler({FAKE_SMI_LOAD_AFTER_MS: '400', FAKE_SMI_APPS: `${process.pid}:worker:2400`}), {
    phases: CELL,
  });
  const used = channel(result, 'vram_used_bytes');
  expect(used[0]).toBe(2 * 1024 ** 2);
  expect(used.at(-1)).toBe(2502 * 1024 ** 2);
  expect(used.length).toBeGreaterThan(5);
  expect(channel(result, 'gpu_power_w').at(-1)).toBe(68.4);
  expect(channel(result, 'gpu_sm_clock_hz').at(-1)).toBe(1.44e9);
  expect(channel(result, 'gpu_throttled_ratio')[0]).toBeNull();
  expect(channel(result, 'gpu_throttled_ratio').at(-1)).toBe(0);
  expect(channel(result, 'gpu_energy_j')).toEqual([]);
  expect(new Set(result.series.map(({source}) => source))).toEqual(new Set(['nvidia-smi']));
  // The fake lists it from the beginning, when a worker has nothing yet: so it is a stranger with our number.
  expect(result.caveats).toEqual([{code: 'foreign-gpu', value: 'worker'}]);
  expect(channel(result, 'vram_process_bytes')).toEqual([]);
});

test('a card of an old driver, without the new field names, gives the same', async () => {
  const result = await record(sampler({FAKE_SMI_OLD: '1', FAKE_SMI_LOAD_AFTER_MS: '0'}), {phases: [['measure', 250]]});
  expect(channel(result, 'gpu_power_w')[0]).toBe(68.4);
  expect(channel(result, 'gpu_throttled_ratio')[0]).toBe(0);
});

test('a power that the newer field leaves empty comes from the older one', async () => {
  const settings = {FAKE_SMI_SET: 'power.draw.instant=[N/A]', FAKE_SMI_LOAD_AFTER_MS: '0'};
  expect(channel(await record(sampler(settings), {phases: [['measure', 150]]}), 'gpu_power_w')[0]).toBe(68.4);
});

test('of two cards only the one of the cell is read', async () => {
  const settings = {FAKE_SMI_GPUS: '2'};
  const result = await record(sampler(settings), {phases: [['measure', 250]], gpuIndex: 1});
  const [series] = result.series;
  const span = (series?.tMs.at(-1) ?? 0) - (series?.tMs[0] ?? 0);
  // One line a period, not two.
  expect(series?.tMs.length).toBeLessThanOrEqual(span / 100 + 2);
});

test('values that a MIG card withholds are absent, and what it gives is kept', async () => {
  const settings = {
    FAKE_SMI_SET: 'utilization.gpu=[N/A];power.draw=[Insufficient Permissions];power.draw.instant=[N/A]',
  };
  const result = await record(sampler(settings), {phases: [['measure', 150]]});
  expect(channel(result, 'gpu_power_w')).toEqual([]);
  expect(channel(result, 'gpu_utilization_ratio')).toEqual([]);
  expect(channel(result, 'vram_used_bytes')[0]).toBe(2 * 1024 ** 2);
});

test.each(['torn', 'garbage'])('%s lines are gaps; no number is made of them', async (mode) => {
  const result = await record(sampler({FAKE_SMI_MODE: mode}), {phases: [['measure', 1400]]});
  const known = channel(result, 'vram_used_bytes').filter((value) => value !== null);
  expect(new Set(known)).toEqual(new Set([2 * 1024 ** 2]));
  expect(channel(result, 'vram_used_bytes')).toContain(null);
  expect(result.caveats.map(({code}) => code)).toEqual(['sampler-gaps']);
});

test('a stream that dies once is started again and told', async () => {
  const result = await record(sampler({FAKE_SMI_MODE: 'dies-once', FAKE_SMI_STATE: join(scratch(), 'died')}), {
    phases: [['measure', 1800]],
  });
  expect(result.caveats).toContainEqual({code: 'sampler-lost', value: 'nvidia-smi:ended'});
  expect(channel(result, 'vram_used_bytes').length).toBeGreaterThan(8);
});

test('a stream that dies again is let go; the cell keeps what was read', async () => {
  const result = await record(sampler({FAKE_SMI_MODE: 'dies'}), {phases: [['measure', 2200]]});
  expect(result.caveats.map(({code}) => code)).toContain('sampler-lost');
  expect(channel(result, 'vram_used_bytes').length).toBeLessThanOrEqual(10);
});

test('a stream that falls silent is killed and told', async () => {
  const result = await record(sampler({FAKE_SMI_MODE: 'falls-silent'}, {silenceMs: 600}), {
    phases: [['measure', 1500]],
  });
  expect(result.caveats).toContainEqual({code: 'sampler-lost', value: 'nvidia-smi:silent'});
});

test('an nvidia-smi without a line delays the cell by its time limits and no more', async () => {
  const result = await record(sampler({FAKE_SMI_MODE: 'silent'}, {startMs: 400}), {phases: []});
  expect(result.caveats).toEqual([{code: 'sampler-lost', value: 'nvidia-smi:silent'}]);
  expect(result.series).toEqual([]);
});

test('it stands back where NVML works', async () => {
  const better: Sampler = {...noNvml, available: async () => ({ok: true, detail: ''})};
  const standIn = new NvidiaSmiSampler({
    files: filesWithoutDriver(),
    host: {gpus: [T4], devices: []},
    insteadOf: better,
    env: fakeSmiEnv(),
  });
  expect(await standIn.available()).toMatchObject({ok: false, reason: 'not needed: nvml reads the same and more'});
});

test('it is not available without nvidia-smi, and starts nothing for a cell on the CPU', async () => {
  const options = {files: filesWithoutDriver(), host: {gpus: [], devices: []}, insteadOf: noNvml};
  const bare = new NvidiaSmiSampler({...options, env: {PATH: '/nowhere'}});
  expect(await bare.available()).toEqual({ok: false, reason: 'no nvidia-smi on this host', fix: null});
  await expect(record(sampler({}), {phases: [], gpuIndex: null})).rejects.toThrow('uses no GPU');
});

test('nothing is left behind, also when the harness is killed', async () => {
  const mark = `mark-${process.pid}-${Date.now()}`;
  const running = () =>
    readdirSync('/proc').filter((pid) => {
      try {
        return (
          /nvidia-smi/.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1')) &&
          readFileSync(`/proc/${pid}/environ`, 'latin1').includes(mark)
        );
      } catch {
        return false;
      }
    }).length;
  const url = new URL('../../../harness/nvml/guarded-child.ts', import.meta.url).href;
  const program = `import {GuardedChild} from ${JSON.stringify(url)};
    const child = new GuardedChild('nvidia-smi', ['--query-gpu=index', '--format=csv', '-lms', '100'], process.env);
    child.onOutput(() => process.stdout.write('line'));`;
  const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    // Silent after five lines: it does not notice by itself that nobody reads any more.
    env: fakeSmiEnv({FAKE_MARK: mark, FAKE_SMI_MODE: 'falls-silent'}),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => parent.stdout.once('data', resolve));
  expect(running()).toBeGreaterThan(0);
  parent.kill('SIGKILL');
  for (let tries = 0; tries < 100 && running() > 0; tries++) await delay(50);
  expect(running()).toBe(0);
});
