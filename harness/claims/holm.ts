/**
 * p values adjusted for their number by Holm's step-down method (Holm 1979): rejecting where the adjusted value is
 * below 0.05 makes even one false alarm in the whole matrix less likely than 5 %, whatever the dependence between cells.
 * Chosen over Benjamini and Hochberg because a gate (`--fail-on slower`) fails on one cell: there, one false alarm is
 * the error that counts, not the share of false alarms.
 */
export function holm(values: readonly number[]): number[] {
  const order = values.map((_, index) => index).sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
  const adjusted = new Array<number>(values.length).fill(1);
  let highest = 0;
  for (const [rank, index] of order.entries()) {
    highest = Math.max(highest, Math.min(1, (values[index] ?? 1) * (values.length - rank)));
    adjusted[index] = highest;
  }
  return adjusted;
}
