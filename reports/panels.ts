import type {TopLevelSpec} from 'vega-lite';
import type {CellDatum} from './cell.ts';
import {CONFIG, INK, MUTED} from './theme.ts';

export const SCHEMA = 'https://vega.github.io/schema/vega-lite/v6.json';
export type Layers = Extract<TopLevelSpec, {layer: unknown}>['layer'];

/** More marks than this are not readable, and no longer quick: the chart then says what it leaves out. */
export const MAX_CELLS = 300;
export const CHART_WIDTH = 480;
export const ROW_HEIGHT = 20;

export interface Shown<T> {
  readonly data: readonly T[];
  /** What is left out, in words; null when nothing is. */
  readonly note: string | null;
}

/** The first cells in the order of the report, and a word on the rest. */
export function firstCells<T>(data: readonly T[], most = MAX_CELLS, what = 'cells'): Shown<T> {
  if (data.length <= most) return {data, note: null};
  return {data: data.slice(0, most), note: `The first ${most} of ${data.length} ${what}; results.csv has them all.`};
}

/** Without the row, which is no part of the data of a chart. */
export function withoutRow<T extends {readonly row: unknown}>({row: _row, ...rest}: T): Omit<T, 'row'> {
  return rest;
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
const lineName = (position: number, label: string): string => String(position).padStart(DIGITS, '0') + label;

/** Lines of cells under headings of their panels (device, model, workload). Facets would do the same, at twenty times the cost. */
export function linesOf<T extends CellDatum>(data: readonly T[]): Line<T>[] {
  const lines: Line<T>[] = [];
  let panel: string | null = null;
  let label: string | null = null;
  let position = -1;
  for (const datum of data) {
    if (datum.panel !== panel) {
      panel = datum.panel;
      const {model, device} = datum;
      position++;
      label = null;
      lines.push({line: lineName(position, ''), heading: panel, panel, model, device, ended: '', figure: ''});
    }
    // Several marks of one cell, such as its requests, stand on one line.
    if (label !== datum.label) position++;
    label = datum.label;
    lines.push({...datum, line: lineName(position, label), heading: ''});
  }
  return lines;
}

export const LINE_Y = {
  field: 'line',
  type: 'ordinal',
  title: null,
  axis: {labelExpr: `slice(datum.label, ${DIGITS})`, labelOverlap: false},
} as const;

const HEADING_LAYER = {
  mark: {type: 'text', align: 'left', fontSize: 12, fontWeight: 600, color: INK, limit: CHART_WIDTH + 170, dy: 2},
  encoding: {x: {value: 0}, text: {field: 'heading', type: 'nominal'}},
} as const;

/** One line a cell, in panels of device, model and workload, one below the other. */
export function cellPanels(options: {
  readonly title: string;
  readonly notes?: readonly (string | null)[];
  readonly data: readonly CellDatum[];
  readonly layers: Layers;
  readonly width?: number;
}): TopLevelSpec {
  return {
    $schema: SCHEMA,
    title: heading(options.title, ...(options.notes ?? [])),
    data: {name: 'cells', values: linesOf(options.data).map((line) => ({...line}))},
    width: options.width ?? CHART_WIDTH,
    height: {step: ROW_HEIGHT},
    encoding: {y: LINE_Y},
    layer: [...options.layers, HEADING_LAYER],
    config: CONFIG,
  };
}

/** Says in the place of the figure why there is none: a cell that failed is a result, too. */
export const ENDED_LAYER = {
  mark: {type: 'text', align: 'left', fontSize: 11, fontStyle: 'italic', color: MUTED, limit: CHART_WIDTH - 8},
  encoding: {x: {value: 6}, text: {field: 'ended', type: 'nominal'}},
} as const;

/** Figures in words, in a column of their own right of the marks. */
export function figureLayer(width = CHART_WIDTH) {
  return {
    mark: {type: 'text', align: 'left', fontSize: 11, color: MUTED, limit: 170},
    encoding: {x: {value: width + 8}, text: {field: 'figure', type: 'nominal'}},
  } as const;
}

const BEYOND = 1.15;

/**
 * Scale and axis for figures that are compared by their ratio: linear from zero, or logarithmic over more than a decade
 * and a half. The domain is given, so that filtering on the page does not move it.
 */
export function ratioAxis(values: readonly (number | null | undefined)[]): {
  scale: {type: 'log' | 'linear'; domain: [number, number]; nice: boolean};
  axis: {values?: number[]; format: string};
} {
  const positive = values.filter(
    (value): value is number => typeof value === 'number' && value > 0 && Number.isFinite(value),
  );
  const least = positive.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const most = positive.reduce((a, b) => Math.max(a, b), 0);
  if (positive.length === 0 || most / least < 30) {
    return {scale: {type: 'linear', domain: [0, most || 1], nice: true}, axis: {format: ',~r'}};
  }
  const domain: [number, number] = [least / BEYOND, most * BEYOND];
  return {scale: {type: 'log', domain, nice: false}, axis: {values: logTicks(domain), format: ',~r'}};
}

/** Powers of ten; over less than three decades twos and fives, too. */
function logTicks([from, to]: readonly [number, number]): number[] {
  const steps = to / from < 1000 ? [1, 2, 5] : [1];
  const first = Math.floor(Math.log10(from));
  const decades = Array.from({length: Math.ceil(Math.log10(to)) - first + 1}, (_, index) => first + index);
  // A negative power as a division: 10 ** -1 * 2 is not 0.2.
  const power = (step: number, decade: number): number => (decade < 0 ? step / 10 ** -decade : step * 10 ** decade);
  return decades
    .flatMap((decade) => steps.map((step) => power(step, decade)))
    .filter((tick) => tick >= from && tick <= to);
}
