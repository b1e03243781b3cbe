import {createReadStream} from 'node:fs';
import {diskError} from './disk-error.ts';

/** One line that ended with a line feed, without it. */
export interface Line {
  readonly text: string;
  /** 1-based. */
  readonly number: number;
  /** Bytes from the start of the file to the end of the line feed. */
  readonly endByte: number;
}

const LINE_FEED = 0x0a;

/**
 * The complete lines of a file, in bounded memory. What follows the last line feed is not a line: it is the torn end of
 * a write that was cut off.
 *
 * @throws {BenchError} `FILE_UNREADABLE`.
 */
export async function* completeLines(path: string): AsyncGenerator<Line> {
  let number = 0;
  let endByte = 0;
  let parts: Buffer[] = [];
  try {
    // Without an encoding the stream yields buffers only.
    for await (const chunk of createReadStream(path, {highWaterMark: 1 << 18}) as AsyncIterable<Buffer>) {
      let from = 0;
      for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, from)) {
        parts.push(chunk.subarray(from, at));
        const line = parts.length === 1 ? chunk.subarray(from, at) : Buffer.concat(parts);
        parts = [];
        from = at + 1;
        endByte += line.length + 1;
        number++;
        yield {text: line.toString('utf8'), number, endByte};
      }
      if (from < chunk.length) parts.push(chunk.subarray(from));
    }
  } catch (error) {
    throw diskError(error, 'read', path);
  }
}
