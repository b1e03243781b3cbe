import {createReadStream} from 'node:fs';
import {COLUMNS, type ColumnName, RESULTS_SCHEMA_VERSION, type ResultRow} from '../contract/columns.ts';
import {BenchError} from '../contract/errors.ts';
import {checkHeader, readValue, type Value} from './csv-table.ts';
import {diskError} from './disk-error.ts';
import {invalid} from './invalid.ts';

const COMMA = 0x2c;
const LINE_FEED = 0x0a;
const RETURN = 0x0d;
const QUOTE = 0x22;
/** Texts of a column that are held once however many rows have them; a column with more has a text of its own a row. */
const MOST_SHARED_TEXTS = 2000;
/** What names a cell and how it ended: a file without one of these tells nothing. */
const NEEDED_GROUPS: readonly string[] = ['identity', 'workload', 'outcome'];

/**
 * Some columns of results.csv, in little memory and a tenth of the time that a general reader of CSV takes. Every field
 * asked for is checked; of the others, that they are there.
 *
 * Files of other versions of bench: another `schema_version` is refused. Within one, columns are only ever added, so that
 * columns this bench does not know (a newer one wrote them) are read over, and columns that are missing (an older one did
 * not measure them) are null, unless they say which cell a row is and how it ended. A file with both has a column
 * renamed: it is refused.
 *
 * @throws {BenchError} `RESULTS_INVALID` naming file, line and column; `FILE_UNREADABLE`.
 */
export async function readResultColumns<Name extends ColumnName>(
  path: string,
  names: readonly Name[],
): Promise<Pick<ResultRow, Name>[]> {
  const reader = new ColumnReader(path, names);
  try {
    // Without an encoding, a stream of a file yields buffers.
    for await (const chunk of createReadStream(path, {highWaterMark: 1 << 20}) as AsyncIterable<Buffer>) {
      reader.add(chunk);
    }
  } catch (error) {
    throw diskError(error, 'read', path);
  }
  // The reader fills exactly the columns that were asked for.
  return reader.end() as Pick<ResultRow, Name>[];
}

class ColumnReader {
  readonly #path: string;
  readonly #names: readonly ColumnName[];
  readonly #rows: Record<string, Value>[] = [];
  /** Every row is a copy of it: objects that grow name by name are several times larger and slower. */
  readonly #blank: Readonly<Record<string, Value>>;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  #fields: readonly Field[] | null = null;
  /** Told only once the version of the table is known: of another version, other columns are no wonder. */
  #headerProblem: BenchError | null = null;
  #width = 0;
  #version = -1;
  #rest: Buffer = Buffer.alloc(0);
  /** Physical line on which the next record begins. */
  #line = 1;

  constructor(path: string, names: readonly ColumnName[]) {
    this.#path = path;
    this.#names = names;
    // Parsed rather than put together: only so is it laid out like an object literal.
    this.#blank = JSON.parse(JSON.stringify(Object.fromEntries(names.map((name) => [name, null])))) as Record<
      string,
      null
    >; // just written
  }

  add(chunk: Buffer): void {
    const fresh = this.#fields === null && this.#rest.length === 0 ? chunk.subarray(markLength(chunk)) : chunk;
    const bytes = this.#rest.length === 0 ? fresh : Buffer.concat([this.#rest, fresh]);
    this.#rest = bytes.subarray(this.#take(bytes));
  }

