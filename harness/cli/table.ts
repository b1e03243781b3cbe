import {plain} from './terminal.ts';

export interface TableColumn {
  readonly title: string;
  readonly align: 'left' | 'right';
}

/**
 * Rows as aligned text with two blanks between columns. Cells are made harmless (no control characters); a column that
 * is empty in every row is left out.
 */
export function renderTable(columns: readonly TableColumn[], rows: readonly (readonly string[])[]): string {
  const kept = columns
    .map((column, index) => ({column, index}))
    .filter(({index}) => rows.some((row) => (row[index] ?? '') !== ''));
  const widths = kept.map(({column, index}) =>
    Math.max(column.title.length, ...rows.map((row) => plain(row[index] ?? '').length)),
  );
  const line = (cells: readonly string[]) =>
    kept
      .map(({column}, at) => {
        const cell = plain(cells[at] ?? '');
        const width = widths[at] ?? 0;
        return column.align === 'right' ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  const head = line(kept.map(({column}) => column.title));
  const body = rows.map((row) => line(kept.map(({index}) => row[index] ?? '')));
  return [head, '─'.repeat(Math.max(head.length, ...body.map((text) => text.length))), ...body].join('\n');
}
