import type {Sampler} from '../contract/sampler.ts';

/**
 * The samplers whose counters this machine has. One that cannot even be asked is tried: its rounds say what they lost,
 * and the sweep goes on.
 */
export async function availableSamplers(samplers: readonly Sampler[]): Promise<Sampler[]> {
  const looks = await Promise.allSettled(samplers.map(async (sampler) => await sampler.available()));
  return samplers.filter((_, index) => {
    const look = looks[index];
    return look?.status !== 'fulfilled' || look.value.ok;
  });
}
