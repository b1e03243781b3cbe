import type {Caveat, CaveatCode} from '../contract/caveats.ts';
import {serverTakesWeights} from '../contract/cell.ts';
import type {Manifest} from '../contract/journal.ts';
import type {CellRecord, Round} from '../contract/outcome.ts';
import {medianInterval} from './median-interval.ts';
import {parseCaveat} from './parse-caveat.ts';
import {median} from './quantile.ts';
import {roundsDiffer} from './rounds.ts';
import {sawOnlyAnswers} from './server-sight.ts';
import {meanOf, missedRatio, peak, statsOf} from './telemetry.ts';
import {
  CANARY_DRIFT,
  CLOCK_MIN_BUSY,
  CLOCK_MIN_SAMPLES,
  CLOCK_SPREAD,
  FOREIGN_CORES,
  MIN_REQUESTS_P90,
  SAMPLER_GAPS_RATIO,
  STEAL_RATIO,
  THROTTLED_RATIO,
  UNSTEADY_DRIFT,
} from './thresholds.ts';
import {latencyUs, type RequestTiming, roundTimings} from './timing.ts';

const PEAK_CHANNELS = ['ram_pss_bytes', 'ram_rss_bytes', 'ram_anonymous_bytes', 'ram_file_bytes', 'vram_used_bytes'];

/** Every coded reason to trust the row of a cell less. Of a code that several sources give, the worst value remains. */
export function rowCaveats(record: CellRecord, manifest: Manifest): Caveat[] {
  const ok = record.rounds.filter(({status}) => status === 'ok');
  const timings = ok.map((round) => roundTimings(round, record.cell.workload.generatedTokens));
  return worstOfEach([
    ...manifest.caveats,
    ...record.rounds.flatMap(({caveats, loaded}) => [...caveats, ...(loaded?.caveats ?? []).flatMap(parseCaveat)]),
    ...cellCaveats(record, manifest),
    ...(ok.length === 0 ? [] : [...roundCaveats(record, ok), ...statisticCaveats(record, ok, timings)]),
    ...telemetryCaveats(ok),
  ]).filter(({code}) => !(sawOnlyAnswers(record.cell) && OF_THE_SERVER.has(code)));
}

/**
 * What the samplers would say of a server that bench did not start: its work is a foreign process to them, and the
 * clocks are those of this machine, not of the server's.
 */
const OF_THE_SERVER: ReadonlySet<CaveatCode> = new Set([
  'foreign-cpu',
  'foreign-gpu',
  'throttled',
  'clocks-spread',
  'hot',
  'swapped',
  'oversubscribed',
]);

/**
 * How far the canary ran from its speed before: the caveat of every row of the run. Speed after ÷ before, by the median
 * latency.
 */
export function hostDrift(records: readonly CellRecord[]): Caveat | null {
  for (const {cell, rounds, canaryRounds} of records) {
    const latency = (from: readonly Round[]): number | null =>
      median(
        from
          .filter(({status}) => status === 'ok')
          .flatMap((round) => roundTimings(round, cell.workload.generatedTokens).map(latencyUs)),
      );
    const before = latency(rounds.slice(0, 1));
    const after = latency(canaryRounds);
    if (before === null || after === null || before <= 0 || after <= 0) continue;
    const ratio = before / after;
    if (Math.abs(ratio - 1) > CANARY_DRIFT) return {code: 'host-drift', value: ratio.toFixed(2)};
  }
  return null;
}

function cellCaveats({cell, weights, rounds}: CellRecord, {host}: Manifest): Caveat[] {
  const kernel = rounds.findLast(({loaded}) => loaded !== null)?.loaded?.kernel;
  const substituted = kernel !== undefined && cell.kernel !== 'auto' && kernel !== cell.kernel;
  const ran = rounds.length > 0;
  return [
    ...when(weights?.synthetic === true, 'synthetic-weights'),
    ...when(cell.runner.id === 'simulated', 'simulated'),
    ...when(cell.runner.server !== undefined && !serverTakesWeights(cell), 'unverified-server'),
    ...when(cell.isa !== 'native', 'isa-capped', cell.isa),
    ...when(cell.workload.prefixCache !== 'off', 'cached-prefix'),
    ...when(ran && cell.settings.threads > host.cores, 'oversubscribed', `${cell.settings.threads}/${host.cores}`),
    ...when(ran && host.devices.some(({name, forced}) => forced && name === cell.device), 'forced-device'),
    ...when(substituted, 'kernel-substituted', kernel?.replaceAll(/[\s;]+/g, '_')),
    ...when(ran && host.virtualization !== null, 'virtual', host.virtualization?.replaceAll(/[\s;]+/g, '_')),
  ];
}

