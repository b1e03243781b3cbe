/** A piece of a stream that carried at least a part of the answer. */
export interface Piece {
  readonly atMs: number;
  /** Tokens of the answer so far, as the server counts them; null when it does not say. */
  readonly tokensSoFar: number | null;
}

export interface TokenTimes {
  /** One time per token, ascending. */
  readonly tokenMs: readonly number[];
  /** Tokens that came in one piece with the token before them. */
  readonly grouped: number;
  /** False: the pieces were not counted by the server, and which of them held several tokens is not known. */
  readonly exact: boolean;
}

/**
 * When each token was there. A piece may hold several tokens (speculative decoding, buffers, characters of several
 * tokens): they have its time, all of them.
 *
 * Where the server counts along, that is exact. Else the first token has the time of the first piece and the last token
 * that of the last piece, which is all that TTFT, TPOT and latency are made of; surplus tokens are spread evenly over the
 * pieces after the first, and of surplus pieces an even choice is taken.
 *
 * @param pieces In order of arrival, at least one.
 * @param total Tokens of the answer, at least one.
 */
export function tokenTimes(pieces: readonly Piece[], total: number): TokenTimes {
  const counted = pieces.every(({tokensSoFar}) => tokensSoFar !== null);
  const tokenMs = counted ? countedTimes(pieces) : spreadTimes(pieces, total);
  const grouped = counted ? total - pieces.length : Math.max(0, total - pieces.length);
  return {tokenMs, grouped, exact: counted || total === pieces.length};
}

function countedTimes(pieces: readonly Piece[]): number[] {
  let before = 0;
  return pieces.flatMap(({atMs, tokensSoFar}) => {
    const tokens = (tokensSoFar ?? before) - before;
    before += tokens;
    return Array.from({length: tokens}, () => atMs);
  });
}

function spreadTimes(pieces: readonly Piece[], total: number): number[] {
  const last = pieces.length - 1;
  return Array.from({length: total}, (_, token) => {
    const place = total === 1 ? 0 : (token * last) / (total - 1);
    // Rounded up, so that only the first token has the time of the first piece.
    return pieces[Math.ceil(place - 1e-9)]?.atMs ?? 0;
  });
}
