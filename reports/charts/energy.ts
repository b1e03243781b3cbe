import {formatSignificant} from '../../harness/contract/units.ts';
import {cellData} from '../cell.ts';
import type {Chart} from '../chart.ts';
import {CELL_TOOLTIP, cellPanels, ENDED_LAYER, figureLayer, firstCells, ratioAxis, withoutRow} from '../panels.ts';
import {axisTitle} from '../text.ts';
import {GREEN} from '../theme.ts';

const TITLE = 'Energy per generated token';

/** Joules a token by format and device; who counted them is part of the figure. */
export const energy: Chart = {
  id: 'energy',
  title: TITLE,
  about:
    'Energy of the measured requests, divided by the tokens they generated. Counters of a CPU and of a GPU cover different parts of a machine: compare within one device.',
  absent: 'No cell has an energy figure: the host has no readable counter, or the runs were too short.',
  spec: ({rows}) => {
    const cells = cellData(rows).filter(({row, ended}) => row.energy_j_per_token !== null || ended !== '');
    if (!cells.some(({row}) => row.energy_j_per_token !== null)) return null;
    const {data, note} = firstCells(
      cells.map((cell) => {
        const value = cell.row.energy_j_per_token;
        const source = cell.row.energy_source;
        return {
          ...withoutRow(cell),
          value,
          figure: value === null ? '' : `${formatSignificant(value)} ${source ?? ''}`,
        };
      }),
    );
    const x = {
      field: 'value',
      type: 'quantitative',
      title: axisTitle('energy_j_per_token'),
      ...ratioAxis(data.map(({value}) => value)),
    } as const;
    return cellPanels({
      title: TITLE,
      notes: ['Less is better. A cell without a figure says how it ended.', note],
      data,
      layers: [
        {
          mark: {type: 'point', filled: true, size: 70, color: GREEN, shape: 'square', opacity: 1},
          encoding: {
            x,
            tooltip: [...CELL_TOOLTIP, {field: 'figure', type: 'nominal', title: axisTitle('energy_j_per_token')}],
          },
        },
        ENDED_LAYER,
        figureLayer(),
      ],
    });
  },
};
