import {mkdtempSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import type {GpuFacts} from '../../harness/contract/device.ts';
import type {CellPhase, Sampler, SamplerResult} from '../../harness/contract/sampler.ts';
import {systemFiles} from '../../harness/linux/system-files.ts';

const FOLDER = fileURLToPath(new URL('../fixtures/fake-nvidia-smi', import.meta.url));

/** Environment in which nvidia-smi is the fake; its settings are told in fake-nvidia-smi.mjs. */
export function fakeSmiEnv(settings: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const {LD_LIBRARY_PATH: _, ...env} = process.env;
  return {...env, PATH: `${FOLDER}:${process.env['PATH'] ?? ''}`, ...settings};
}

/** The card of the scripts and captures of this folder, as `readGpuReport` gives it. */
export const T4: GpuFacts = {
  index: 0,
  uuid: 'GPU-11111111-2222-3333-4444-555555555500',
  name: 'Tesla T4',
  memoryBytes: 15_360 * 1024 ** 2,
  memoryUsedBytes: 2 * 1024 ** 2,
  computeCapability: '7.5',
  driver: '535.183.01',
  cuda: '12.2',
  pciId: '0x1EB810DE',
  migMode: null,
  maxSmClockHz: 1.59e9,
  slowdownC: 93,
};

/** This machine's files, without the driver that it may really have. */
export function filesWithoutDriver() {
  const files = systemFiles();
  return {
    ...files,
    list: (folder: string) =>
      files.list(folder).filter((name) => folder === FOLDER || !/^(libnvidia-ml\.so\.1|nvidia-smi)$/.test(name)),
    text: (file: string) => (file === '/etc/ld.so.cache' ? null : files.text(file)),
  };
}

/** Records a cell of this very process, going through phases at the given times. */
export async function record(
  sampler: Sampler,
  {
    pid = process.pid,
    periodMs = 100,
    phases,
    gpuIndex = 0,
  }: {
    pid?: number;
    periodMs?: number;
    phases: readonly (readonly [CellPhase, number])[];
    gpuIndex?: number | null;
  },
): Promise<SamplerResult> {
  const beganMs = performance.now();
  const recording = await sampler.start({pid, periodMs, nowMs: () => performance.now() - beganMs, gpuIndex});
  for (const [phase, waitMs] of phases) {
    recording.edge(phase);
    await delay(waitMs);
  }
  return await recording.stop();
}

export function channel({series}: SamplerResult, name: string): readonly (number | null)[] {
  return series.find((one) => one.channel === name)?.values ?? [];
}

export function scratch(): string {
  return mkdtempSync(join(tmpdir(), 'bench-gpu-'));
}
