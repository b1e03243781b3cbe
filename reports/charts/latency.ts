import {formatSignificant} from '../../harness/contract/units.ts';
import {cellData} from '../cell.ts';
import type {Chart} from '../chart.ts';
import {CELL_TOOLTIP, cellPanels, ENDED_LAYER, figureLayer, firstCells, ratioAxis, withoutRow} from '../panels.ts';
import {axisTitle} from '../text.ts';
import {BLUE, MUTED, ORANGE, PALETTE, PAPER} from '../theme.ts';

const TITLE = 'Latency of a request';
/** Percentile, its colour and its shape. */
const MARKS = [
  ['p50', BLUE, 'circle'],
  ['p90', ORANGE, 'diamond'],
  ['p99', PALETTE[4], 'triangle-up'],
] as const;

/** p50, p90 and p99 of the whole request, with the distribution-free interval of p90. */
export const latency: Chart = {
  id: 'latency',
  title: TITLE,
  about:
    'From the start of prefill to the last token. Half of the requests are faster than p50 (circle), nine of ten faster than p90 (diamond, with its 95 % interval), 99 of 100 faster than p99 (triangle).',
  absent: 'No cell has a latency.',
  spec: ({rows}) => {
    if (!rows.some((row) => row.latency_ms_p50 !== null)) return null;
    const {data, note} = firstCells(
      cellData(rows).map((cell) => {
        const {latency_ms_p50: p50, latency_ms_p90: p90, latency_ms_p99: p99} = cell.row;
        const [low, high] = [cell.row.latency_ms_p90_ci_low, cell.row.latency_ms_p90_ci_high];
        const figure = [p50, p90, p99].map((value) => (value === null ? '–' : formatSignificant(value))).join(' / ');
        return {...withoutRow(cell), p50, p90, p99, low, high, far: p99 ?? p90, figure: p50 === null ? '' : figure};
      }),
    );
    const axes = ratioAxis(data.flatMap(({p50, p90, p99, low, high}) => [p50, p90, p99, low, high]));
    const x = {
      type: 'quantitative',
      title: axisTitle('latency_ms_p50').replace('p50', 'p50 / p90 / p99'),
      ...axes,
    } as const;
    return cellPanels({
      title: TITLE,
      notes: [
        'Circle p50, diamond p90 with its 95 % interval, triangle p99. A – needs more requests: 29 for p90, 299 for p99.',
        note,
      ],
      data,
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
