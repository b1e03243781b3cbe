import {closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync} from 'node:fs';
import {BenchError} from '../contract/errors.ts';
import {type JournalRecord, JournalRecordSchema} from '../contract/journal.ts';
import {diskError, systemCode} from './disk-error.ts';
import {firstIssue, invalid} from './invalid.ts';
import {completeLines} from './json-lines.ts';

/** The three calls that can meet a full disk; replaced in tests. */
export interface JournalDisk {
  write(file: number, bytes: Buffer, offset: number): number;
  sync(file: number): void;
  truncate(file: number, length: number): void;
}

const DISK: JournalDisk = {
  write: (file, bytes, offset) => writeSync(file, bytes, offset),
  sync: (file) => fsyncSync(file),
  truncate: (file, length) => ftruncateSync(file, length),
};

/** Records after which nothing that was written before may be lost, whatever happens to the machine. */
const DURABLE: ReadonlySet<JournalRecord['type']> = new Set([
  'run_started',
  'run_continued',
  'bandwidth',
  'weights',
  'round_finished',
  'run_finished',
]);

/**
 * journal.jsonl: append-only, one JSON object a line, one write a line, nothing held back. Synchronous on purpose: a
 * write goes to the page cache in microseconds, and the next event is not read before this one is kept.
 */
export class Journal {
  readonly path: string;
  #file: number | null;
  readonly #disk: JournalDisk;
  #size: number;

  private constructor(path: string, file: number, size: number, disk: JournalDisk) {
    this.path = path;
    this.#file = file;
    this.#size = size;
    this.#disk = disk;
  }

  /**
   * Opens a journal for appending, and makes it when there is none. A torn last line (the end of a run that was killed
   * within a write) is cut away first, so that the next record does not glue to it.
   *
   * @throws {BenchError} `FILE_UNREADABLE`, `DISK_FULL`.
   */
  static open(path: string, disk: JournalDisk = DISK): Journal {
    let file: number | null = null;
    try {
      file = openSync(path, 'a+');
      const size = fstatSync(file).size;
      const whole = wholeBytes(file, size);
      if (whole < size) disk.truncate(file, whole);
      return new Journal(path, file, whole, disk);
    } catch (error) {
      if (file !== null) closeSync(file);
      throw diskError(error, 'open', path);
    }
  }

  /**
   * @throws {BenchError} `DISK_FULL` when the line does not fit: the part of it that was written is taken back, so that
   * the journal stays whole and the run can be continued once there is room.
   */
  append(record: JournalRecord): void {
    const bytes = Buffer.from(`${JSON.stringify(record)}\n`);
    const file = this.#open();
    try {
      let written = 0;
      // One call as a rule; a second one only after a short write, which a full disk gives.
      while (written < bytes.length) written += this.#disk.write(file, bytes, written);
      this.#size += bytes.length;
      if (DURABLE.has(record.type)) this.#disk.sync(file);
    } catch (error) {
      this.#takeBack(file);
      throw diskError(error, 'write', this.path);
    }
  }

  /** @throws {BenchError} `DISK_FULL`. */
  sync(): void {
    const file = this.#open();
    try {
      this.#disk.sync(file);
    } catch (error) {
      throw diskError(error, 'write', this.path);
    }
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #open(): number {
    if (this.#file === null) throw new BenchError('INTERNAL', `The journal ${this.path} is closed`);
    return this.#file;
  }

  #takeBack(file: number): void {
    try {
      this.#disk.truncate(file, this.#size);
    } catch {
      // The torn line stays; whoever opens the journal next cuts it away.
    }
  }
}

/** Bytes up to and including the last line feed. */
function wholeBytes(file: number, size: number): number {
  const chunk = Buffer.alloc(1 << 16);
  for (let end = size; end > 0; ) {
    const from = Math.max(0, end - chunk.length);
    const read = readSync(file, chunk, 0, end - from, from);
    const at = chunk.subarray(0, read).lastIndexOf(0x0a);
    if (at !== -1) return from + at + 1;
    end = from;
  }
  return 0;
}

/**
 * The records of a journal, one by one, in bounded memory. A torn last line is left out; any other damage is refused.
 *
 * @throws {BenchError} `RESULTS_INVALID` naming file and line, `FILE_UNREADABLE`.
 */
export async function* journalRecords(path: string): AsyncGenerator<JournalRecord> {
  for await (const line of completeLines(path)) yield parseRecord(line.text, `${path}:${line.number}`);
}

/** All records of a journal: {@link journalRecords} as an array. */
export async function readJournal(path: string): Promise<JournalRecord[]> {
  const records: JournalRecord[] = [];
  for await (const record of journalRecords(path)) records.push(record);
  return records;
}

function parseRecord(text: string, place: string): JournalRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(place, 'not a JSON object', error);
  }
  const parsed = JournalRecordSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(place, firstIssue(parsed.error), parsed.error);
}

/**
 * The last complete record's type, read from the end of the file; null for a journal without a complete line.
 *
 * @throws {BenchError} `FILE_UNREADABLE`.
 */
export function lastRecordType(path: string): string | null {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw diskError(error, 'read', path);
  }
  try {
    const end = wholeBytes(file, fstatSync(file).size);
    // The records that end a journal are short; a longer last line is an event, thus no end.
    const tail = Buffer.alloc(Math.min(end, 1 << 16));
    readSync(file, tail, 0, tail.length, end - tail.length);
    const lines = tail.toString('utf8').trimEnd().split('\n');
    return /^\{"type":"([a-z_]+)"/.exec(lines.at(-1) ?? '')?.[1] ?? null;
  } finally {
    closeSync(file);
  }
}
