import type {TopLevelSpec} from 'vega-lite';
import type {Measured} from './axes.ts';
import type {CellDatum} from './cell.ts';
import {CONFIG, INK, MUTED, PALETTE, PAPER, SHAPES} from './theme.ts';

export const SCHEMA = 'https://vega.github.io/schema/vega-lite/v6.json';
export type Layers = Extract<TopLevelSpec, {layer: unknown}>['layer'];

/** Heading of what has not run. */
export const WAITING = 'Waiting: nothing was measured there yet';

/** More marks than this are not readable, and no longer quick: the chart then says what it leaves out. */
export const MAX_CELLS = 300;
/** More cells than this on lines of their own make a chart taller than a page: they are then shown as a map. */
export const MAX_LINES = 60;
export const CHART_WIDTH = 480;
export const ROW_HEIGHT = 20;
/** From this many lines on the axis stands above them, where reading begins. */
const TALL = 30;

export interface Shown<T> {
  readonly data: readonly T[];
  /** What is left out, in words; null when nothing is. */
  readonly note: string | null;
}

/** The first cells in the order of the report, and a word on the rest. */
export function firstCells<T>(data: readonly T[], most = MAX_CELLS, what = 'cells', where = 'results.csv'): Shown<T> {
  if (data.length <= most) return {data, note: null};
  return {data: data.slice(0, most), note: `The first ${most} of ${data.length} ${what}; ${where} has them all.`};
}

/** Without the row, which is no part of the data of a chart. */
export function withoutRow<T extends {readonly row: unknown}>({row: _row, ...rest}: T): Omit<T, 'row'> {
  return rest;
}

/** What stands in the place of a figure: how the cell ended, or that this was not measured of it. */
export function gap({ended}: CellDatum, measured: boolean): string {
  if (measured) return '';
  return ended === '' ? 'ok, but this was not measured' : ended;
}

/** A cell can have figures of its first rounds and crash in a later one: the figure then says so. */
export function withStatus({status}: CellDatum, figure: string): string {
  return figure === '' || status === 'ok' ? figure : `${figure}, ${status}`;
}

export function heading(title: string, ...lines: readonly (string | null)[]): {text: string; subtitle: string[]} {
  return {text: title, subtitle: lines.filter((line) => line !== null)};
}

/** What a person sees when pointing at a mark: which cell, how many requests, and why to trust it less. */
export const CELL_TOOLTIP = [
  {field: 'model', type: 'nominal', title: 'model'},
  {field: 'label', type: 'nominal', title: 'cell'},
  {field: 'device', type: 'nominal', title: 'device'},
  {field: 'workload', type: 'nominal', title: 'workload'},
  {field: 'status', type: 'nominal', title: 'status'},
  {field: 'requests', type: 'quantitative', title: 'requests (n)'},
  {field: 'rounds', type: 'quantitative', title: 'rounds'},
  {field: 'caveats', type: 'nominal', title: 'caveats'},
] as const;

/** A line of a chart: of a cell, or the heading of its panel. */
type Line<T> = (T & {readonly line: string; readonly heading: string}) | Heading;
interface Heading {
  readonly line: string;
  readonly heading: string;
  readonly panel: string;
  readonly model: string;
  readonly device: string;
  /** Texts of a cell that a heading has not; Vega would write `undefined`. */
  readonly ended: '';
  readonly figure: '';
}

const DIGITS = 6;
/** Sorts as text in the order of the report; the axis shows what stands behind the digits. */
export const lineName = (position: number, label: string): string => String(position).padStart(DIGITS, '0') + label;
export const LINE_LABEL = `slice(datum.label, ${DIGITS})`;

/** Lines of cells under headings of their panels (device, model, workload). Facets would do the same, at twenty times the cost. */
export function linesOf<T extends CellDatum>(
  data: readonly T[],
  sameLine: (a: T, b: T) => boolean = (a, b) => a.label === b.label && a.key === b.key,
): Line<T>[] {
  const lines: Line<T>[] = [];
  let panel: string | null = null;
  let last: T | null = null;
  let position = -1;
  for (const datum of data) {
    if (datum.panel !== panel) {
      panel = datum.panel;
      const {model, device} = datum;
      position++;
      last = null;
      lines.push({line: lineName(position, ''), heading: panel, panel, model, device, ended: '', figure: ''});
    }
    // Several marks of one cell, such as its requests, stand on one line.
    if (last === null || !sameLine(last, datum)) position++;
    last = datum;
    lines.push({...datum, line: lineName(position, datum.label), heading: ''});
  }
  return lines;
}

