import type {TopLevelSpec} from 'vega-lite';
import {FORMATS, type Format} from '../harness/contract/format.ts';
import {extent} from './axes.ts';
import type {CellDatum} from './cell.ts';
import {CELL_TOOLTIP, firstCells, heading, LINE_LABEL, lineName, SCHEMA, WAITING} from './panels.ts';
import {textWidth} from './text-width.ts';
import {CONFIG, GRID, INK, PAPER, STATUS_LOOKS} from './theme.ts';

/** More squares than this are no longer quick. */
export const MAX_SQUARES = 600;
const SQUARE_HEIGHT = 22;
const FONT_SIZE = 11;

/** More columns than this are no picture: a panel then goes on in the next line, as text does. */
const MOST_COLUMNS = 60;
const WRAPPED = 20;
/** Says so where it is done. */
export const WRAPPED_NOTE =
  'Too many kinds of cells for a column each: they follow each other in the order of the table.';

/** Where a cell stands in a map: its panel is the row, what differs within panels the column. */
export interface Square {
  readonly column: string;
  readonly line: string;
}

/** Ways to tell the cells of a panel apart, the shortest first; a label always does. */
const columnsOf = (data: readonly CellDatum[]): readonly ((cell: CellDatum) => string)[] => [
  (cell) => cell.format,
  (cell) => join(cell.format, cell.runner),
  wayOf(data),
  (cell) => join(cell.format, cell.runner, cell.kernel),
  (cell) => cell.label,
];

/** An instruction set that a cell was kept to on purpose. */
const capOf = ({caveats}: CellDatum): string => /(?:^| )isa-capped=(\S+)/.exec(caveats)?.[1] ?? '';

/**
 * Format and engine; the kernel only where a panel has the choice between several. Elsewhere it only says on which device
 * a cell ran (`cpu-zen4`, `cuda`), and what waits has none yet: columns of devices would never meet.
 */
function wayOf(data: readonly CellDatum[]): (cell: CellDatum) => string {
  const base = (cell: CellDatum): string => JSON.stringify([cell.format, cell.runner, capOf(cell)]);
  const kernels = new Map<string, Set<string>>();
  for (const cell of data) {
    const key = JSON.stringify([cell.panel, base(cell)]);
    kernels.set(key, (kernels.get(key) ?? new Set()).add(cell.kernel));
  }
  const choice = new Set(
    data.filter((cell) => (kernels.get(JSON.stringify([cell.panel, base(cell)]))?.size ?? 0) > 1).map(base),
  );
  return (cell) => {
    const cap = capOf(cell);
    return join(cell.format, cell.runner, choice.has(base(cell)) ? cell.kernel : '', cap === '' ? '' : `${cap} only`);
  };
}

const join = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join(' · ');

const nominalBits = (format: string): number =>
  Object.hasOwn(FORMATS, format) ? FORMATS[format as Format].nominalBits : 0; // looked up just before

/** Each cell with its square; no two cells of a panel share one. Columns and rows sort as text in the order of the report. */
export function squares<T extends CellDatum>(data: readonly T[]): (T & Square)[] {
  const name =
    columnsOf(data).find(
      (column) => new Set(data.map((cell) => JSON.stringify([cell.panel, column(cell)]))).size === data.length,
    ) ?? ((cell: CellDatum) => cell.label);
  // Wider formats first, as on lines; what is alike stands together, whichever panels have it.
  const bits = new Map(data.map((cell) => [name(cell), nominalBits(cell.format)]));
  const columns = [...bits].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).map(([column]) => column);
  if (columns.length > MOST_COLUMNS) return wrapped(data);
  const seen = new Set(data.map(({panel}) => panel));
  const at = new Map(columns.map((column, index) => [column, index]));
  const rows = new Map([...seen].map((panel, index) => [panel, index]));
  return data.map((cell) => ({
    ...cell,
    column: lineName(at.get(name(cell)) ?? 0, name(cell)),
    line: lineName(rows.get(cell.panel) ?? 0, cell.panel),
  }));
}

/** Cells of a panel one after the other, line by line; their names are told by pointing at them. */
function wrapped<T extends CellDatum>(data: readonly T[]): (T & Square)[] {
  const panels = new Map<string, T[]>();
  for (const cell of data) {
    const known = panels.get(cell.panel);
    if (known === undefined) panels.set(cell.panel, [cell]);
    else known.push(cell);
  }
  let line = 0;
  return [...panels].flatMap(([panel, cells]) => {
    const first = line;
    line += Math.ceil(cells.length / WRAPPED);
    return cells.map((cell, index) => {
      const row = Math.floor(index / WRAPPED);
      return {
        ...cell,
        column: lineName(index % WRAPPED, ''),
        line: lineName(first + row, row === 0 ? panel : `${row * WRAPPED + 1} …`),
      };
    });
  });
}

/** Whether a map has no names of columns. */
export const isWrapped = (data: readonly Square[]): boolean => data.every(({column}) => columnLabel(column) === '');
const columnLabel = (column: string): string => column.slice(6);