  end(): Record<string, Value>[] {
    if (this.#rest.length > 0) {
      const last = Buffer.concat([this.#rest, Buffer.from([LINE_FEED])]);
      if (this.#take(last) < last.length) throw this.#invalid('a quote is not closed');
    }
    if (this.#headerProblem !== null) throw this.#headerProblem;
    if (this.#fields === null) throw this.#invalid('the file is empty');
    return this.#rows;
  }

  /** @returns Where the first record begins that is not whole yet. */
  #take(bytes: Buffer): number {
    const {length} = bytes;
    const [starts, ends] = [this.#starts, this.#ends];
    let [record, from, field, feeds] = [0, 0, 0, 0];
    for (let at = 0; at < length; at++) {
      const byte = bytes[at];
      if (byte === COMMA) {
        starts[field] = from;
        ends[field++] = at;
        from = at + 1;
      } else if (byte === LINE_FEED) {
        starts[field] = from;
        ends[field++] = at > from && bytes[at - 1] === RETURN ? at - 1 : at;
        this.#record(bytes, field);
        this.#line += 1 + feeds;
        field = 0;
        feeds = 0;
        from = at + 1;
        record = from;
      } else if (byte === QUOTE) {
        if (at !== from) throw this.#invalid('a quote within a field that does not begin with one');
        for (at++; at < length; at++) {
          if (bytes[at] === LINE_FEED) feeds++;
          else if (bytes[at] === QUOTE && bytes[++at] !== QUOTE) break;
        }
        // `at` stands on the byte after the closing quote, or at the end of what is there.
        if (at >= length || (bytes[at] === RETURN && at + 1 >= length)) return record;
        const closed = bytes[at] === COMMA || bytes[at] === LINE_FEED;
        if (!closed && !(bytes[at] === RETURN && bytes[at + 1] === LINE_FEED)) {
          throw this.#invalid('text after a closing quote');
        }
        at--;
      }
    }
    return record;
  }

  #record(bytes: Buffer, width: number): void {
    if (this.#fields === null) this.#header(bytes, width);
    else this.#row(bytes, width, this.#fields);
  }

  #header(bytes: Buffer, width: number): void {
    const names = Array.from({length: width}, (_, index) => this.#text(bytes, index));
    try {
      checkHeader(names, COLUMNS, this.#path, (name) => NEEDED_GROUPS.includes(COLUMNS[name as ColumnName].group)); // a name of COLUMNS
    } catch (error) {
      if (!(error instanceof BenchError)) throw error;
      this.#headerProblem = error;
    }
    this.#width = width;
    this.#version = names.indexOf('schema_version');
    this.#fields = this.#names.map((name) => new Field(name, names.indexOf(name))).filter(({index}) => index >= 0);
  }

  #row(bytes: Buffer, width: number, fields: readonly Field[]): void {
    const version = this.#version < 0 || this.#version >= width ? null : this.#text(bytes, this.#version);
    if (version !== null && /^\d+$/.test(version) && version !== String(RESULTS_SCHEMA_VERSION)) {
      throw this.#invalid(`schema_version ${version}, but this bench reads ${RESULTS_SCHEMA_VERSION}`);
    }
    if (this.#headerProblem !== null) throw this.#headerProblem;
    if (width !== this.#width) throw this.#invalid(`${width} fields where ${this.#width} are expected`);
    if (version !== String(RESULTS_SCHEMA_VERSION)) {
      throw this.#invalid(`schema_version: ${JSON.stringify((version ?? '').slice(0, 60))} is no version`);
    }
    const row = {...this.#blank};
    for (const field of fields) {
      const [from, to] = [this.#starts[field.index] ?? 0, this.#ends[field.index] ?? 0];
      if (from === to) continue;
      row[field.name] = field.isLast(bytes, from, to)
        ? field.value
        : field.read(bytes, from, to, this.#text(bytes, field.index), `${this.#path}:${this.#line}`);
    }
    this.#rows.push(row);
  }

  #text(bytes: Buffer, index: number): string {
    const [from, to] = [this.#starts[index] ?? 0, this.#ends[index] ?? 0];
    if (bytes[from] !== QUOTE || from === to) return bytes.toString('utf8', from, to);
    return bytes.toString('utf8', from + 1, to - 1).replaceAll('""', '"');
  }

  #invalid(what: string): BenchError {
    return invalid(`${this.#path}:${this.#line}`, what);
  }
}

/** Bytes of a byte order mark, which spreadsheets put at the beginning of a file. */
function markLength(bytes: Buffer): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
}

/** One column, with its value in the row before: names and settings stay the same for many rows. */
class Field {
  readonly name: ColumnName;
  readonly index: number;
  value: Value = null;
  #bytes: Buffer = Buffer.alloc(0);
  #from = 0;
  #to = 0;
  /** Texts seen so far; null for numbers, and for a column whose texts hardly repeat. */
  #shared: Map<string, Value> | null;

  constructor(name: ColumnName, index: number) {
    this.name = name;
    this.index = index;
    this.#shared = COLUMNS[name].kind === 'text' ? new Map() : null;
  }

  isLast(bytes: Buffer, from: number, to: number): boolean {
    const known = this.#bytes;
    const shift = this.#from - from;
    if (to - from !== this.#to - this.#from) return false;
    for (let at = to - 1; at >= from; at--) {
      if (bytes[at] !== known[at + shift]) return false;
    }
    return true;
  }

  read(bytes: Buffer, from: number, to: number, text: string, place: string): Value {
    this.#bytes = bytes;
    this.#from = from;
    this.#to = to;
    this.value = this.#shared?.get(text) ?? this.#learn(text, place);
    return this.value;
  }

  #learn(text: string, place: string): Value {
    const value = readValue(text, COLUMNS[this.name].kind, this.name, place);
    if (this.#shared !== null && this.#shared.set(text, value).size > MOST_SHARED_TEXTS) this.#shared = null;
    return value;
  }
}
