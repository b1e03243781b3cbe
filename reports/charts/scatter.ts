import type {TopLevelSpec} from 'vega-lite';
import type {CellDatum} from '../cell.ts';
import {CELL_TOOLTIP, CHART_WIDTH, heading, type Layers, SCHEMA} from '../panels.ts';
import {CONFIG, INK, PALETTE, PAPER, SHAPES} from '../theme.ts';

/** Names beside points help as long as they do not cover each other. */
const MOST_NAMES = 24;

type Encoding = NonNullable<Extract<TopLevelSpec, {mark: unknown; width?: unknown}>['encoding']>;
/** Where a point stands. */
export interface Position {
  readonly x: NonNullable<Encoding['x']>;
  readonly y: NonNullable<Encoding['y']>;
}

/** One point a cell; its colour and its shape are the device. */
export function scatter(options: {
  readonly title: string;
  readonly notes: readonly (string | null)[];
  readonly data: readonly (CellDatum & {readonly named: boolean})[];
  /** Position of a point. */
  readonly encoding: Position;
  /** Drawn below the points. */
  readonly below?: Layers;
  readonly figureTitle: string;
}): TopLevelSpec {
  const devices = [...new Set(options.data.map(({device}) => device))];
  const named = options.data.filter((datum) => datum.named).length <= MOST_NAMES;
  const cycle = <T>(values: readonly T[]): T[] => devices.flatMap((_, index) => values[index % values.length] ?? []);
  const scale = (range: readonly string[]) => ({domain: devices, range: cycle(range)});
  const encoding = {
    ...options.encoding,
    color: {field: 'device', type: 'nominal' as const, scale: scale(PALETTE), title: 'device'},
    shape: {field: 'device', type: 'nominal' as const, scale: scale(SHAPES), title: 'device'},
    tooltip: [...CELL_TOOLTIP, {field: 'figure', type: 'nominal' as const, title: options.figureTitle}],
  };
  return {
    $schema: SCHEMA,
    title: heading(options.title, ...options.notes),
    data: {
      name: 'cells',
      values: options.data.map((datum) => ({...datum, name: named && datum.named ? datum.format : ''})),
    },
    width: CHART_WIDTH + 80,
    height: 340,
    layer: [
      ...(options.below ?? []),
      {mark: {type: 'point', filled: true, size: 80, opacity: 0.95, stroke: PAPER, strokeWidth: 0.7}, encoding},
      {
        mark: {type: 'text', align: 'left', dx: 8, dy: -6, fontSize: 10, color: INK},
        encoding: {...options.encoding, text: {field: 'name', type: 'nominal'}},
      },
    ],
    config: {...CONFIG, axisY: {grid: true, labelPadding: 6}},
  };
}
