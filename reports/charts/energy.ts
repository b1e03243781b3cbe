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
import {axisTitle, clean} from '../text.ts';
import {GREEN} from '../theme.ts';
import {foldedCells} from '../waiting.ts';

const TITLE = 'Energy per generated token';

/** Joules a token by format and device; who counted them is part of the figure. */
export const energy: Chart = {
  id: 'energy',
  title: TITLE,
  about:
    'Energy of the measured requests, divided by the tokens they generated. Counters of a CPU and of a GPU cover different parts of a machine: compare within one device. There is no interval: a cell has one figure, over all its rounds.',
  absent: 'No cell has an energy figure: the host has no readable counter, or the runs were too short.',
  spec: ({rows}) => {
    if (!rows.some((row) => row.energy_j_per_token !== null)) return null;
    const {data: cells, note} = firstCells(foldedCells(rows), MAX_SQUARES);
    const data = cells.map((cell) => {
      const {energy_j_per_token: value, energy_source: source} = cell.row;
      return {
        ...withoutRow(cell),
        ended: gap(cell, value !== null),
        value,
        figure: value === null ? '' : withStatus(cell, `${formatSignificant(value)} ${clean(source, 30)}`.trim()),
        short: value === null ? '' : formatSignificant(value),
      };
    });
    const title = axisTitle('energy_j_per_token');
    if (data.length > MAX_LINES) {
      return cellMap({
        title: `${TITLE} (${COLUMNS.energy_j_per_token.unit})`,
        notes: ['Darker is more.', note],
        data,
        figureTitle: title,
      });
    }
    const axes = ratioAxis(data.map(({value}) => value));
    const x = {
      field: 'value',
      type: 'quantitative',
      title: scaleTitle(title, axes),
      scale: axes.scale,
      axis: {...axes.axis, ...axisSide(data.length)},
    } as const;
    return cellPanels({
      title: TITLE,
      notes: ['Less is better. A cell without a figure says how it ended.'],
      data,
      figureTitle: `${COLUMNS.energy_j_per_token.unit}, counter`,
      layers: [
        {
          mark: {type: 'point', filled: true, size: 70, color: GREEN, shape: 'square', opacity: 1},
          encoding: {x, tooltip: [...CELL_TOOLTIP, {field: 'figure', type: 'nominal', title}]},
        },
        ENDED_LAYER,
        figureLayer(),
      ],
    });
  },
};
