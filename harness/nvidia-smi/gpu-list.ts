/** @module `nvidia-smi -L`: the cards, and the MIG instances on them. */

export interface ListedGpu {
  readonly index: number;
  readonly name: string;
  readonly uuid: string;
  readonly mig: readonly {readonly profile: string; readonly device: number; readonly uuid: string}[];
}

const GPU = /^GPU (\d+): (.+) \(UUID: (GPU-[0-9a-fA-F-]+)\)\s*$/;
const MIG = /^\s+MIG (\S+)\s+Device\s+(\d+): \(UUID: (MIG-[0-9A-Za-z/-]+)\)\s*$/;

/** Lines that are neither a card nor an instance are passed over. Never throws. */
export function parseGpuList(text: string): readonly ListedGpu[] {
  const gpus: {index: number; name: string; uuid: string; mig: {profile: string; device: number; uuid: string}[]}[] =
    [];
  for (const line of text.split('\n')) {
    const gpu = GPU.exec(line);
    if (gpu?.[1] !== undefined && gpu[2] !== undefined && gpu[3] !== undefined) {
      gpus.push({index: Number(gpu[1]), name: gpu[2], uuid: gpu[3], mig: []});
      continue;
    }
    const mig = MIG.exec(line);
    if (mig?.[1] !== undefined && mig[2] !== undefined && mig[3] !== undefined) {
      gpus.at(-1)?.mig.push({profile: mig[1], device: Number(mig[2]), uuid: mig[3]});
    }
  }
  return gpus;
}
