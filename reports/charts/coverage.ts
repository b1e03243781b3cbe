import {cellData} from '../cell.ts';
import type {Chart} from '../chart.ts';
import {CELL_TOOLTIP, firstCells, heading, SCHEMA, withoutRow} from '../panels.ts';
import {CONFIG, INK, PAPER, STATUS_LOOKS} from '../theme.ts';

const TITLE = 'What was measured, and what was not';
type Known = keyof typeof STATUS_LOOKS;

/** Every cell of the matrix with how it ended: nothing that was planned is missing from a report. */
export const coverage: Chart = {
  id: 'coverage',
  title: TITLE,
  about: 'One square a cell: its colour and its sign say how it ended. A device that has not run yet waits.',
  absent: 'There are no rows.',
  spec: ({rows}) => {
    if (rows.length === 0) return null;
    const {data, note} = firstCells(
      cellData(rows).map((cell) => ({
        ...withoutRow(cell),
        column: [cell.format, cell.runner, cell.kernel].filter((part) => part !== '').join(' · '),
        sign: cell.status in STATUS_LOOKS ? STATUS_LOOKS[cell.status as Known].sign : '?', // looked up just before
        ends: cell.status === 'ok' ? 'ok' : cell.ended,
      })),
      1000,
    );
    const present = (Object.keys(STATUS_LOOKS) as Known[]).filter((status) =>
      data.some((cell) => cell.status === status),
    ); // keys of a constant
    const unknown = [...new Set(data.map(({status}) => status))].filter((status) => !(status in STATUS_LOOKS)).sort();
    return {
      $schema: SCHEMA,
      title: heading(
        TITLE,
        present
          .map(
            (status) =>
              `${STATUS_LOOKS[status].sign} ${status} ${data.filter((cell) => cell.status === status).length}`,
          )
          .join(' · '),
        note,
      ),
      data: {name: 'cells', values: data.map((datum) => ({...datum}))},
      width: {step: 22},
      height: {step: 22},
      encoding: {
        x: {
          field: 'column',
          type: 'nominal',
          title: null,
          axis: {orient: 'bottom', labelAngle: -50, labelColor: INK, labelOverlap: false, labelLimit: 220, grid: false},
        },
        y: {field: 'panel', type: 'nominal', title: null, axis: {labelLimit: 420, labelOverlap: false}},
      },
      layer: [
        {
          mark: {type: 'rect', cornerRadius: 3, stroke: PAPER, strokeWidth: 2},
          encoding: {
            color: {
              field: 'status',
              type: 'nominal',
              title: null,
              legend: null,
              scale: {
                domain: [...present, ...unknown],
                range: [...present.map((status) => STATUS_LOOKS[status].color), ...unknown.map(() => '#8c959f')],
              },
            },
            tooltip: [...CELL_TOOLTIP, {field: 'ends', type: 'nominal', title: 'ended'}],
          },
        },
        {
          mark: {type: 'text', fontSize: 12, fontWeight: 600, color: '#ffffff'},
          encoding: {text: {field: 'sign', type: 'nominal'}},
        },
      ],
      config: CONFIG,
    };
  },
};
