import type {ResultRow} from '../harness/contract/columns.ts';
import {type Cell, cellData} from './cell.ts';

/** Heading of what has not run. */
export const WAITING = 'Waiting: nothing was measured there yet';

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
    return [{...first, panel: WAITING, label, format: '', runner: '', kernel: '', workload: '', caveats: ''}];
  });
  return {ran: cells.filter((cell) => begun.has(placeOf(cell))), waiting};
}

const remembered = new WeakMap<readonly ResultRow[], readonly Cell[]>();

/** Cells of charts that show figures: those that ran, then a line for each device that waits. */
export function foldedCells(rows: readonly ResultRow[]): readonly Cell[] {
  const known = remembered.get(rows);
  if (known !== undefined) return known;
  const {ran, waiting} = apart(cellData(rows));
  const cells = [...ran, ...waiting];
  remembered.set(rows, cells);
  return cells;
}
