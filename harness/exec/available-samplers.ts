import type {Sampler} from '../contract/sampler.ts';

/** The samplers whose counters this machine has. */
export async function availableSamplers(samplers: readonly Sampler[]): Promise<Sampler[]> {
  const looks = await Promise.all(samplers.map(async (sampler) => ({sampler, look: await sampler.available()})));
  return looks.filter(({look}) => look.ok).map(({sampler}) => sampler);
}
