/**
 * Index of the largest value; of equal ones the first. Four at a time: a chain of comparisons, each waiting for the one
 * before, takes twice as long, and this runs once a token over the whole vocabulary.
 */
export function indexOfMaximum(values: Float32Array): number {
  const even = values.length - (values.length % 4);
  let m0 = Number.NEGATIVE_INFINITY;
  let m1 = m0;
  let m2 = m0;
  let m3 = m0;
  let at0 = 0;
  let at1 = 0;
  let at2 = 0;
  let at3 = 0;
  for (let at = 0; at < even; at += 4) {
    // Casts: all four are within the array.
    const v0 = values[at] as number;
    const v1 = values[at + 1] as number;
    const v2 = values[at + 2] as number;
    const v3 = values[at + 3] as number;
    if (v0 > m0) {
      m0 = v0;
      at0 = at;
    }
    if (v1 > m1) {
      m1 = v1;
      at1 = at + 1;
    }
    if (v2 > m2) {
      m2 = v2;
      at2 = at + 2;
    }
    if (v3 > m3) {
      m3 = v3;
      at3 = at + 3;
    }
  }
  let most = m0;
  let best = at0;
  for (const [value, at] of [
    [m1, at1],
    [m2, at2],
    [m3, at3],
  ] as const) {
    if (value > most || (value === most && at < best)) {
      most = value;
      best = at;
    }
  }
  for (let at = even; at < values.length; at++) {
    const value = values[at] as number; // within the array
    if (value > most) {
      most = value;
      best = at;
    }
  }
  return best;
}
