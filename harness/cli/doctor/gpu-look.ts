import {setTimeout as delay} from 'node:timers/promises';
import type {Caveat} from '../../contract/caveats.ts';
import type {HostFacts} from '../../contract/device.ts';
import type {Sampler} from '../../contract/sampler.ts';

/** Readings of a card for this long: enough to see who is on it, whether it is hot, and whether its driver answers. */
const LOOK_MS = 600;
const PERIOD_MS = 100;
const GPU_SAMPLERS: readonly string[] = ['nvml', 'nvidia-smi'];

/** What a cell on one card would have to say of it, were it run now. */
export interface GpuLook {
  readonly index: number;
  readonly caveats: readonly Caveat[];
}

/**
 * Watches every card for a moment with the sampler that a run would use: its caveats are those that rows would get.
 * Empty on a host without a card.
 */
export async function lookAtGpus(
  host: HostFacts,
  samplers: readonly Sampler[],
  signal: AbortSignal,
): Promise<GpuLook[]> {
  const looks: GpuLook[] = [];
  if (host.gpus.length === 0) return looks;
  const answers = await Promise.all(
    samplers
      .filter(({id}) => GPU_SAMPLERS.includes(id))
      .map(async (sampler) => ({sampler, ok: (await sampler.available()).ok})),
  );
  const sampler = answers.find(({ok}) => ok)?.sampler;
  if (sampler === undefined) return looks;
  for (const {index} of host.gpus) {
    const beganMs = performance.now();
    const recording = await sampler.start({
      pid: process.pid,
      periodMs: PERIOD_MS,
      nowMs: () => performance.now() - beganMs,
      gpuIndex: index,
    });
    await delay(LOOK_MS, undefined, {signal}).catch(() => undefined);
    const {caveats} = await recording.stop();
    looks.push({index, caveats});
  }
  return looks;
}
