import {cellData} from '../cell.ts';
import {isWrapped, MAX_SQUARES, mapAxes, squares, WRAPPED_NOTE} from '../cell-map.ts';
import type {Chart} from '../chart.ts';
import {CELL_TOOLTIP, firstCells, heading, SCHEMA, withoutRow} from '../panels.ts';
import {CONFIG, PAPER, STATUS_LOOKS} from '../theme.ts';

const TITLE = 'What was measured, and what was not';
const SQUARE = 22;
const UNKNOWN = {color: '#8c959f', sign: '?'} as const;
type Known = keyof typeof STATUS_LOOKS;

const isKnown = (status: string): status is Known => Object.hasOwn(STATUS_LOOKS, status);

/** Every cell of the matrix with how it ended: nothing that was planned is missing from a report. */
export const coverage: Chart = {
  id: 'coverage',
  title: TITLE,
  about: 'One square a cell: its colour and its sign say how it ended. A device that has not run yet waits.',
  absent: 'There are no rows.',
  spec: ({rows}) => {
    if (rows.length === 0) return null;
    const {data: shown, note} = firstCells(cellData(rows), MAX_SQUARES);
    const data = squares(shown.map(withoutRow)).map((cell) => ({
      ...cell,
      sign: (isKnown(cell.status) ? STATUS_LOOKS[cell.status] : UNKNOWN).sign,
      ends: cell.status === 'ok' ? 'ok' : cell.ended,
    }));
    const known = Object.keys(STATUS_LOOKS).filter(isKnown);
    const present = known.filter((status) => rows.some((row) => row.status === status));
    const unknown = [...new Set(data.map(({status}) => status))].filter((status) => !isKnown(status)).sort();
    const count = (fits: (status: string) => boolean): number => rows.filter((row) => fits(row.status ?? '')).length;
    const legend = [
      ...present.map((status) => `${STATUS_LOOKS[status].sign} ${count((one) => one === status)} ${status}`),
      ...(unknown.length === 0 ? [] : [`${UNKNOWN.sign} ${count((one) => !isKnown(one))} other`]),
    ];
    return {
      $schema: SCHEMA,
      title: heading(TITLE, legend.join(' · '), isWrapped(data) ? WRAPPED_NOTE : null, note),
      data: {name: 'cells', values: data.map((datum) => ({...datum}))},
      width: {step: SQUARE},
      height: {step: SQUARE},
      encoding: mapAxes(data, SQUARE),
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
                range: [...present.map((status) => STATUS_LOOKS[status].color), ...unknown.map(() => UNKNOWN.color)],
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
