import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {FRAME_KINDS, FrameSplitter, ROW_WIDTHS} from '../../../harness/nvml/reading-frames.ts';

type Row = readonly (number | null)[];

function bytesOf(kind: 'fast' | 'slow', rows: readonly Row[]): Buffer {
  const numbers = [FRAME_KINDS[kind], rows.length, ...rows.flat().map((value) => value ?? Number.NaN)];
  return Buffer.from(Float64Array.from(numbers).buffer);
}

const rowsOf = (kind: 'fast' | 'slow') => {
  const value = fc.option(fc.double({noNaN: true}), {nil: null});
  return fc.array(fc.array(value, {minLength: ROW_WIDTHS[kind], maxLength: ROW_WIDTHS[kind]}), {maxLength: 5});
};

describe('frames of readings', () => {
  test('come out as they went in, wherever the pipe cuts them', () => {
    const frame = fc.constantFrom('fast', 'slow').chain((kind) => rowsOf(kind).map((rows) => ({kind, rows})));
    fc.assert(
      fc.property(fc.array(frame, {maxLength: 4}), fc.array(fc.nat(400), {maxLength: 8}), (frames, cuts) => {
        const bytes = Buffer.concat(frames.map(({kind, rows}) => bytesOf(kind, rows)));
        const splitter = new FrameSplitter();
        const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
        const out = at.slice(1).flatMap((end, index) => splitter.push(bytes.subarray(at[index], end)));
        expect(out).toEqual(frames);
      }),
    );
  });

  test('what is no frame gives nothing, and never throws', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({maxLength: 200}), {maxLength: 5}), (chunks) => {
        const splitter = new FrameSplitter();
        for (const chunk of chunks) splitter.push(Buffer.from(chunk));
      }),
    );
    const splitter = new FrameSplitter();
    expect(splitter.push(Buffer.from('a line that a driver printed\n'))).toEqual([]);
  });
});
