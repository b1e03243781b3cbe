import type {ResultRow} from '../../harness/contract/columns.ts';
import type {ReportPrice} from '../../harness/contract/report-data.ts';
import {ratioAxis, scaleTitle} from '../axes.ts';
import {cellData} from '../cell.ts';
import type {Chart} from '../chart.ts';
import {firstCells, withoutRow, withStatus} from '../panels.ts';
import {axisTitle, clean, withInterval} from '../text.ts';
import {MUTED} from '../theme.ts';
import {type Position, scatter} from './scatter.ts';

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

const HOUR_S = 3600;
const MILLION = 1e6;

/** What a million tokens of output cost: as its run wrote down, or else at the price that the report was given. */
function costOf(row: ResultRow, price: ReportPrice | undefined): {usd: number | null; date: string | null} {
  const {usd_per_1m_output_tokens: usd, price_date: date, output_tokens_per_s: speed} = row;
  if (usd !== null || price === undefined || speed === null || speed <= 0) return {usd, date};
  return {usd: (price.usdPerHour / (HOUR_S * speed)) * MILLION, date: price.date};
}

/** Price of output against p90 of a request: only of devices that have a price; never a guessed one. */
export const cost: Chart = {
  id: 'cost-latency',
  title: TITLE,
  about:
    'Down and left is better. The grey steps are the front: for every point above them another cell is cheaper and faster. Thin strokes are 95 % intervals. Price of the device while it is busy; idle time, load time and minimum billing are in bench decide.',
  absent: 'No cell has both a price and a p90: prices come from matrices/prices.yaml, p90 takes 29 requests.',
  spec: ({rows, prices = []}) => {
    const today = new Map(prices.map((price) => [price.device, price]));
    const priced = cellData(rows).flatMap((cell) => {
      const {row} = cell;
      const {latency_ms_p90: p90} = row;
      const {usd, date} = costOf(row, today.get(row.device ?? ''));
      if (usd === null || p90 === null || usd <= 0 || p90 <= 0) return [];
      const {latency_ms_p90_ci_low: p90Low, latency_ms_p90_ci_high: p90High} = row;
      // A price is divided by a speed: the upper bound of the speed is the lower one of the cost.
      const speed = row.output_tokens_per_s;
      const bound = (at: number | null): number | null =>
        at === null || at <= 0 || speed === null || speed <= 0 ? null : (usd * speed) / at;
      const [usdLow, usdHigh] = [bound(row.output_tokens_per_s_ci_high), bound(row.output_tokens_per_s_ci_low)];
      const words = `${withInterval(usd, usdLow, usdHigh)} USD, ${withInterval(p90, p90Low, p90High)} ms, price of ${clean(date, 20) || 'an unknown date'}`;
      return [
        {
          ...withoutRow(cell),
          usd,
          usdLow: usdHigh === null ? null : usdLow,
          usdHigh: usdLow === null ? null : usdHigh,
          p90,
          p90Low: p90High === null ? null : p90Low,
          p90High: p90Low === null ? null : p90High,
          figure: withStatus(cell, words),
          at: {x: usd, y: p90},
        },
      ];
    });
    if (priced.length === 0) return null;
    const front = paretoFront(
      priced,
      ({usd}) => usd,
      ({p90}) => p90,
    );
    const isFront = new Set(front.map(({key}) => key));
    // The front is never among what is left out.
    const {data, note} = firstCells([...front, ...priced.filter(({key}) => !isFront.has(key))]);
    const [across, up] = [
      ratioAxis(data.flatMap(({usd, usdLow, usdHigh}) => [usd, usdLow, usdHigh])),
      ratioAxis(data.flatMap(({p90, p90Low, p90High}) => [p90, p90Low, p90High])),
    ];
    const axes: Position = {
      x: {
        field: 'usd',
        type: 'quantitative',
        title: scaleTitle(axisTitle('usd_per_1m_output_tokens'), across),
        ...across,
      },
      y: {field: 'p90', type: 'quantitative', title: scaleTitle(axisTitle('latency_ms_p90'), up), ...up},
    };
    const interval = {type: 'rule' as const, color: MUTED, opacity: 0.5};
    return scatter({
      title: TITLE,
      notes: [`${front.length} of ${priced.length} cells are on the front; those are named.`, note],
      data: data.map((one) => ({...one, named: isFront.has(one.key)})),
      encoding: axes,
      figureTitle: 'USD per 1M output tokens, p90',
      below: [
        {
          data: {name: 'front', values: front.map(({usd, p90}) => ({usd, p90}))},
          mark: {type: 'line', interpolate: 'step-after', color: MUTED, strokeDash: [4, 3]},
          encoding: axes,
        },
        {mark: interval, encoding: {x: {...axes.x, field: 'usdLow'}, x2: {field: 'usdHigh'}, y: axes.y}},
        {mark: interval, encoding: {x: axes.x, y: {...axes.y, field: 'p90Low'}, y2: {field: 'p90High'}}},
      ],
    });
  },
};