export const LINE_Y = {
  field: 'line',
  type: 'ordinal',
  title: null,
  axis: {labelExpr: LINE_LABEL, labelOverlap: false},
} as const;

/** Nothing of the grid shows through words: the heading of a panel, or how a cell ended. */
const PAPER_LAYER = {
  transform: [{filter: "datum.heading !== '' || datum.ended !== ''"}],
  mark: {type: 'rect', color: PAPER},
  encoding: {x: {value: 0}, x2: {value: 'width'}},
} as const;

function headingLayer(limit: number) {
  return {
    mark: {type: 'text', align: 'left', fontSize: 12, fontWeight: 600, color: INK, limit, dy: 2},
    encoding: {x: {value: 0}, text: {field: 'heading', type: 'nominal'}},
  } as const;
}

/** Colour and shape by a text of the cells, with a legend where there is more than one of it. */
export function byNominal(field: 'runner' | 'device', texts: readonly string[]) {
  const domain = [...new Set(texts)].sort();
  const cycle = <T>(values: readonly T[]): T[] => domain.flatMap((_, index) => values[index % values.length] ?? []);
  const legend = domain.length < 2 ? null : ({orient: 'bottom', direction: 'horizontal', columns: 4} as const);
  const channel = (range: readonly string[]) =>
    ({field, type: 'nominal', title: null, scale: {domain, range: cycle(range)}, legend}) as const;
  return {color: channel(PALETTE), shape: channel(SHAPES)};
}

/** What the figures on the right are, on the line of each heading. */
function figureHeading(title: string, width: number): Layers[number] {
  return {
    // A list of what waits has no figures.
    transform: [{filter: `datum.heading !== '' && datum.heading !== ${JSON.stringify(WAITING)}`}],
    mark: {type: 'text', align: 'left', fontSize: 11, color: MUTED, limit: 260, dy: 2},
    encoding: {x: {value: width + 8}, text: {value: title}},
  };
}

/** Where the axis of figures stands. */
export function axisSide(cells: number): {orient?: 'top'} {
  return cells > TALL ? {orient: 'top'} : {};
}

/** One line a cell, in panels of device, model and workload, one below the other. */
export function cellPanels(options: {
  readonly title: string;
  readonly notes?: readonly (string | null)[];
  readonly data: readonly CellDatum[];
  /** Reference lines, drawn below the headings. */
  readonly below?: Layers;
  readonly layers: Layers;
  readonly width?: number;
  /** Heads the column of figures, with their unit. */
  readonly figureTitle?: string;
  /** Whether two data stand on one line; by default several marks of one cell do. */
  readonly sameLine?: (a: CellDatum, b: CellDatum) => boolean;
}): TopLevelSpec {
  const width = options.width ?? CHART_WIDTH;
  return {
    $schema: SCHEMA,
    title: heading(options.title, ...(options.notes ?? [])),
    data: {name: 'cells', values: linesOf(options.data, options.sameLine).map((line) => ({...line}))},
    width,
    height: {step: ROW_HEIGHT},
    encoding: {y: LINE_Y},
    layer: [
      ...(options.below ?? []),
      {...PAPER_LAYER, transform: [...PAPER_LAYER.transform]},
      ...options.layers,
      // A heading may be as long as the chart is wide, with its figures where they have no heading of their own.
      headingLayer(options.figureTitle === undefined ? width + 260 : width),
      ...(options.figureTitle === undefined ? [] : [figureHeading(options.figureTitle, width)]),
    ],
    config: CONFIG,
  };
}

/** Says in the place of the figure why there is none: a cell that failed is a result, too. */
export const ENDED_LAYER = {
  mark: {type: 'text', align: 'left', fontSize: 11, fontStyle: 'italic', color: MUTED, limit: CHART_WIDTH - 8},
  encoding: {x: {value: 6}, text: {field: 'ended', type: 'nominal'}},
} as const;

/** Figures in words, in a column of their own right of the marks. */
export function figureLayer(width = CHART_WIDTH, limit = 200) {
  return {
    mark: {type: 'text', align: 'left', fontSize: 11, color: MUTED, limit},
    encoding: {x: {value: width + 8}, text: {field: 'figure', type: 'nominal'}},
  } as const;
}

/** The stroke at 1 of an axis of factors: no effect. */
export function unity(x: Measured & {readonly type: 'quantitative'; readonly title: string}): Layers {
  return [
    {
      mark: {type: 'rule', color: MUTED, opacity: 0.6, strokeDash: [3, 3]},
      encoding: {x: {...x, datum: 1}, y: {value: 0}, y2: {value: 'height'}},
    },
  ];
}
