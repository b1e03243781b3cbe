import type {RequestRow} from '../../harness/contract/columns.ts';
import {formatSignificant} from '../../harness/contract/units.ts';
import {linearAxis} from '../axes.ts';
import {cellData, rowKey} from '../cell.ts';
import type {Chart} from '../chart.ts';
import {axisSide, CELL_TOOLTIP, cellPanels, figureLayer, firstCells, unity, withoutRow} from '../panels.ts';
import {BLUE, ORANGE, PAPER} from '../theme.ts';

const TITLE = 'Request times, round by round';
const MOST_CELLS = 16;
const MOST_A_ROUND = 60;
const US_A_MS = 1000;

const middle = (sorted: readonly number[]): number =>
  ((sorted[Math.floor((sorted.length - 1) / 2)] ?? 0) + (sorted[Math.ceil((sorted.length - 1) / 2)] ?? 0)) / 2;

/** Evenly spaced ones of a sorted list: its ends stay. */
export function thinned<T>(sorted: readonly T[], most: number): T[] {
  if (sorted.length <= most) return [...sorted];
  return Array.from(
    {length: most},
    (_, index) => sorted[Math.round((index * (sorted.length - 1)) / (most - 1))],
  ).filter((one) => one !== undefined);
}

function byRound(requests: readonly RequestRow[]): Map<number, number[]> {
  const rounds = new Map<number, number[]>();
  for (const {round, latency_us: latency} of requests) {
    if (round === null || latency === null || latency <= 0) continue;
    const known = rounds.get(round);
    if (known === undefined) rounds.set(round, [latency / US_A_MS]);
    else known.push(latency / US_A_MS);
  }
  for (const times of rounds.values()) times.sort((a, b) => a - b);
  return new Map([...rounds].sort(([a], [b]) => a - b));
}

/** Every request of the cells whose rounds differ most: drift of the host shows as a shift from round to round. */
export const requestTimes: Chart = {
  id: 'request-times',
  title: TITLE,
  about:
    'One stroke a request, relative to the median of its cell; the diamond is the median of the round. Rounds of one cell lie over each other on a steady host; where they wander, the host drifted while it was measured.',
  absent: 'There is no requests.csv, or it has no request of these cells.',
  spec: ({rows, requests}) => {
    const byCell = new Map<string, RequestRow[]>();
    for (const request of requests) {
      const known = byCell.get(rowKey(request));
      if (known === undefined) byCell.set(rowKey(request), [request]);
      else known.push(request);
    }
    const cells = cellData(rows).flatMap((cell) => {
      const rounds = byRound(byCell.get(cell.key) ?? []);
      if (rounds.size === 0) return [];
      const medians = [...rounds.values()].map(middle);
      const all = middle([...rounds.values()].flat().sort((a, b) => a - b));
      return [{cell, rounds, all, drift: Math.max(...medians) / Math.min(...medians)}];
    });
    if (cells.length === 0) return null;
    const {data: shown, note} = firstCells(
      [...cells].sort((a, b) => b.drift - a.drift || a.cell.order - b.cell.order),
      MOST_CELLS,
      'cells, by how far their rounds differ',
    );
    const data = shown.flatMap(({cell, rounds, all, drift}) => {
      const wander = rounds.size < 2 ? 'One round' : `Rounds differ by ${(100 * (drift - 1)).toFixed(1)} %`;
      return [...rounds].flatMap(([round, times]) => {
        const base = {
          ...withoutRow(cell),
          // What is looked for stands first: long names may be cut.
          panel: `${wander}: ${cell.label} · ${cell.panel}`,
          label: `round ${round + 1} (${times.length})`,
          median: null as number | null,
          relative: null as number | null,
          // The cell is told apart by its requests; how it ended stands elsewhere.
          ended: '',
          figure: '',
          drift: wander,
        };
        return [
          ...thinned(times, MOST_A_ROUND).map((ms) => ({...base, relative: ms / all})),
          {...base, median: middle(times) / all, figure: `median ${formatSignificant(middle(times))} ms`},
        ];
      });
    });
    const values = data.flatMap(({relative, median}) => [relative, median]).filter((value) => value !== null);
    const axes = linearAxis([Math.min(0.95, ...values), Math.max(1.05, ...values)]);
    const x = {
      type: 'quantitative' as const,
      title: 'latency ÷ median latency of the cell',
      scale: axes.scale,
      axis: {...axes.axis, ...axisSide(data.filter(({median}) => median !== null).length)},
    };
    const tooltip = [...CELL_TOOLTIP, {field: 'drift', type: 'nominal', title: 'medians'} as const];
    return cellPanels({
      title: TITLE,
      notes: [
        'Blue strokes: requests; orange diamond: median of the round. In brackets the number of requests; of many, evenly spaced ones are drawn.',
        note,
      ],
      data,
      below: unity(x),
      layers: [
        {
          mark: {type: 'tick', color: BLUE, thickness: 1.2, opacity: 0.6, height: {band: 0.7}},
          encoding: {x: {...x, field: 'relative'}, tooltip},
        },
        {
          mark: {
            type: 'point',
            filled: true,
            shape: 'diamond',
            size: 60,
            color: ORANGE,
            opacity: 1,
            stroke: PAPER,
            strokeWidth: 0.5,
          },
          encoding: {x: {...x, field: 'median'}, tooltip},
        },
        figureLayer(),
      ],
    });
  },
};
