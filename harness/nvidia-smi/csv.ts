/** @module The CSV of `--query-gpu`, `--query-compute-apps` and their kin. */
import {parseValue, type SmiValue, toBase} from './value.ts';

/** One column of the header line: `memory.used [MiB]` has the unit that `nounits` output leaves out of the lines. */
export interface SmiField {
  readonly name: string;
  readonly unit: string | null;
}

const HEADER = /^([A-Za-z0-9_.]+)(?: \[([^\]]{1,16})\])?$/;

/** Reads the header line; null when it is none (an error message, a torn line). Never throws. */
export function parseHeader(line: string): readonly SmiField[] | null {
  const fields: SmiField[] = [];
  for (const cell of line.trim().split(', ')) {
    const match = HEADER.exec(cell.trim());
    if (match?.[1] === undefined) return null;
    fields.push({name: match[1], unit: match[2] ?? null});
  }
  return fields;
}

/**
 * One line as values by field name, in base units where the unit is known (bytes, Hz, W, ratio, s).
 *
 * The separator is comma and blank, and nvidia-smi quotes nothing: a process name may hold it. So one column, named by
 * `textField`, may take the surplus; without it a line of another length than the header is not a line of this table.
 *
 * @returns null for a torn or foreign line. Never throws.
 */
export function parseLine(
  line: string,
  fields: readonly SmiField[],
  textField?: string,
): ReadonlyMap<string, SmiValue> | null {
  let cells = line.replace(/[\r\n]+$/, '').split(', ');
  if (cells.length !== fields.length) {
    const at = textField === undefined ? -1 : fields.findIndex(({name}) => name === textField);
    const surplus = cells.length - fields.length;
    if (at < 0 || surplus < 0) return null;
    cells = [...cells.slice(0, at), cells.slice(at, at + surplus + 1).join(', '), ...cells.slice(at + surplus + 1)];
  }
  const row = new Map<string, SmiValue>();
  for (const [index, {name, unit}] of fields.entries()) {
    row.set(name, inBase(parseValue(cells[index] ?? ''), unit));
  }
  return row;
}

/** A unit in the line and another in the header is damage, not a measurement. */
function inBase(value: SmiValue, headerUnit: string | null): SmiValue {
  if (value.kind !== 'number') return value;
  if (value.unit !== null && headerUnit !== null && value.unit !== headerUnit)
    return {kind: 'none', reason: 'unreadable'};
  const unit = value.unit ?? headerUnit;
  if (unit === null) return value;
  const base = toBase(value.value, unit);
  return base === null ? value : {kind: 'number', ...base};
}

/** A whole table: header first, then lines. Lines that are none of the table are counted, not thrown. */
export function parseTable(
  text: string,
  textField?: string,
): {
  readonly fields: readonly SmiField[];
  readonly rows: readonly ReadonlyMap<string, SmiValue>[];
  readonly skipped: number;
} | null {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const fields = parseHeader(lines[0] ?? '');
  if (fields === null) return null;
  const rows: ReadonlyMap<string, SmiValue>[] = [];
  for (const line of lines.slice(1)) {
    const row = parseLine(line, fields, textField);
    if (row !== null) rows.push(row);
  }
  return {fields, rows, skipped: lines.length - 1 - rows.length};
}
