import {createReadStream} from 'node:fs';
import {type Info, parse} from 'csv-parse';
import {stringify} from 'csv-stringify/sync';
import {BenchError} from '../contract/errors.ts';
import {type OpenFile, type Write, writeFileAtomic} from './atomic-file.ts';
import {diskError, systemCode} from './disk-error.ts';
import {guardFormula, unguardFormula} from './formula-guard.ts';
import {plainNumber} from './plain-number.ts';

export type Value = string | number | null;
export type Kind = 'text' | 'number' | 'integer';
/** Columns in the order of the file. */
export type Columns = Readonly<Record<string, {readonly kind: Kind}>>;
export type Row = Readonly<Record<string, Value>>;

const ROWS_A_WRITE = 500;
const NUMBER = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/**
 * Writes a table whole or not at all: RFC 4180, UTF-8, LF, null as empty field, numbers at full precision without
 * exponent, texts that a spreadsheet would run as a formula defused (see formula-guard.ts).
 *
 * @throws {BenchError} `DISK_FULL`, `FILE_UNREADABLE`; `INTERNAL` when a value does not fit its column.
 */
export async function writeTable(
  path: string,
  columns: Columns,
  rows: Iterable<Row> | AsyncIterable<Row>,
  openFile?: OpenFile,
): Promise<void> {
  const names = Object.keys(columns);
  await writeFileAtomic(
    path,
    async (write) => {
      await write(encode([names]));
      await writeRows(write, rows, (row) => names.map((name) => field(row[name], name, columns[name]?.kind ?? 'text')));
    },
    openFile,
  );
}

async function writeRows(
  write: Write,
  rows: Iterable<Row> | AsyncIterable<Row>,
  fields: (row: Row) => string[],
): Promise<void> {
  let pending: string[][] = [];
  for await (const row of rows) {
    pending.push(fields(row));
    if (pending.length < ROWS_A_WRITE) continue;
    await write(encode(pending));
    pending = [];
  }
  if (pending.length > 0) await write(encode(pending));
}

/** A lone carriage return must be quoted, too: some readers take it for the end of a record. */
const TO_QUOTE = /[",\r\n]/;

/** Records without a field to quote, nearly all of millions, are joined here in a sixth of the time that csv-stringify takes. */
function encode(records: readonly (readonly string[])[]): string {
  return records
    .map((record) =>
      record.some((text) => TO_QUOTE.test(text))
        ? stringify([[...record]], {record_delimiter: '\n', quoted_match: TO_QUOTE})
        : `${record.join(',')}\n`,
    )
    .join('');
}

function field(value: Value | undefined, name: string, kind: Kind): string {
  if (value === undefined) throw new BenchError('INTERNAL', `The row has no value for the column ${name}`);
  if (value === null) return '';
  if ((typeof value === 'string') !== (kind === 'text')) {
    throw new BenchError('INTERNAL', `The column ${name} holds ${kind}s, not ${JSON.stringify(value)}`);
  }
  if (typeof value === 'string') return guardFormula(value);
  if (kind === 'integer' && !Number.isSafeInteger(value)) {
    throw new BenchError('INTERNAL', `The column ${name} holds integers, not ${value}`);
  }
  return plainNumber(value);
}

/**
 * Reads a table back row by row, in bounded memory. The columns may stand in any order; a byte order mark and CRLF,
 * which spreadsheets add, are read over.
 *
 * @throws {BenchError} `RESULTS_INVALID` naming file, line and column; `FILE_UNREADABLE`.
 */
export async function* readTable(path: string, columns: Columns): AsyncGenerator<{row: Row; line: number}> {
  const parser = parse({bom: true, info: true, record_delimiter: ['\r\n', '\n'], relax_column_count: true});
  const source = createReadStream(path);
  source.on('error', (error) => parser.destroy(error));
  source.pipe(parser);
  let header: readonly string[] | null = null;
  let nextLine = 1;
  try {
    // What csv-parse yields with `info` and without `columns` and `cast`.
    for await (const {record, info} of parser as AsyncIterable<{record: string[]; info: Info}>) {
      const line = nextLine;
      // csv-parse counts the lines it has passed; the next record begins on the line after this one's last.
      nextLine = info.lines + 1;
      if (header === null) {
        header = checkHeader(record, columns, path);
        continue;
      }
      yield {row: readRow(record, header, columns, `${path}:${line}`), line};
    }
  } catch (error) {
    if (error instanceof BenchError) throw error;
    if (systemCode(error).startsWith('CSV_')) throw damaged(path, error);
    throw diskError(error, 'read', path);
  } finally {
    source.destroy();
  }
  if (header === null) throw new BenchError('RESULTS_INVALID', `${path}:1: the file is empty`);
}

function damaged(path: string, error: unknown): BenchError {
  // csv-parse puts the line at which it gave up on its errors.
  const line = error instanceof Error && 'lines' in error && typeof error.lines === 'number' ? error.lines : 1;
  const message = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  return new BenchError('RESULTS_INVALID', `${path}:${line}: ${message}`, {cause: error});
}

/**
 * Checks the names of the columns. Within a version of a table columns are only ever added: names that are not known come
 * from a newer bench and are read over; of those that are missing only the ones that are needed are an error. Both at once
 * are no addition: a column was renamed.
 *
 * @throws {BenchError} `RESULTS_INVALID`
 */
export function checkHeader(
  names: readonly string[],
  columns: Columns,
  path: string,
  needed: (name: string) => boolean = () => true,
): readonly string[] {
  const place = `${path}:1`;
  const quoted = (name: string): string => JSON.stringify(name.slice(0, 60));
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) !== index) {
      throw new BenchError('RESULTS_INVALID', `${place}: the column ${quoted(name)} is twice`);
    }
  }
  const missing = Object.keys(columns).filter((name) => !names.includes(name));
  const strange = names.find((name) => !Object.hasOwn(columns, name));
  const lost = missing.find(needed) ?? (strange === undefined ? undefined : missing[0]);
  if (lost !== undefined) {
    const instead = strange === undefined ? '' : `, and the column ${quoted(strange)} is not known`;
    throw new BenchError('RESULTS_INVALID', `${place}: the column ${lost} is missing${instead}`);
  }
  return names;
}

export function readRow(record: readonly string[], header: readonly string[], columns: Columns, place: string): Row {
  if (record.length !== header.length) {
    throw new BenchError('RESULTS_INVALID', `${place}: ${record.length} fields where ${header.length} are expected`);
  }
  const row: Record<string, Value> = {};
  for (const [index, name] of header.entries()) {
    const column = Object.hasOwn(columns, name) ? columns[name] : undefined;
    if (column !== undefined) row[name] = readValue(record[index] ?? '', column.kind, name, place);
  }
  return row;
}

export function readValue(text: string, kind: Kind, name: string, place: string): Value {
  if (text === '') return null;
  if (kind === 'text') return unguardFormula(text);
  const value = NUMBER.test(text) ? Number(text) : Number.NaN;
  if (Number.isFinite(value) && (kind === 'number' || Number.isSafeInteger(value))) return value;
  const wanted = kind === 'integer' ? 'an integer' : 'a number';
  throw new BenchError('RESULTS_INVALID', `${place}: ${name}: ${JSON.stringify(text.slice(0, 60))} is not ${wanted}`);
}
