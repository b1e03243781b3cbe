import {latencyUs, type RequestTiming} from './timing.ts';

/** Generated tokens a second, prefill included: of all lanes, and of every sequence of a batch. */
export function outputTokensPerS(timings: readonly RequestTiming[], lanes: number): number[] {
  return laneThroughput(timings, lanes, ({batch, generatedTokens}) => batch * generatedTokens);
}

/** Requests a second, of all lanes. Every sequence of a batch is a request. */
export function requestsPerS(timings: readonly RequestTiming[], lanes: number): number[] {
  return laneThroughput(timings, lanes, ({batch}) => batch);
}

/**
 * What all lanes of a closed loop give together, a second: for each group of as many requests as lanes, in the order of
 * their starts, `lanes × amount ÷ time` with the sums of the group. By Little's law lanes ÷ mean latency is the
 * throughput, and a mean it must be: lanes ÷ median latency would leave out what slow requests cost. With one lane every
 * request is a group of its own.
 *
 * @param amount What one request gives: tokens, sequences.
 */
function laneThroughput(
  timings: readonly RequestTiming[],
  lanes: number,
  amount: (timing: RequestTiming) => number,
): number[] {
  return groups(timings, lanes).flatMap((group) => {
    const us = group.reduce((sum, timing) => sum + latencyUs(timing), 0);
    const given = group.reduce((sum, timing) => sum + amount(timing), 0);
    return us <= 0 ? [] : [(lanes * given) / (us / 1e6)];
  });
}

/** Groups of `size`, by start; what is left over at the end joins the last one. */
function groups(timings: readonly RequestTiming[], size: number): RequestTiming[][] {
  if (size === 1) return timings.map((timing) => [timing]);
  const ordered = [...timings].sort((a, b) => a.startUs - b.startUs);
  const count = Math.max(1, Math.floor(ordered.length / size));
  return Array.from({length: count}, (_, index) =>
    ordered.slice(index * size, index === count - 1 ? ordered.length : (index + 1) * size),
  ).filter((group) => group.length > 0);
}
