import {formatSignificant} from '../../harness/contract/units.ts';
import {cellData} from '../cell.ts';
import type {Chart} from '../chart.ts';
import {CELL_TOOLTIP, cellPanels, ENDED_LAYER, figureLayer, firstCells, ratioAxis, withoutRow} from '../panels.ts';
import {axisTitle} from '../text.ts';
import {BLUE, INK} from '../theme.ts';

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
      const {data, note} = firstCells(
        cellData(rows).map((cell) => {
          const [value, low, high] = [cell.row[measure], cell.row[`${measure}_ci_low`], cell.row[`${measure}_ci_high`]];
          const interval =
            low === null || high === null ? '' : ` (${formatSignificant(low)}–${formatSignificant(high)})`;
          return {
            ...withoutRow(cell),
            value,
            low,
            high,
            figure: value === null ? '' : formatSignificant(value) + interval,
          };
        }),
      );
      const x = {
        field: 'value',
        type: 'quantitative',
        title: axisTitle(measure),
        ...ratioAxis(data.flatMap(({value, low, high}) => [value, low, high])),
      } as const;
      return cellPanels({
        title,
        notes: ['Median and 95 % interval. A cell without a figure says how it ended.', note],
        data,
        layers: [
          {mark: {type: 'rule', strokeWidth: 2, color: INK}, encoding: {x: {...x, field: 'low'}, x2: {field: 'high'}}},
          {
            mark: {type: 'point', filled: true, size: 70, color: BLUE, opacity: 1},
            encoding: {
              x,
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
  'Tokens generated per second after the first one, prefill not included. Further right is faster.',
);
export const prefillSpeed = speedChart(
  'prefill-speed',
  'Prefill speed',
  'prefill_tokens_per_s',
  'Prompt tokens processed per second. Further right is faster.',
);
