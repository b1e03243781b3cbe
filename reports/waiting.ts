import type {ResultRow} from '../harness/contract/columns.ts';
import {type Cell, cellData} from './cell.ts';
import {WAITING} from './panels.ts';

/**
 * Cells of devices that have run, and one cell for each device and model where all cells still wait: a matrix names many
 * devices, and a chart of figures has nothing to say of most of them. Which cells wait is in the chart of coverage.
 */
export function apart(cells: readonly Cell[]): {readonly ran: readonly Cell[]; readonly waiting: readonly Cell[]} {
  const placeOf = ({row}: Cell): string => JSON.stringify([row.device, row.model]);
  const begun = new Set(cells.filter(({status}) => status !== 'waiting').map(placeOf));
  const places = new Map<string, Cell[]>();
  for (const cell of cells) {
    const place = placeOf(cell);
    if (begun.has(place)) continue;
    const known = places.get(place);
    if (known === undefined) places.set(place, [cell]);
    else known.push(cell);
  }
  const waiting = [...places.values()].flatMap((alike): Cell[] => {
    const [first] = alike;
    if (first === undefined) return [];
    const count = `${alike.length} ${alike.length === 1 ? 'cell' : 'cells'}`;
    const label = [first.device, first.model, count].filter((part) => part !== '').join(' · ');
    return [
      {
        ...first,
        panel: WAITING,
        label,
        format: '',
        runner: '',
        kernel: '',
        workload: '',
        caveats: '',
        ended: 'waiting',
      },
    ];
  });
  return {ran: cells.filter((cell) => begun.has(placeOf(cell))), waiting};
}

const remembered = new WeakMap<readonly ResultRow[], readonly Cell[]>();

/** More devices that wait than this are one line together: every chart of figures would end with a list of them. */
const MOST_WAITING = 3;

/** One line for all: how many there are, and which. */
function together(waiting: readonly Cell[], count: number): readonly Cell[] {
  const [first] = waiting;
  if (first === undefined || waiting.length <= MOST_WAITING) return waiting;
  const devices = [...new Set(waiting.map(({device}) => device))];
  const label = `${devices.length} ${devices.length === 1 ? 'device' : 'devices'} · ${count} cells`;
  return [{...first, model: '', device: '', label, ended: `waiting: ${devices.join(', ')}`}];
}

/** Cells of charts that show figures: those that ran, then a line for each device that waits, or for all of them. */
export function foldedCells(rows: readonly ResultRow[]): readonly Cell[] {
  const known = remembered.get(rows);
  if (known !== undefined) return known;
  const all = cellData(rows);
  const {ran, waiting} = apart(all);
  const cells = [...ran, ...together(waiting, all.length - ran.length)];
  remembered.set(rows, cells);
  return cells;
}
