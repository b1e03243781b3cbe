import type {TopLevelSpec} from 'vega-lite';
import {type Measured, shareOf} from '../axes.ts';
import type {CellDatum} from '../cell.ts';
import {labelPlaces} from '../label-places.ts';
import {CELL_TOOLTIP, CHART_WIDTH, heading, type Layers, SCHEMA} from '../panels.ts';
import {clean} from '../text.ts';
import {textWidth} from '../text-width.ts';
import {CONFIG, INK, PALETTE, PAPER, SHAPES} from '../theme.ts';

/** Names beside points help as long as most of them find room. */
const MOST_NAMES = 40;
const WIDTH = CHART_WIDTH + 120;
export const SCATTER_HEIGHT = 380;
const FONT_SIZE = 10;
/** Points of one name that are nearer than this, in pixels, need it once. */
const NEAR = 40;

/** One direction of the plane: its field, its title with unit, and its axis. */
export interface Direction extends Measured {
  readonly field: string;
  readonly type: 'quantitative';
  readonly title: string;
}

/** Where a point stands. */
export interface Position {
  readonly x: Direction;
  readonly y: Direction;
}

export interface Point extends CellDatum {
  readonly named: boolean;
  /** In the units of the axes. */
  readonly at: {readonly x: number; readonly y: number};
}

/** One point a cell; its colour and its shape are the device. */
export function scatter(options: {
  readonly title: string;
  readonly notes: readonly (string | null)[];
  readonly data: readonly Point[];
  /** Position of a point. */
  readonly encoding: Position;
  /** Drawn below the points. */
  readonly below?: Layers;
  readonly figureTitle: string;
}): TopLevelSpec {
  const {x, y} = options.encoding;
  const devices = [...new Set(options.data.map(({device}) => device))];
  const cycle = <T>(values: readonly T[]): T[] => devices.flatMap((_, index) => values[index % values.length] ?? []);
  const scale = (range: readonly string[]) => ({domain: devices, range: cycle(range)});
  const encoding = {
    x,
    y,
    color: {field: 'device', type: 'nominal' as const, scale: scale(PALETTE), title: 'device'},
    shape: {field: 'device', type: 'nominal' as const, scale: scale(SHAPES), title: 'device'},
    tooltip: [...CELL_TOOLTIP, {field: 'figure', type: 'nominal' as const, title: options.figureTitle}],
  };
  return {
    $schema: SCHEMA,
    title: heading(options.title, ...options.notes),
    data: {name: 'cells', values: named(options.data, options.encoding)},
    width: WIDTH,
    height: SCATTER_HEIGHT,
    layer: [
      ...(options.below ?? []),
      {mark: {type: 'point', filled: true, size: 80, opacity: 0.95, stroke: PAPER, strokeWidth: 0.7}, encoding},
      {
        mark: {
          type: 'text',
          fontSize: FONT_SIZE,
          color: INK,
          dx: {expr: 'datum.dx'},
          dy: {expr: 'datum.dy'},
          align: {expr: 'datum.align'},
        },
        encoding: {x, y, text: {field: 'name', type: 'nominal'}},
      },
    ],
    config: {
      ...CONFIG,
      axisY: {grid: true, labelPadding: 6},
      legend: {...CONFIG.legend, orient: 'bottom', columns: 5},
    },
  };
}

/** The data with the names that find room, and where they stand. */
function named(data: readonly Point[], {x, y}: Position) {
  const nameOf = names(data);
  const few = data.filter((datum) => datum.named).length <= MOST_NAMES;
  const told: {readonly name: string; readonly x: number; readonly y: number}[] = [];
  const points = data.map((datum) => {
    const at = {x: shareOf(datum.at.x, x.scale) * WIDTH, y: (1 - shareOf(datum.at.y, y.scale)) * SCATTER_HEIGHT};
    const name = nameOf(datum);
    // Of two devices with one name close by, one name says it: the colour tells them apart.
    const known = told.some((one) => one.name === name && Math.hypot(one.x - at.x, one.y - at.y) < NEAR);
    if (!few || !datum.named || known) return {...at, width: 0};
    told.push({name, ...at});
    return {...at, width: textWidth({fontSize: FONT_SIZE}, name)};
  });
  const places = labelPlaces(points, {width: WIDTH, height: SCATTER_HEIGHT});
  return data.map(({at: _, ...datum}, index) => {
    const place = places[index] ?? null;
    return {
      ...datum,
      name: place === null ? '' : nameOf(datum),
      dx: place?.dx ?? 0,
      dy: place?.dy ?? 0,
      align: place?.align ?? 'left',
    };
  });
}

/** Names say what differs: the format, and the model and engine where there are several. */
function names(data: readonly Point[]): (datum: Pick<CellDatum, 'model' | 'format' | 'runner'>) => string {
  const shown = data.filter((datum) => datum.named);
  const keys = (['model', 'format', 'runner'] as const).filter(
    (key) => key === 'format' || new Set(shown.map((datum) => datum[key])).size > 1,
  );
  return (datum) => keys.map((key) => clean(datum[key], 24)).join(' · ');
}
