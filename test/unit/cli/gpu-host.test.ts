import {execFile} from 'node:child_process';
import {readdir, rm, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {seesHostPids} from '../../../harness/linux/pid-namespace.ts';
import {systemFiles} from '../../../harness/linux/system-files.ts';
import {hasNvml} from '../../../harness/nvml/find-nvml.ts';
import {readResultsCsv} from '../../../harness/store/results-csv.ts';
import {fakeSmiEnv, scratch} from '../../support/fake-gpu.ts';
import {findCompiler, makeNvmlStub, type NvmlStub, T4_SCRIPT} from '../../support/nvml-stub.ts';

const MIB = 1024 ** 2;

function matrix({seconds}: {seconds: number}): string {
  return `
matrix: gpu-host
models: [{name: m, source: "synthetic:bench-tiny"}]
formats: [fp16]
runners: [simulated]
devices: [t4]
workloads: [{name: w, prompt_tokens: 8, generated_tokens: 8}]
settings: {simulate: {realtime: 1, load_ms: 700, decode_us_per_token: 12000}}
requests: {min: 4, max: 400, min_seconds: ${seconds}, half_width: 0.5, warmup_min: 1, warmup_max: 1}
rounds: 1
budget_seconds: 30
canary: false
`;
}

/** The one row that the whole command writes on a host that is made of this environment. */
async function rowOn(env: NodeJS.ProcessEnv, text: string) {
  const folder = scratch();
  try {
    await writeFile(join(folder, 'm.yaml'), text);
    const args = [
      '--import',
      'tsx',
      'harness/cli/bin.ts',
      'matrix',
      join(folder, 'm.yaml'),
      '--out',
      join(folder, 'out'),
    ];
    const failure = await new Promise<string>((resolve) => {
      execFile(process.execPath, args, {env: {...env, BENCH_CACHE: join(folder, 'cache')}}, (error, _, stderr) =>
        resolve(error === null ? '' : `${error.message}\n${stderr}`),
      );
    });
    expect(failure).toBe('');
    const [run = ''] = (await readdir(join(folder, 'out'))).filter((name) => !name.startsWith('.'));
    const [row] = await readResultsCsv(join(folder, 'out', run, 'results.csv'));
    return {...row, caveats: row?.caveats?.split(' ') ?? []};
  } finally {
    await rm(folder, {recursive: true, force: true});
  }
}

test.skipIf(hasNvml(systemFiles(), process.env))(
  'bench doctor tells what is amiss with a GPU before money is spent',
  async () => {
    const doctor = async (settings: Record<string, string>) =>
      await new Promise<string>((resolve) => {
        const env = {...fakeSmiEnv(settings), NO_COLOR: '1'};
        execFile(process.execPath, ['--import', 'tsx', 'harness/cli/bin.ts', 'doctor'], {env}, (_, stdout) =>
          resolve(/^GPU\n(?: .*\n)+/m.exec(stdout)?.[0] ?? stdout),
        );
      });
    const settings = 'ecc.mode.current=Disabled;temperature.gpu=95;persistence_mode=Disabled';
    expect(await doctor({FAKE_SMI_APPS: '1:burn:5', FAKE_SMI_SET: settings})).toMatchInlineSnapshot(`
      "GPU
        ! GPU 0: Tesla T4, driver 535.183.01, CUDA up to 12.2, 2.00 MiB in use, limit 70 W
        ! ecc-off: ECC is switched off: memory is larger and faster than on a stock card.
            sudo nvidia-smi -e 1, then reboot.
        ! persistence-off: Persistence mode is off: load times include driver start-up.
            sudo nvidia-smi -pm 1.
        ! hot [95]: Temperature at or above the slowdown threshold (°C).
            Cool the host.
        ! foreign-gpu [burn]: Another process held memory or ran on the GPU.
            Stop it (nvidia-smi names it).
      "
    `);
  },
);

test.skipIf(hasNvml(systemFiles(), process.env))(
  'bench matrix says in one line that a GPU is there and cannot be used',
  async () => {
    const folder = scratch();
    try {
      await writeFile(join(folder, 'm.yaml'), matrix({seconds: 1}));
      const env = {...fakeSmiEnv({FAKE_SMI_SET: 'memory.total=[GPU is lost]'}), NO_COLOR: '1'};
      const args = ['--import', 'tsx', 'harness/cli/bin.ts', 'matrix', join(folder, 'm.yaml'), '--plan'];
      const {stdout, stderr} = await new Promise<{stdout: string; stderr: string}>((resolve) => {
        execFile(process.execPath, args, {env}, (_, out, err) => resolve({stdout: out, stderr: err}));
      });
      expect(stderr).toBe('warning: GPU: 1 of 1 GPUs do not answer (reboot; sudo dmesg | grep Xid)\n');
      expect(stdout).toContain('waits for t4: 1 cell');
    } finally {
      await rm(folder, {recursive: true, force: true});
    }
  },
);

describe('bench matrix on a host with a made-up T4', () => {
  const compiler = findCompiler();
  let stub: NvmlStub | undefined;
  beforeAll(() => {
    stub = compiler === null ? undefined : makeNvmlStub(compiler);
  });
  afterAll(() => stub?.remove());

  // A real NVML would be preferred.
  test.skipIf(hasNvml(systemFiles(), process.env))(
    'by nvidia-smi: device, VRAM, clocks, power and what is amiss stand in the row',
    async () => {
      const env = fakeSmiEnv({
        FAKE_SMI_LOAD_AFTER_MS: '900',
        FAKE_SMI_APPS: '1:gpu burn:100',
        FAKE_SMI_SET:
          'enforced.power.limit=50.00 W;persistence_mode=Disabled;clocks_event_reasons.active=0x0000000000000004',
      });
      const row = await rowOn(env, matrix({seconds: 1.5}));
      expect(row).toMatchObject({
        status: 'ok',
        device: 't4',
        device_name: 'NVIDIA T4',
        driver: '535.183.01',
        cuda: '12.2',
        vram_baseline_bytes: 2 * MIB,
        vram_peak_bytes: 2500 * MIB,
        vram_process_peak_bytes: null,
        sm_clock_hz_median: 1.44e9,
        throttled_ratio: 1,
        temperature_c_max: 61,
        energy_j: null,
      });
      expect(row.caveats).toEqual(
        expect.arrayContaining([
          'power-capped=50/70',
          'persistence-off',
          'throttled=1.00',
          'foreign-gpu=gpu_burn',
          'short-for-energy',
          'simulated',
        ]),
      );
    },
  );

  test.skipIf(compiler === null)('by NVML: energy by the counter, VRAM of the process', async () => {
    const script = `${T4_SCRIPT}
0 0 ecc 0
700 0 used 2624585728
700 0 process match:runners/simulated/worker:2400000000
`;
    const row = await rowOn(stub?.env(script) ?? {}, matrix({seconds: 5.5}));
    expect(row).toMatchObject({
      status: 'ok',
      device: 't4',
      cuda: '12.2',
      vram_baseline_bytes: 3 * MIB,
      vram_peak_bytes: 2500 * MIB,
      sm_clock_hz_median: 1.59e9,
      throttled_ratio: 0,
      temperature_c_max: 48,
      energy_source: 'nvml-counter',
    });
    // In a pid namespace of its own the stub still lists the pids of it: a driver that knows namespaces.
    expect([seesHostPids(), row.vram_process_peak_bytes]).toEqual([seesHostPids(), 2_400_000_000]);
    expect(row.power_w_mean).toBeCloseTo(27.5, 0);
    expect((row.energy_j ?? 0) / 27.5).toBeGreaterThan(5);
    expect(row.caveats).toContain('ecc-off');
    expect(row.caveats.filter((caveat) => /foreign-gpu|sampler|energy|throttled|clocks/.test(caveat))).toEqual([]);
  });
});
