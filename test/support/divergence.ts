/**
 * Mean Kullback–Leibler divergence over positions, in nats: how far the distribution of `other` is from that of
 * `reference`. Rows are logits, one row a position.
 */
export function meanDivergence(reference: readonly number[][], other: readonly number[][]): number {
  const each = reference.map((logits, position) => {
    const p = logSoftmax(logits);
    const q = logSoftmax(other[position] ?? []);
    return p.reduce((sum, logP, id) => sum + Math.exp(logP) * (logP - (q[id] ?? Number.NaN)), 0);
  });
  return each.reduce((sum, value) => sum + value, 0) / each.length;
}

function logSoftmax(logits: readonly number[]): number[] {
  const top = Math.max(...logits);
  const norm = top + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - top), 0));
  return logits.map((value) => value - norm);
}