/** Axes of a map: names of columns above it, turned where they are wider than a square. */
export function mapAxes(data: readonly Square[], squareWidth: number) {
  const widest = Math.max(0, ...data.map(({column}) => textWidth({fontSize: FONT_SIZE}, columnLabel(column))));
  const turned = widest + 6 > squareWidth ? {labelAngle: -40, labelAlign: 'left' as const} : {labelAngle: 0};
  return {
    x: {
      field: 'column',
      type: 'ordinal',
      title: null,
      axis: {
        orient: 'top',
        labelExpr: LINE_LABEL,
        labelColor: INK,
        labelOverlap: false,
        labelLimit: 300,
        grid: false,
        domain: false,
        ticks: false,
        labelPadding: 4,
        ...turned,
      },
    },
    y: {
      field: 'line',
      type: 'ordinal',
      title: null,
      axis: {labelExpr: LINE_LABEL, labelLimit: 420, labelOverlap: false},
    },
  } as const;
}

export interface MapDatum extends CellDatum {
  /** Decides the shade; null without a figure. */
  readonly value: number | null;
  /** What is written into the square. */
  readonly short: string;
  /** The whole figure, for the tooltip. */
  readonly figure: string;
}

/** Ink on squares keeps its colour on a dark screen, for the squares keep theirs: so it is none of the named inks. */
const DARK_INK = '#10161d';
const LIGHT_INK = '#fdfdfe';
/** Light to dark, one hue: told apart in grey, too. */
const MORE = ['#e3eef9', '#6baed6', '#08519c'] as const;
/** The other side of 1. */
const LESS = ['#f7ead8', '#fdae6b', '#a63603'] as const;
const MIDDLE_IS = '#f1f3f5';

/**
 * Very many cells: a square each, with its figure, and a shade that goes with the logarithm of the value. Cells without a
 * figure say how they ended.
 *
 * @param options.around1 Values are factors: one hue for more than 1, another for less.
 */
export function cellMap(options: {
  readonly title: string;
  readonly notes?: readonly (string | null)[];
  readonly data: readonly MapDatum[];
  readonly figureTitle: string;
  readonly around1?: boolean;
}): TopLevelSpec {
  // A device that waits has one line in a list; in a map it would be a row of nothing.
  const ran = options.data.filter(({panel}) => panel !== WAITING);
  const waits =
    ran.length === options.data.length ? null : 'Devices where nothing was measured yet are in the chart of coverage.';
  const {data: shown, note} = firstCells(ran, MAX_SQUARES);
  const ends = extent(shown.map(({value}) => value)) ?? [1, 1];
  const data = squares(shown).map((cell) => {
    const {fill, ink} = look(cell.value, ends, options.around1 ?? false);
    return {...cell, short: cell.value === null ? word(cell) : cell.short, fill, ink};
  });
  const width = Math.ceil(Math.max(44, ...data.map(({short}) => textWidth({fontSize: FONT_SIZE}, short) + 14)));
  const tooltip = [
    ...CELL_TOOLTIP,
    {field: 'figure', type: 'nominal' as const, title: options.figureTitle},
    {field: 'ended', type: 'nominal' as const, title: 'ended'},
  ];
  return {
    $schema: SCHEMA,
    title: heading(options.title, ...(options.notes ?? []), isWrapped(data) ? WRAPPED_NOTE : null, waits, note),
    data: {name: 'cells', values: data.map((datum) => ({...datum}))},
    width: {step: width},
    height: {step: SQUARE_HEIGHT},
    encoding: mapAxes(data, width),
    layer: [
      {
        mark: {type: 'rect', stroke: PAPER, strokeWidth: 1},
        encoding: {
          color: {field: 'fill', type: 'nominal', scale: null},
          tooltip,
        },
      },
      {
        mark: {type: 'text', fontSize: FONT_SIZE},
        encoding: {
          text: {field: 'short', type: 'nominal'},
          color: {field: 'ink', type: 'nominal', scale: null},
          // The text lies over the middle of its square, where people point.
          tooltip,
        },
      },
    ],
    config: CONFIG,
  };
}

/** How a cell without a figure ended, in one word. */
function word({status}: CellDatum): string {
  if (status === 'ok') return '–';
  const sign = Object.hasOwn(STATUS_LOOKS, status) ? STATUS_LOOKS[status as keyof typeof STATUS_LOOKS].sign : '?'; // looked up just before
  return `${sign} ${status.slice(0, 14)}`;
}

function look(value: number | null, [least, most]: readonly [number, number], around1: boolean) {
  // Named inks, which a dark screen swaps: what was not measured must not shine brightest there.
  if (value === null || value <= 0) return {fill: GRID, ink: INK};
  if (around1) {
    const far = Math.max(Math.abs(Math.log(least)), Math.abs(Math.log(most)), Math.log(1.05));
    const share = Math.log(value) / far;
    if (Math.abs(share) < 0.02) return {fill: MIDDLE_IS, ink: DARK_INK};
    return shade(share > 0 ? MORE : LESS, Math.abs(share));
  }
  return shade(MORE, most === least ? 0.3 : Math.log(value / least) / Math.log(most / least));
}

/** From here on a shade is so dark that light ink reads better on it. */
const DARK_FROM = 0.75;

function shade([light, middle, dark]: readonly [string, string, string], share: number) {
  const fill = share < 0.5 ? mixed(light, middle, share * 2) : mixed(middle, dark, share * 2 - 1);
  return {fill, ink: share < DARK_FROM ? DARK_INK : LIGHT_INK};
}

function mixed(from: string, to: string, share: number): string {
  const part = (color: string, at: number): number => Number.parseInt(color.slice(at, at + 2), 16);
  const parts = [1, 3, 5].map((at) => Math.round(part(from, at) + (part(to, at) - part(from, at)) * share));
  return `#${parts.map((one) => one.toString(16).padStart(2, '0')).join('')}`;
}
