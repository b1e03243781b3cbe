import type {RequestRow, ResultRow} from '../contract/columns.ts';
import {outputTokensPerS, requestsPerS} from './lane-throughput.ts';
import {medianInterval} from './median-interval.ts';
import {ascending, quantileOfSorted} from './quantile.ts';
import {quantileInterval} from './quantile-interval.ts';
import {MIN_REQUESTS_P90, MIN_REQUESTS_P99} from './thresholds.ts';
import {
  decodeTokensPerS,
  latencyUs,
  prefillTokensPerS,
  type RequestTiming,
  timingOfRow,
  tpotUs,
  ttftUs,
} from './timing.ts';

type Rate = 'prefill_tokens_per_s' | 'decode_tokens_per_s' | 'output_tokens_per_s' | 'requests_per_s';
type Time = 'ttft_ms' | 'tpot_ms' | 'latency_ms';
export type SpeedFigures = Pick<
  ResultRow,
  | Rate
  | `${Rate}_ci_low`
  | `${Rate}_ci_high`
  | `${Time}_p50`
  | `${Time}_p90`
  | `${Time}_p99`
  | 'latency_ms_p90_ci_low'
  | 'latency_ms_p90_ci_high'
>;

/** Every figure of the group `speed` that comes from requests, of a cell's measured requests by round. */
export function speedFigures(rounds: readonly (readonly RequestTiming[])[], concurrency: number): SpeedFigures {
  const ms = (time: (timing: RequestTiming) => number | null): number[][] =>
    known(rounds, time).map((values) => values.map((us) => us / 1000));
  const latency = ms(latencyUs);
  const p90 = enough(latency, MIN_REQUESTS_P90) ? quantileInterval(latency, 0.9) : null;
  return {
    ...rate('prefill_tokens_per_s', known(rounds, prefillTokensPerS)),
    ...rate('decode_tokens_per_s', known(rounds, decodeTokensPerS)),
    ...rate(
      'output_tokens_per_s',
      rounds.map((timings) => outputTokensPerS(timings, concurrency)).filter((values) => values.length > 0),
    ),
    ...rate(
      'requests_per_s',
      rounds.map((timings) => requestsPerS(timings, concurrency)).filter((values) => values.length > 0),
    ),
    ...percentiles('ttft_ms', ms(ttftUs)),
    ...percentiles('tpot_ms', ms(tpotUs)),
    ...percentiles('latency_ms', latency),
    latency_ms_p90_ci_low: p90?.low ?? null,
    latency_ms_p90_ci_high: p90?.high ?? null,
  };
}

/** The same from the rows of requests.csv of one cell, without the journal. */
export function speedFiguresOfRows(rows: readonly RequestRow[], concurrency: number): SpeedFigures {
  const byRound = new Map<number, RequestTiming[]>();
  for (const row of rows) {
    const timing = timingOfRow(row);
    if (timing === null || row.round === null) continue;
    const round = byRound.get(row.round) ?? [];
    round.push(timing);
    byRound.set(row.round, round);
  }
  const rounds = [...byRound].sort(([a], [b]) => a - b).map(([, timings]) => timings);
  return speedFigures(rounds, concurrency);
}

function known(
  rounds: readonly (readonly RequestTiming[])[],
  figure: (timing: RequestTiming) => number | null,
): number[][] {
  return rounds
    .map((timings) =>
      timings.flatMap((timing) => {
        const value = figure(timing);
        return value === null ? [] : [value];
      }),
    )
    .filter((values) => values.length > 0);
}

function enough(rounds: readonly (readonly number[])[], least: number): boolean {
  return rounds.reduce((sum, values) => sum + values.length, 0) >= least;
}

function rate<Name extends Rate>(name: Name, rounds: readonly (readonly number[])[]) {
  const interval = medianInterval(rounds);
  const figures = {
    [name]: quantileOfSorted(ascending(rounds.flat()), 0.5),
    [`${name}_ci_low`]: interval?.low ?? null,
    [`${name}_ci_high`]: interval?.high ?? null,
  };
  // Computed keys widen to string; the three names are exactly these.
  return figures as Record<Name | `${Name}_ci_low` | `${Name}_ci_high`, number | null>;
}

function percentiles<Name extends Time>(name: Name, rounds: readonly (readonly number[])[]) {
  const sorted = ascending(rounds.flat());
  const figures = {
    [`${name}_p50`]: quantileOfSorted(sorted, 0.5),
    [`${name}_p90`]: sorted.length >= MIN_REQUESTS_P90 ? quantileOfSorted(sorted, 0.9) : null,
    [`${name}_p99`]: sorted.length >= MIN_REQUESTS_P99 ? quantileOfSorted(sorted, 0.99) : null,
  };
  // Computed keys widen to string; the three names are exactly these.
  return figures as Record<`${Name}_p50` | `${Name}_p90` | `${Name}_p99`, number | null>;
}
