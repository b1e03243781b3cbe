import type {RequestRow} from '../contract/columns.ts';
import type {CellRecord} from '../contract/outcome.ts';
import {outliers} from './outliers.ts';
import {latencyUs, roundTimings, ttftUs} from './timing.ts';

/** The rows of requests.csv of a cell: measured requests of the rounds that ended well, by round and request. */
export function requestRows({cell, rounds}: CellRecord, runId: string): RequestRow[] {
  const measured = rounds
    .filter(({status}) => status === 'ok')
    .flatMap((round) =>
      roundTimings(round, cell.workload.generatedTokens).map((timing, index) => ({
        round: round.index,
        timing,
        event: round.requests[index],
      })),
    );
  const marks = outliers(measured.map(({timing}) => latencyUs(timing)));
  return measured.map(({round, timing, event}, index) => ({
    run_id: runId,
    cell_id: cell.id,
    round,
    request: event?.index ?? null,
    lane: event?.lane ?? null,
    start_us: timing.startUs,
    prompt_tokens: timing.promptTokens,
    evaluated_tokens: timing.evaluatedTokens,
    cached_tokens: timing.cachedTokens,
    generated_tokens: timing.generatedTokens,
    batch: timing.batch,
    ttft_us: ttftUs(timing),
    latency_us: latencyUs(timing),
    correct: timing.correct === null ? null : Number(timing.correct),
    outlier: marks[index] ?? null,
    token_us: timing.streamed ? gapsOf(timing.tokenUs).join(' ') : null,
  }));
}

function gapsOf(tokenUs: readonly number[]): number[] {
  return tokenUs.map((us, index) => us - (tokenUs[index - 1] ?? 0));
}