function roundCaveats({cell}: CellRecord, ok: readonly Round[]): Caveat[] {
  return [
    ...when(ok.length < cell.rounds, 'interrupted-rounds', `${ok.length}/${cell.rounds}`),
    ...when(ok.length === 1, 'one-round'),
  ];
}

function statisticCaveats(
  {cell}: CellRecord,
  ok: readonly Round[],
  timings: readonly (readonly RequestTiming[])[],
): Caveat[] {
  const latency = timings.map((round) => round.map(latencyUs)).filter((values) => values.length > 0);
  const n = latency.flat().length;
  const interval = medianInterval(latency);
  const half = interval === null ? Number.POSITIVE_INFINITY : Math.log(interval.high / interval.low) / 2;
  const cutShort = ok.some(({stopped}) => stopped === 'budget');
  const ranOut = ok.some(({stopped}) => stopped === 'max') && half > cell.stop.relativeHalfWidth;
  const rounds = roundsDiffer(latency);
  const drift = warmupDrift(latency);
  return [
    ...when(n < MIN_REQUESTS_P90, 'few-requests', String(n)),
    ...when(cutShort || ranOut, 'wide-interval', Number.isFinite(half) ? half.toFixed(3) : undefined),
    ...when(rounds?.differ === true, 'rounds-differ', rounds?.spread.toFixed(3)),
    ...when(drift !== null && Math.abs(drift - 1) > UNSTEADY_DRIFT, 'unsteady-warmup', drift?.toFixed(2)),
  ];
}

function telemetryCaveats(ok: readonly Round[]): Caveat[] {
  const mean = (channel: string): number => meanOf(statsOf(ok, channel, ['measure'])) ?? 0;
  const swapped = peak(statsOf(ok, 'ram_swap_bytes', ['load', 'warmup', 'measure'])) ?? 0;
  const missed = missedRatio(ok, PEAK_CHANNELS, ['load', 'warmup', 'measure']) ?? 0;
  const spread = Math.max(
    0,
    ...statsOf(ok, 'gpu_sm_clock_busy_hz', ['measure'])
      .filter(({n, gaps}) => n >= CLOCK_MIN_SAMPLES && n / (n + gaps) >= CLOCK_MIN_BUSY)
      .map(({min, max, median: middle}) =>
        min === null || max === null || middle === null || middle <= 0 ? 0 : (max - min) / middle,
      ),
  );
  return [
    ...when(mean('cpu_foreign_cores') > FOREIGN_CORES, 'foreign-cpu', mean('cpu_foreign_cores').toFixed(2)),
    ...when(mean('cpu_steal_ratio') > STEAL_RATIO, 'cpu-steal', mean('cpu_steal_ratio').toFixed(3)),
    ...when(mean('gpu_throttled_ratio') > THROTTLED_RATIO, 'throttled', mean('gpu_throttled_ratio').toFixed(2)),
    ...when(spread > CLOCK_SPREAD, 'clocks-spread', spread.toFixed(2)),
    ...when(swapped > 0, 'swapped', String(swapped)),
    ...when(missed > SAMPLER_GAPS_RATIO, 'sampler-gaps', missed.toFixed(2)),
  ];
}

/**
 * First quarter of the requests of a round against its last half, as a ratio of medians; null when rounds are too short
 * or do not agree on the direction, for then it is noise.
 */
function warmupDrift(rounds: readonly (readonly number[])[]): number | null {
  const ratios = rounds
    .filter((values) => values.length >= 12)
    .map((values) => {
      const first = median(values.slice(0, Math.floor(values.length / 4)));
      const last = median(values.slice(Math.ceil(values.length / 2)));
      return first === null || last === null ? 1 : first / last;
    });
  const agree = ratios.every((ratio) => ratio > 1) || ratios.every((ratio) => ratio < 1);
  return agree ? median(ratios) : null;
}

function when(holds: boolean, code: CaveatCode, value?: string): Caveat[] {
  if (!holds) return [];
  return value === undefined ? [{code}] : [{code, value}];
}

/** Farther from 1 is worse where the value is a ratio around 1; of all others the largest is. */
function worstOfEach(caveats: readonly Caveat[]): Caveat[] {
  const worst = new Map<CaveatCode, Caveat>();
  for (const caveat of caveats) {
    const known = worst.get(caveat.code);
    if (known === undefined || badness(caveat) > badness(known)) worst.set(caveat.code, caveat);
  }
  return [...worst.values()];
}

function badness({code, value}: Caveat): number {
  const number = Number(value ?? Number.NaN);
  if (Number.isNaN(number)) return value === undefined ? -1 : 0;
  const aroundOne = code === 'energy-disagrees' || code === 'host-drift' || code === 'unsteady-warmup';
  return aroundOne ? Math.abs(Math.log(Math.max(number, Number.MIN_VALUE))) : number;
}
