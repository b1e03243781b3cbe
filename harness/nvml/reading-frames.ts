import {READING_KEYS, SLOW_KEYS} from './messages.ts';

/** What is read every period, and what is read more seldom. The number is the frame's first word. */
export const FRAME_KINDS = {fast: 0, slow: 1} as const;
export type FrameKind = keyof typeof FRAME_KINDS;

/** Numbers in a row: its time, in milliseconds of the system's monotonic clock, then the values in the order of the keys. */
export const ROW_WIDTHS = {fast: READING_KEYS.length + 1, slow: SLOW_KEYS.length + 1} as const;
/** Kind and number of rows. */
export const HEAD_WIDTH = 2;

const BYTES = Float64Array.BYTES_PER_ELEMENT;
/** A second of readings at the shortest period is a thousandth of it. */
const MOST_ROWS = 1e6;

/** Readings as they lay in the memory of the child: numbers of 64 bits, NaN for what could not be read. */
export interface ReadingFrame {
  readonly kind: FrameKind;
  /** null for what could not be read. */
  readonly rows: readonly (readonly (number | null)[])[];
}

/** Cuts the bytes of a pipe into frames. */
export class FrameSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): ReadingFrame[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: ReadingFrame[] = [];
    for (;;) {
      if (this.#rest.length < HEAD_WIDTH * BYTES) return frames;
      const number = this.#rest.readDoubleLE(0);
      const count = this.#rest.readDoubleLE(BYTES);
      const kind = number === FRAME_KINDS.fast ? 'fast' : number === FRAME_KINDS.slow ? 'slow' : null;
      if (kind === null || !Number.isInteger(count) || count < 0 || count > MOST_ROWS) {
        // Not ours: nothing after it can be told apart.
        this.#rest = Buffer.alloc(0);
        return frames;
      }
      const width = ROW_WIDTHS[kind];
      const end = (HEAD_WIDTH + count * width) * BYTES;
      if (this.#rest.length < end) return frames;
      const cell = (row: number, column: number): number | null => {
        const value = this.#rest.readDoubleLE((HEAD_WIDTH + row * width + column) * BYTES);
        return Number.isNaN(value) ? null : value;
      };
      const rows = Array.from({length: count}, (_, row) =>
        Array.from({length: width}, (__, column) => cell(row, column)),
      );
      frames.push({kind, rows});
      this.#rest = this.#rest.subarray(end);
    }
  }
}
