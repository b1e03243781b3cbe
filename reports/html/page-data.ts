import {CAVEATS} from '../../harness/contract/caveats.ts';
import {COLUMN_NAMES, COLUMNS, type ColumnName, type ResultRow} from '../../harness/contract/columns.ts';
import {commandOf, rowKey} from '../cell.ts';
import {clean} from '../text.ts';
import {PAGE_ROWS, type ShownColumn} from './cell-table.ts';

/** Values of a column, a row each; of texts, their places in `texts`, so that a name stands in the page once. */
interface PageColumn {
  readonly texts?: readonly string[];
  readonly values: readonly (number | null)[];
}

/** What the script of the page works on. */
export function pageData(
  rows: readonly ResultRow[],
  shown: readonly ShownColumn[],
  anchors: readonly string[],
  charts: readonly {readonly id: string; readonly spec: unknown}[],
) {
  return {
    pageRows: PAGE_ROWS,
    columns: COLUMN_NAMES.map((name) => ({
      name,
      unit: COLUMNS[name].unit,
      group: COLUMNS[name].group,
      doc: COLUMNS[name].doc,
      ...valuesOf(rows, name),
    })),
    shown,
    anchors,
    keys: rows.map(rowKey),
    commands: shared(rows.map(commandOf)),
    caveats: Object.fromEntries(Object.entries(CAVEATS).map(([code, {doc, fix}]) => [code, `${doc} ${fix}`])),
    charts,
  };
}

function valuesOf(rows: readonly ResultRow[], name: ColumnName): PageColumn {
  // A column is of texts, or of numbers.
  if (COLUMNS[name].kind !== 'text') return {values: rows.map((row) => row[name] as number | null)};
  return shared(rows.map((row) => row[name] as string | null));
}

function shared(all: readonly (string | null)[]): PageColumn & {readonly texts: readonly string[]} {
  const places = new Map<string, number>();
  const values = all.map((text) => {
    if (text === null) return null;
    const place = places.get(text) ?? places.size;
    places.set(text, place);
    return place;
  });
  return {texts: [...places.keys()], values};
}

/** Texts of a column with their places in the data of the page; those that nothing is chosen by are left out. */
export function choicesOf(
  rows: readonly ResultRow[],
  name: ColumnName,
): {readonly text: string; readonly place: number}[] {
  const {texts = []} = valuesOf(rows, name);
  return texts
    .map((text, place) => ({text: clean(text, 80), place}))
    .filter(({text}) => text.trim() !== '')
    .sort((a, b) => (a.text < b.text ? -1 : 1));
}
