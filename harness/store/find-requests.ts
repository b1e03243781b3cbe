import {type FileHandle, open} from 'node:fs/promises';
import {parse} from 'csv-parse/sync';
import {REQUEST_COLUMNS, type RequestRow} from '../contract/columns.ts';
import {checkHeader, readRow} from './csv-table.ts';
import {diskError} from './disk-error.ts';
import {readRequestsCsv} from './requests-csv.ts';

/** A few lines; most reads need one block. */
const BLOCK = 16 * 1024;
const LINE_FEED = 10;

/**
 * The requests of a few cells out of a requests.csv of any size: the file is sorted by cell id, so each is found by
 * halving. Where that finds another number of requests than is wanted (a file that is not sorted), the whole file is read.
 *
 * @param wanted Requests that results.csv tells of, by cell id.
 * @throws {BenchError} `RESULTS_INVALID` naming the file and the place; `FILE_UNREADABLE`.
 */
export async function findRequests(
  path: string,
  wanted: ReadonlyMap<string, number>,
): Promise<Map<string, RequestRow[]>> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw diskError(error, 'read', path);
  });
  try {
    const found = await bySearch(file, path, wanted);
    if (found !== null) return found;
  } finally {
    await file.close();
  }
  return byReading(path, wanted);
}

/** null when the file does not hold what was expected. */
async function bySearch(
  file: FileHandle,
  path: string,
  wanted: ReadonlyMap<string, number>,
): Promise<Map<string, RequestRow[]> | null> {
  const {size} = await file.stat();
  const first = await firstLine(file, 0);
  if (first === null) return null;
  const header = checkHeader(split(first.text.replace(/^\uFEFF/, '')), REQUEST_COLUMNS, path);
  const key = header.indexOf('cell_id');
  const found = new Map<string, RequestRow[]>();
  // Where the rows of the cell before end: those of the next one often follow at once.
  const here = first.next;
  for (const [cell, count] of [...wanted].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const next = await firstLine(file, here);
    const follows = next !== null && split(next.text)[key] === cell;
    const start = follows
      ? here
      : await lowest(here, size, async (byte) => {
          const line = await firstLine(file, byte === here ? byte : await afterLineFeed(file, byte - 1));
          return line === null || (split(line.text)[key] ?? '') >= cell;
        });
    const rows: RequestRow[] = [];
    for await (const line of lines(file, start === here ? start : await afterLineFeed(file, start - 1))) {
      const fields = split(line.text);
      if (fields[key] !== cell || rows.length > count) break;
      // readRow has checked that every column is there and of its kind.
      rows.push(readRow(fields, header, REQUEST_COLUMNS, `${path} at byte ${line.start}`) as RequestRow);
    }
    if (rows.length !== count) return null;
    found.set(cell, rows);
  }
  return found;
}

/** The lowest number in [from, to] for which `holds`, which stays true once it is; `to` where it never is. */
async function lowest(from: number, to: number, holds: (byte: number) => Promise<boolean>): Promise<number> {
  let [low, high] = [from, to];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

interface Line {
  readonly start: number;
  readonly next: number;
  readonly text: string;
}

/** Position after the first line feed at or after a byte. */
async function afterLineFeed(file: FileHandle, from: number): Promise<number> {
  for (let at = from; ; at += BLOCK) {
    const {buffer, bytesRead} = await file.read(Buffer.allocUnsafe(BLOCK), 0, BLOCK, at);
    const feed = buffer.subarray(0, bytesRead).indexOf(LINE_FEED);
    if (feed >= 0) return at + feed + 1;
    if (bytesRead < BLOCK) return at + bytesRead;
  }
}

async function firstLine(file: FileHandle, start: number): Promise<Line | null> {
  for await (const line of lines(file, start)) return line;
  return null;
}

/** Lines from one that begins at `start`; without their line feed or carriage return. */
async function* lines(file: FileHandle, start: number): AsyncGenerator<Line> {
  let pending = Buffer.alloc(0);
  let at = start;
  for (;;) {
    const {buffer, bytesRead} = await file.read(Buffer.allocUnsafe(BLOCK), 0, BLOCK, at + pending.length);
    pending = Buffer.concat([pending, buffer.subarray(0, bytesRead)]);
    for (let feed = pending.indexOf(LINE_FEED); feed >= 0; feed = pending.indexOf(LINE_FEED)) {
      yield {start: at, next: at + feed + 1, text: textOf(pending.subarray(0, feed))};
      at += feed + 1;
      pending = pending.subarray(feed + 1);
    }
    if (bytesRead > 0) continue;
    if (pending.length > 0) yield {start: at, next: at + pending.length, text: textOf(pending)};
    return;
  }
}

function textOf(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  return text.endsWith('\r') ? text.slice(0, -1) : text;
}

/** No field of requests.csv holds a line feed; one that came through a spreadsheet may be quoted. */
function split(text: string): string[] {
  if (!text.includes('"')) return text.split(',');
  // What csv-parse gives without options for columns and casts.
  return (parse(text, {relax_column_count: true, relax_quotes: true}) as string[][])[0] ?? [];
}

async function byReading(path: string, wanted: ReadonlyMap<string, number>): Promise<Map<string, RequestRow[]>> {
  const found = new Map([...wanted.keys()].map((cell): [string, RequestRow[]] => [cell, []]));
  for await (const row of readRequestsCsv(path)) found.get(row.cell_id ?? '')?.push(row);
  return found;
}
