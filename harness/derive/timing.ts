import type {CaveatCode} from '../contract/caveats.ts';
import type {RequestRow} from '../contract/columns.ts';
import type {Round} from '../contract/outcome.ts';
import type {RequestEvent} from '../contract/protocol.ts';

/**
 * One request as every figure sees it: times in whole microseconds since its start. requests.csv holds exactly these,
 * so that a figure computed from it equals the figure computed from the journal, to the last bit.
 */
export interface RequestTiming {
  /** Start, microseconds since the first measured request of the round. */
  readonly startUs: number;
  /** When each token was there; ascending. One entry, the end of the request, when `streamed` is false. */
  readonly tokenUs: readonly number[];
  /** False: the engine gave no time per token, only the end. */
  readonly streamed: boolean;
  readonly promptTokens: number;
  readonly evaluatedTokens: number;
  readonly cachedTokens: number;
  readonly generatedTokens: number;
  readonly batch: number;
  readonly correct: boolean | null;
}

/** Nanoseconds of one clock to whole microseconds, rounded down: the same on every machine. */
const toUs = (ns: number): number => Math.floor(ns / 1000);

/** The measured requests of a round, in order. */
export function roundTimings(round: Round, generatedTokens: number): RequestTiming[] {
  const first = round.requests.reduce((least, {startNs}) => Math.min(least, startNs), Number.POSITIVE_INFINITY);
  const says = (code: CaveatCode): boolean => round.loaded?.caveats.includes(code) ?? false;
  const how = {planned: generatedTokens, unstreamed: says('tokens-not-streamed'), varies: says('lengths-vary')};
  return round.requests.map((event) => timingOf(event, first, how));
}

function timingOf(
  event: RequestEvent,
  firstNs: number,
  {planned, unstreamed, varies}: {planned: number; unstreamed: boolean; varies: boolean},
): RequestTiming {
  const {startNs, tokenNs} = event;
  const offsets = tokenNs.map((ns) => toUs(ns - startNs));
  // An engine that hands over the whole answer at once has one time for all tokens; where lengths vary, one time may be
  // an answer of one token.
  const streamed = !(unstreamed || (offsets.length === 1 && planned > 1 && !varies));
  return {
    startUs: toUs(startNs - firstNs),
    tokenUs: streamed ? offsets : offsets.slice(-1),
    streamed,
    promptTokens: event.promptTokens,
    evaluatedTokens: event.evaluatedTokens,
    cachedTokens: event.cachedTokens,
    generatedTokens: event.generatedTokens ?? (streamed ? offsets.length : planned),
    batch: event.batch,
    correct: event.correct ?? null,
  };
}

/**
 * The same, from a row of requests.csv.
 *
 * @returns null when the row lacks a time.
 */
export function timingOfRow(row: RequestRow): RequestTiming | null {
  const {start_us, latency_us, prompt_tokens, evaluated_tokens, cached_tokens, generated_tokens, batch} = row;
  if (start_us === null || latency_us === null || generated_tokens === null || batch === null) return null;
  const gaps = row.ttft_us === null || row.token_us === null ? [latency_us] : row.token_us.split(' ').map(Number);
  let at = 0;
  const tokenUs = gaps.map((gap) => {
    at += gap;
    return at;
  });
  return {
    startUs: start_us,
    tokenUs,
    streamed: row.ttft_us !== null,
    promptTokens: prompt_tokens ?? 0,
    evaluatedTokens: evaluated_tokens ?? 0,
    cachedTokens: cached_tokens ?? 0,
    generatedTokens: generated_tokens,
    batch,
    correct: row.correct === null ? null : row.correct === 1,
  };
}

/** Whole request: start of prefill to last token. */
export function latencyUs({tokenUs}: RequestTiming): number {
  return tokenUs.at(-1) ?? 0;
}

/** Time to first token; null when tokens were not streamed. */
export function ttftUs({streamed, tokenUs}: RequestTiming): number | null {
  return streamed ? (tokenUs[0] ?? null) : null;
}

/** Mean time per token after the first; null for a single token, or when tokens were not streamed. */
export function tpotUs(timing: RequestTiming): number | null {
  const {generatedTokens} = timing;
  const first = ttftUs(timing);
  return first === null || generatedTokens < 2 ? null : (latencyUs(timing) - first) / (generatedTokens - 1);
}

/** Prompt tokens evaluated a second, all sequences together; the first sample is in the time. */
export function prefillTokensPerS(timing: RequestTiming): number | null {
  const first = ttftUs(timing);
  if (first === null || first <= 0 || timing.evaluatedTokens === 0) return null;
  return (timing.batch * timing.evaluatedTokens) / (first / 1e6);
}

/** Tokens a second after the first, all sequences together; prefill is not in the time. */
export function decodeTokensPerS(timing: RequestTiming): number | null {
  const first = ttftUs(timing);
  if (first === null || timing.generatedTokens < 2) return null;
  const spanUs = latencyUs(timing) - first;
  return spanUs <= 0 ? null : (timing.batch * (timing.generatedTokens - 1)) / (spanUs / 1e6);
}
