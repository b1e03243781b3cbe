import type {RequestRow, ResultRow} from '../contract/columns.ts';
import {outputTokensPerS, requestsPerS} from '../derive/lane-throughput.ts';
import {
  decodeTokensPerS,
  latencyUs,
  prefillTokensPerS,
  type RequestTiming,
  timingOfRow,
  tpotUs,
  ttftUs,
} from '../derive/timing.ts';

/** One row of results.csv with its rows of requests.csv; none where that file is not at hand. */
export interface MeasuredCell {
  readonly row: ResultRow;
  readonly requests: readonly RequestRow[];
}

/** Speeds that are compared from the requests themselves. */
const SPEEDS = ['prefill_tokens_per_s', 'decode_tokens_per_s', 'output_tokens_per_s', 'requests_per_s'] as const;
export type Speed = (typeof SPEEDS)[number];

/** All medians that are compared from the requests themselves. */
export const MEDIANS = [...SPEEDS, 'ttft_ms_p50', 'tpot_ms_p50', 'latency_ms_p50'] as const;
type Median = (typeof MEDIANS)[number];

/** Of the requests of one round. */
const FIGURES: Readonly<Record<Median, (timings: readonly RequestTiming[], lanes: number) => (number | null)[]>> = {
  prefill_tokens_per_s: (timings) => timings.map(prefillTokensPerS),
  decode_tokens_per_s: (timings) => timings.map(decodeTokensPerS),
  output_tokens_per_s: outputTokensPerS,
  requests_per_s: requestsPerS,
  ttft_ms_p50: (timings) => timings.map((timing) => milliseconds(ttftUs(timing))),
  tpot_ms_p50: (timings) => timings.map((timing) => milliseconds(tpotUs(timing))),
  latency_ms_p50: (timings) => timings.map((timing) => latencyUs(timing) / 1000),
};

function milliseconds(us: number | null): number | null {
  return us === null ? null : us / 1000;
}

/** Puts requests to their cells. */
export function measuredCells(rows: readonly ResultRow[], requests: readonly RequestRow[]): MeasuredCell[] {
  const key = (run: string | null, cell: string | null): string => `${run} ${cell}`;
  const byCell = new Map<string, RequestRow[]>();
  for (const request of requests) {
    const id = key(request.run_id, request.cell_id);
    const known = byCell.get(id);
    if (known === undefined) byCell.set(id, [request]);
    else known.push(request);
  }
  return rows.map((row) => ({row, requests: byCell.get(key(row.run_id, row.cell_id)) ?? []}));
}

/** Values of a figure by round; rounds without any are left out. */
export function valuesByRound({row, requests}: MeasuredCell, figure: Median): Map<number, number[]> {
  const rounds = new Map<number, RequestTiming[]>();
  for (const request of requests) {
    const timing = timingOfRow(request);
    if (timing === null || request.round === null) continue;
    const known = rounds.get(request.round) ?? [];
    known.push(timing);
    rounds.set(request.round, known);
  }
  const values = [...rounds].map(([round, timings]): [number, number[]] => [
    round,
    FIGURES[figure](timings, row.concurrency ?? 1).flatMap((value) => (value !== null && value > 0 ? [value] : [])),
  ]);
  return new Map(values.filter(([, ofRound]) => ofRound.length > 0).sort(([a], [b]) => a - b));
}

/** The instruction set cap of a cell, from its caveats: `avx2`, or `native`. */
export function isaCap({caveats}: ResultRow): string {
  return /(?:^| )isa-capped=(\S+)/.exec(caveats ?? '')?.[1] ?? 'native';
}
