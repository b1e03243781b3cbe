import type {ResultRow} from '../contract/columns.ts';
import {plain} from './terminal.ts';

export interface TableColumn {
  /** A line feed in it makes a head of two lines. */
  readonly title: string;
  readonly align: 'left' | 'right';
  /** Where the table is too wide, columns with the lowest rank go first; without a rank a column always stays. */
  readonly rank?: number;
}

const GAP = 2;

/**
 * Rows as aligned text with two blanks between columns. Cells are made harmless (no control characters); a column that
 * is empty in every row is left out.
 */
export function renderTable(columns: readonly TableColumn[], rows: readonly (readonly string[])[]): string {
  return fitTable(columns, rows).text;
}

export interface FittedTable {
  readonly text: string;
  /** Titles of the columns that had no room, in their order. */
  readonly leftOut: readonly string[];
}

/** {@link renderTable} for a terminal of `width` columns: what it can do without is left out, and named. */
export function fitTable(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  width = Number.POSITIVE_INFINITY,
): FittedTable {
  const measured = columns
    .map((column, index) => {
      const titles = column.title.split('\n');
      const cells = rows.map((row) => plain(row[index] ?? ''));
      return {column, titles, cells, width: Math.max(...[...titles, ...cells].map((text) => text.length))};
    })
    .filter(({cells}) => cells.some((cell) => cell !== ''));
  let kept = measured;
  const widthOf = () => kept.reduce((sum, one) => sum + one.width + GAP, -GAP);
  while (widthOf() > width) {
    const [least] = kept
      .filter(({column}) => column.rank !== undefined)
      .sort((a, b) => (a.column.rank ?? 0) - (b.column.rank ?? 0));
    if (least === undefined) break;
    kept = kept.filter((one) => one !== least);
  }
  const line = (textOf: (one: (typeof kept)[number]) => string) =>
    kept
      .map((one) => (one.column.align === 'right' ? textOf(one).padStart(one.width) : textOf(one).padEnd(one.width)))
      .join(' '.repeat(GAP))
      .trimEnd();
  const headLines = Math.max(1, ...kept.map(({titles}) => titles.length));
  // Short titles stand at the foot of the head, next to their cells.
  const head = Array.from({length: headLines}, (_, at) =>
    line(({titles}) => titles[at - headLines + titles.length] ?? ''),
  );
  const body = rows.map((_, index) => line(({cells}) => cells[index] ?? ''));
  const rule = '─'.repeat(Math.max(...[...head, ...body].map((text) => text.length)));
  return {
    text: [...head, rule, ...body].join('\n'),
    leftOut: measured.filter((one) => !kept.includes(one)).map(({titles}) => titles.join(' ')),
  };
}

/** Where a cell was measured: what its table has above it. */
export function placeOf({model, device, workload}: ResultRow): string {
  return `${model} on ${device}, ${workload}`;
}

/** One table for each place, with its name above it, in the order in which places first come. */
export function renderTables(
  columns: readonly TableColumn[],
  rows: readonly {readonly place: string; readonly cells: readonly string[]}[],
): string {
  const places = new Map<string, (readonly string[])[]>();
  for (const {place, cells} of rows) {
    const known = places.get(place);
    if (known === undefined) places.set(place, [cells]);
    else known.push(cells);
  }
  return [...places].map(([place, cells]) => `${plain(place)}\n${renderTable(columns, cells)}`).join('\n\n');
}
