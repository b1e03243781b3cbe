import {createReadStream} from 'node:fs';
import {COLUMNS, type ColumnName, RESULTS_SCHEMA_VERSION, type ResultRow} from '../contract/columns.ts';
import {checkHeader, readValue} from './csv-table.ts';
import {diskError} from './disk-error.ts';
import {invalid} from './invalid.ts';

/**
 * Some columns of results.csv, several times faster than {@link readResultsCsv}: for questions that look at a few columns
 * of very many rows. Fields without quotes, which nearly all are, are split without looking at single characters; the
 * checks are the same for the columns asked for.
 *
 * @throws {BenchError} `RESULTS_INVALID` naming file, line and column; `FILE_UNREADABLE`.
 */
export async function readResultColumns<Name extends ColumnName>(
  path: string,
  names: readonly Name[],
): Promise<Pick<ResultRow, Name>[]> {
  const reader = new ColumnReader(path, names);
  try {
    for await (const chunk of createReadStream(path, {encoding: 'utf8', highWaterMark: 1 << 20})) {
      reader.add(String(chunk));
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
  readonly #rows: Record<string, string | number | null>[] = [];
  #places: readonly (readonly [name: ColumnName, index: number])[] | null = null;
  #width = 0;
  #version = 0;
  #rest = '';
  /** Of the row before, by column. */
  readonly #lastTexts: string[] = [];
  readonly #lastValues: (string | number | null)[] = [];
  /** Physical line on which the next record begins. */
  #line = 1;

  constructor(path: string, names: readonly ColumnName[]) {
    this.#path = path;
    this.#names = names;
  }

  add(chunk: string): void {
    const text = this.#rest === '' ? chunk : this.#rest + chunk;
    let from = 0;
    // Searched once for all records before it: most files hold no quote at all.
    let quote = positionOf('"', text, 0);
    for (let feed = positionOf('\n', text, 0); feed < text.length; feed = positionOf('\n', text, from)) {
      if (quote < from) quote = positionOf('"', text, from);
      const to = quote > feed ? feed : endOfQuotedRecord(text, from, feed);
      if (to < 0) break;
      this.#record(text.slice(from, to));
      from = to + 1;
    }
    this.#rest = text.slice(from);
  }

  end(): Record<string, string | number | null>[] {
    if (this.#rest !== '') {
      if (quotes(this.#rest) % 2 === 1) throw invalid(`${this.#path}:${this.#line}`, 'a quote is not closed');
      this.#record(this.#rest);
    }
    if (this.#places === null) throw invalid(`${this.#path}:1`, 'the file is empty');
    return this.#rows;
  }

  #record(raw: string): void {
    const text = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    const place = `${this.#path}:${this.#line}`;
    const quoted = text.includes('"');
    const fields = quoted ? quotedFields(text, place) : text.split(',');
    this.#line += quoted ? text.split('\n').length : 1;
    if (this.#places === null) this.#header(fields);
    else this.#row(fields, place);
  }

  #header(fields: string[]): void {
    const [first = '', ...others] = fields;
    const header = checkHeader([first.replace(/^\uFEFF/, ''), ...others], COLUMNS, this.#path);
    this.#width = header.length;
    this.#version = header.indexOf('schema_version');
    this.#places = this.#names.map((name) => [name, header.indexOf(name)]);
  }

  #row(fields: readonly string[], place: string): void {
    if (fields.length !== this.#width) {
      throw invalid(place, `${fields.length} fields where ${this.#width} are expected`);
    }
    if (fields[this.#version] !== String(RESULTS_SCHEMA_VERSION)) {
      throw invalid(place, `schema_version ${fields[this.#version]}, but this bench reads ${RESULTS_SCHEMA_VERSION}`);
    }
    const row: Record<string, string | number | null> = {};
    for (const [name, index] of this.#places ?? []) {
      const text = fields[index] ?? '';
      // Names and settings stay the same for many rows: read once, and held once.
      if (text !== this.#lastTexts[index]) {
        this.#lastTexts[index] = text;
        this.#lastValues[index] = readValue(text, COLUMNS[name].kind, name, place);
      }
      row[name] = this.#lastValues[index] ?? null;
    }
    this.#rows.push(row);
  }
}

/** The length of the text where it does not occur. */
function positionOf(wanted: string, text: string, from: number): number {
  const at = text.indexOf(wanted, from);
  return at < 0 ? text.length : at;
}

/** Position of the line feed that ends a record with quotes, `feed` being its first; −1 when it is not in the text yet. */
function endOfQuotedRecord(text: string, from: number, feed: number): number {
  let to = feed;
  // A line feed within quotes belongs to the field: there, the number of quotes so far is odd.
  let odd = quotes(text.slice(from, to)) % 2 === 1;
  while (odd) {
    const next = text.indexOf('\n', to + 1);
    if (next < 0) return -1;
    odd = quotes(text.slice(to + 1, next)) % 2 === 0;
    to = next;
  }
  return to;
}

function quotes(text: string): number {
  let count = 0;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) count++;
  return count;
}

/** Fields of a record in which some are quoted (RFC 4180). */
function quotedFields(text: string, place: string): string[] {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] !== '"') {
      const comma = text.indexOf(',', at);
      const field = comma < 0 ? text.slice(at) : text.slice(at, comma);
      if (field.includes('"')) throw invalid(place, 'a quote within a field that does not begin with one');
      fields.push(field);
      if (comma < 0) return fields;
      at = comma + 1;
      continue;
    }
    let field = '';
    at++;
    for (;;) {
      const quote = text.indexOf('"', at);
      if (quote < 0) throw invalid(place, 'a quote is not closed');
      field += text.slice(at, quote);
      at = quote + 1;
      if (text[at] !== '"') break;
      field += '"';
      at++;
    }
    fields.push(field);
    if (at >= text.length) return fields;
    if (text[at] !== ',') throw invalid(place, 'text after a closing quote');
    at++;
  }
}
