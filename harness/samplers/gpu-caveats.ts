import type {Caveat} from '../contract/caveats.ts';
import type {GpuFacts} from '../contract/device.ts';

/** Watts below the default from which on a limit counts as lowered: drivers round. */
const POWER_SLACK_W = 1;

/** Reasons to trust the rows of a card less that lie in how it is set up. */
export function gpuCaveats(gpu: GpuFacts): Caveat[] {
  const caveats: Caveat[] = [];
  const {powerLimitW: limit = null, powerDefaultLimitW: standard = null} = gpu;
  if (limit !== null && standard !== null && limit < standard - POWER_SLACK_W) {
    caveats.push({code: 'power-capped', value: `${Math.round(limit)}/${Math.round(standard)}`});
  }
  if (gpu.ecc === false && (gpu.eccDefault ?? hasEccByDefault(gpu.name))) caveats.push({code: 'ecc-off'});
  if (gpu.persistence === false) caveats.push({code: 'persistence-off'});
  if (gpu.migMode === 'Enabled') caveats.push({code: 'mig', value: String(gpu.mig?.length ?? '')});
  return caveats;
}

/** Cards for desks have ECC, too, but leave the shop with it switched off. */
function hasEccByDefault(name: string): boolean {
  return !/geforce|\brtx\b|quadro|titan/i.test(name);
}
