/**
 * Within each head, row i of the first half is followed by row i of the second: `reshape(heads, 2, rows/2).swapaxes(1, 2)`
 * of llama.cpp's converter. See `interleaveHeads` in tensors.ts for why.
 */
export function interleaveRows(values: Uint16Array, rowLength: number, heads: number): Uint16Array {
  const result = new Uint16Array(values.length);
  const half = values.length / rowLength / heads / 2;
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < 2 * half; row++) {
      const from = (head * 2 * half + (row % 2) * half + (row >> 1)) * rowLength;
      result.set(values.subarray(from, from + rowLength), (head * 2 * half + row) * rowLength);
    }
  }
  return result;
}
