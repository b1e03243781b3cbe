import type {GpuFacts} from '../contract/device.ts';

/** NVIDIA GPUs as the driver reports them; empty when there is no driver or no GPU. */
export async function readGpus(): Promise<GpuFacts[]> {
  return [];
}
