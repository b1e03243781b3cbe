import type {Caveat} from '../contract/caveats.ts';

/** Up to this share of missing readings, the busy moments between them are still covered by the readings around them. */
const TOLERATED_RATIO = 0.05;

export function gapCaveats(ratio: number): readonly Caveat[] {
  return ratio > TOLERATED_RATIO ? [{code: 'sampler-gaps', value: ratio.toFixed(3)}] : [];
}
