import {formatSignificant} from '../../harness/contract/units.ts';
import {cellData} from '../cell.ts';
import type {Chart} from '../chart.ts';
import {firstCells, ratioAxis, withoutRow} from '../panels.ts';
import {axisTitle} from '../text.ts';
import {MUTED} from '../theme.ts';
import {scatter} from './scatter.ts';

const TITLE = 'Cost against latency';

/** The points that no other beats in both, from the cheapest on. */
export function paretoFront<T>(points: readonly T[], cost: (point: T) => number, time: (point: T) => number): T[] {
  const ordered = [...points].sort((a, b) => cost(a) - cost(b) || time(a) - time(b));
  const front: T[] = [];
  for (const point of ordered) {
    const last = front.at(-1);
    if (last === undefined || time(point) < time(last)) front.push(point);
  }
  return front;
}

/** Price of output against p90 of a request: only rows with a price; never a guessed one. */
export const cost: Chart = {
  id: 'cost-latency',
  title: TITLE,
  about:
    'Down and left is better. The grey steps are the front: for every point above them another cell is cheaper and faster. Price of the device while it is busy; idle time, load time and minimum billing are in bench decide.',
  absent: 'No row has both a price and a p90: prices come from matrices/prices.yaml, p90 takes 29 requests.',
  spec: ({rows}) => {
    const priced = cellData(rows).flatMap((cell) => {
      const {usd_per_1m_output_tokens: usd, latency_ms_p90: p90, price_date: date} = cell.row;
      if (usd === null || p90 === null || usd <= 0 || p90 <= 0) return [];
      return [
        {
          ...withoutRow(cell),
          usd,
          p90,
          figure: `${formatSignificant(usd)} USD, ${formatSignificant(p90)} ms, price of ${date ?? '–'}`,
        },
      ];
    });
    if (priced.length === 0) return null;
    const front = paretoFront(
      priced,
      ({usd}) => usd,
      ({p90}) => p90,
    );
    // The front is never among what is left out.
    const {data, note} = firstCells([...front, ...priced.filter((one) => !front.includes(one))]);
    const axes = {
      x: {
        field: 'usd',
        type: 'quantitative',
        title: axisTitle('usd_per_1m_output_tokens'),
        ...ratioAxis(data.map(({usd}) => usd)),
      },
      y: {
        field: 'p90',
        type: 'quantitative',
        title: axisTitle('latency_ms_p90'),
        ...ratioAxis(data.map(({p90}) => p90)),
      },
    } as const;
    return scatter({
      title: TITLE,
      notes: [`${front.length} of ${priced.length} cells are on the front; those are named.`, note],
      data: data.map((one) => ({...one, named: front.includes(one)})),
      encoding: axes,
      figureTitle: 'USD per 1M output tokens, p90',
      below: [
        {
          data: {name: 'front', values: front.map(({usd, p90}) => ({usd, p90}))},
          mark: {type: 'line', interpolate: 'step-after', color: MUTED, strokeDash: [4, 3]},
          encoding: axes,
        },
      ],
    });
  },
};
