import {COLUMNS} from '../../harness/contract/columns.ts';
import {formatSignificant} from '../../harness/contract/units.ts';
import {ratioAxis, scaleTitle} from '../axes.ts';
import {cellMap, MAX_SQUARES} from '../cell-map.ts';
import type {Chart} from '../chart.ts';
import {
  axisSide,
  CELL_TOOLTIP,
  cellPanels,
  ENDED_LAYER,
  figureLayer,
  firstCells,
  gap,
  MAX_LINES,
  withoutRow,
  withStatus,
} from '../panels.ts';
import {axisTitle, plusMinus} from '../text.ts';
import {BLUE, MUTED, ORANGE, PALETTE, PAPER} from '../theme.ts';
import {foldedCells} from '../waiting.ts';

const TITLE = 'Latency of a request';
/** Percentile, its colour and its shape. */
const MARKS = [
  ['p50', BLUE, 'circle'],
  ['p90', ORANGE, 'diamond'],
  ['p99', PALETTE[4], 'triangle-up'],
] as const;
const MISSING = 'A – needs more requests: 29 for p90, 299 for p99.';

/** p50, p90 and p99 of the whole request, with the distribution-free interval of p90. */
export const latency: Chart = {
  id: 'latency',
  title: TITLE,
  about:
    'From the start of prefill to the last token. Half of the requests are faster than p50 (circle), nine of ten faster than p90 (diamond, with its 95 % interval), 99 of 100 faster than p99 (triangle).',
  absent: 'No cell has a latency.',
  spec: ({rows}) => {
    if (!rows.some((row) => row.latency_ms_p50 !== null)) return null;
    const {data: cells, note} = firstCells(foldedCells(rows), MAX_SQUARES);
    const data = cells.map((cell) => {
      const {latency_ms_p50: p50, latency_ms_p90: p90, latency_ms_p99: p99} = cell.row;
      const [low, high] = [cell.row.latency_ms_p90_ci_low, cell.row.latency_ms_p90_ci_high];
      const words = (values: readonly (number | null)[]): string =>
        values.map((value) => (value === null ? '–' : formatSignificant(value))).join(' / ');
      const measured = p50 !== null;
      return {
        ...withoutRow(cell),
        ended: gap(cell, measured),
        p50,
        p90,
        p99,
        low,
        high,
        far: p99 ?? p90,
        value: p90 ?? p50,
        figure: measured ? withStatus(cell, words([p50, p90, p99])) : '',
        short: measured ? `${words([p50, p90])} ${p90 === null ? '' : plusMinus(p90, low, high)}`.trim() : '',
      };
    });
    const title = axisTitle('latency_ms_p50').replace('p50', 'p50 / p90 / p99');
    if (data.length > MAX_LINES) {
      return cellMap({
        title: `${TITLE}: p50 / p90 (${COLUMNS.latency_ms_p50.unit})`,
        notes: ['p50 / p90, and half the width of the 95 % interval of p90. Darker is slower.', MISSING, note],
        data,
        figureTitle: title,
      });
    }
    const axes = ratioAxis(data.flatMap(({p50, p90, p99, low, high}) => [p50, p90, p99, low, high]));
    const x = {
      type: 'quantitative',
      title: scaleTitle(title, axes),
      scale: axes.scale,
      axis: {...axes.axis, ...axisSide(data.length)},
    } as const;
    return cellPanels({
      title: TITLE,
      notes: [`Circle p50, diamond p90 with its 95 % interval, triangle p99. ${MISSING}`],
      data,
      figureTitle: `p50 / p90 / p99 (${COLUMNS.latency_ms_p50.unit})`,
      layers: [
        {mark: {type: 'rule', color: MUTED}, encoding: {x: {...x, field: 'p50'}, x2: {field: 'far'}}},
        {
          mark: {type: 'rule', strokeWidth: 5, color: ORANGE, opacity: 0.45},
          encoding: {x: {...x, field: 'low'}, x2: {field: 'high'}},
        },
        ...MARKS.map(([name, color, shape]) => ({
          mark: {
            type: 'point',
            filled: true,
            size: 60,
            color,
            shape,
            opacity: 1,
            stroke: PAPER,
            strokeWidth: 0.5,
          } as const,
          encoding: {
            x: {...x, field: name},
            tooltip: [...CELL_TOOLTIP, {field: 'figure', type: 'nominal', title: 'p50 / p90 / p99 (ms)'} as const],
          },
        })),
        ENDED_LAYER,
        figureLayer(),
      ],
    });
  },
};
