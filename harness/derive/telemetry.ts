import type {PhaseStat} from '../contract/journal.ts';
import type {Round} from '../contract/outcome.ts';
import {median} from './quantile.ts';

type Phase = PhaseStat['phase'];

/** Statistics of one channel in the given phases, over all rounds. */
export function statsOf(rounds: readonly Round[], channel: string, phases: readonly Phase[]): PhaseStat[] {
  return rounds.flatMap(({stats}) => stats.filter((stat) => stat.channel === channel && phases.includes(stat.phase)));
}

/** Highest reading; null when there is none. */
export function peak(stats: readonly PhaseStat[]): number | null {
  const highs = stats.flatMap(({max}) => (max === null ? [] : [max]));
  return highs.length === 0 ? null : Math.max(...highs);
}

/** Mean over all readings. */
export function meanOf(stats: readonly PhaseStat[]): number | null {
  const n = stats.reduce((sum, stat) => sum + (stat.mean === null ? 0 : stat.n), 0);
  return n === 0 ? null : stats.reduce((sum, {mean, n: own}) => sum + (mean ?? 0) * own, 0) / n;
}

/** Median over rounds of the median of each. */
export function medianOf(stats: readonly PhaseStat[]): number | null {
  return median(stats.flatMap(({median: own}) => (own === null ? [] : [own])));
}

/** Peak over a round's own baseline, the highest of all rounds; null where a round lacks one of the two. */
export function peakOverBaseline(rounds: readonly Round[], channel: string): number | null {
  const deltas = rounds.flatMap((round) => {
    const top = peak(statsOf([round], channel, ['load', 'warmup', 'measure']));
    const base = medianOf(statsOf([round], channel, ['baseline']));
    // Below the baseline means that another process let go of memory meanwhile: nothing can be said.
    return top === null || base === null || top < base ? [] : [top - base];
  });
  return deltas.length === 0 ? null : Math.max(...deltas);
}

/** Missed ÷ expected readings, of the channel that missed most; null when nothing was sampled. */
export function missedRatio(
  rounds: readonly Round[],
  channels: readonly string[],
  phases: readonly Phase[],
): number | null {
  const ratios = channels.flatMap((channel) => {
    const stats = statsOf(rounds, channel, phases).filter(({periodMs}) => periodMs > 0);
    const missed = stats.reduce((sum, {gaps}) => sum + gaps, 0);
    const taken = stats.reduce((sum, {n}) => sum + n, 0);
    return missed + taken === 0 ? [] : [missed / (missed + taken)];
  });
  return ratios.length === 0 ? null : Math.max(...ratios);
}

const CHANNEL_OF_SOURCE: Readonly<Record<string, {channel: string; cumulative: boolean}>> = {
  'nvml-counter': {channel: 'gpu_energy_j', cumulative: true},
  'nvml-power': {channel: 'gpu_power_w', cumulative: false},
  'nvidia-smi-power': {channel: 'gpu_power_w', cumulative: false},
  'rapl-package': {channel: 'rapl_package_j', cumulative: true},
};

/** Mean power while measuring, weighted by the time that each round was sampled. */
export function meanPowerW(rounds: readonly Round[], source: string): number | null {
  const from = CHANNEL_OF_SOURCE[source];
  if (from === undefined) return null;
  const stats = statsOf(rounds, from.channel, ['measure']).filter(({spanS}) => spanS > 0);
  const spanS = stats.reduce((sum, stat) => sum + stat.spanS, 0);
  const joules = stats.reduce((sum, stat) => {
    const counted = (stat.last ?? 0) - (stat.first ?? 0);
    return sum + (from.cumulative ? counted : (stat.mean ?? 0) * stat.spanS);
  }, 0);
  return spanS === 0 ? null : joules / spanS;
}
