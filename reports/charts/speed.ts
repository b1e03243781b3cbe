import {COLUMNS} from '../../harness/contract/columns.ts';
import {formatSignificant} from '../../harness/contract/units.ts';
import {ratioAxis, scaleTitle} from '../axes.ts';
import {cellMap, MAX_SQUARES} from '../cell-map.ts';
import type {Chart} from '../chart.ts';
import {
  axisSide,
  byNominal,
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
import {axisTitle, plusMinus, withInterval} from '../text.ts';
import {PAPER} from '../theme.ts';
import {foldedCells} from '../waiting.ts';

type Measure = 'prefill_tokens_per_s' | 'decode_tokens_per_s';

/** Tokens a second of one phase by format and device, each with its 95 % interval. */
function speedChart(id: string, title: string, measure: Measure, about: string): Chart {
  return {
    id,
    title,
    about,
    absent: `No cell has a figure for ${axisTitle(measure)}.`,
    spec: ({rows}) => {
      if (!rows.some((row) => row[measure] !== null)) return null;
      const {data: cells, note} = firstCells(foldedCells(rows), MAX_SQUARES);
      const data = cells.map((cell) => {
        const {row} = cell;
        const [value, low, high] = [row[measure], row[`${measure}_ci_low`], row[`${measure}_ci_high`]];
        return {
          ...withoutRow(cell),
          ended: gap(cell, value !== null),
          value,
          low,
          high,
          figure: value === null ? '' : withStatus(cell, withInterval(value, low, high)),
          short: value === null ? '' : `${formatSignificant(value)} ${plusMinus(value, low, high)}`.trim(),
        };
      });
      if (data.length > MAX_LINES) {
        return cellMap({
          title: `${title} (${COLUMNS[measure].unit})`,
          notes: ['Median and half the width of its 95 % interval. Darker is faster.', note],
          data,
          figureTitle: axisTitle(measure),
        });
      }
      const axes = ratioAxis(data.flatMap(({value, low, high}) => [value, low, high]));
      const x = {
        field: 'value',
        type: 'quantitative',
        title: scaleTitle(axisTitle(measure), axes),
        scale: axes.scale,
        axis: {...axes.axis, ...axisSide(data.length)},
      } as const;
      const engines = byNominal(
        'runner',
        data.filter(({value}) => value !== null).map(({runner}) => runner),
      );
      return cellPanels({
        title,
        notes: ['Median and 95 % interval. A cell without a figure says how it ended.'],
        data,
        figureTitle: `${COLUMNS[measure].unit} (95 % interval)`,
        layers: [
          {
            mark: {type: 'rule', strokeWidth: 2, opacity: 0.75},
            encoding: {x: {...x, field: 'low'}, x2: {field: 'high'}, color: engines.color},
          },
          {
            mark: {type: 'point', filled: true, size: 70, opacity: 1, stroke: PAPER, strokeWidth: 0.7},
            encoding: {
              x,
              ...engines,
              tooltip: [...CELL_TOOLTIP, {field: 'figure', type: 'nominal', title: axisTitle(measure)}],
            },
          },
          ENDED_LAYER,
          figureLayer(),
        ],
      });
    },
  };
}

export const decodeSpeed = speedChart(
  'decode-speed',
  'Decode speed',
  'decode_tokens_per_s',
  'Tokens generated per second after the first one, prefill not included. More is faster; the colour is the engine.',
);
export const prefillSpeed = speedChart(
  'prefill-speed',
  'Prefill speed',
  'prefill_tokens_per_s',
  'Prompt tokens processed per second. More is faster; the colour is the engine.',
);
