import {formatSignificant} from '../../harness/contract/units.ts';
import {cellData} from '../cell.ts';
import type {Chart} from '../chart.ts';
import {firstCells, ratioAxis, withoutRow} from '../panels.ts';
import {axisTitle} from '../text.ts';
import {MUTED} from '../theme.ts';
import {scatter} from './scatter.ts';

const TITLE = 'Quality against speed';

/** Share of right answers against output speed, with the interval of the share. */
export const qualitySpeed: Chart = {
  id: 'quality-speed',
  title: TITLE,
  about:
    'Up and right is better. The upright line of a point is the 95 % interval of its quality: where two overlap, the answers do not tell the formats apart.',
  absent: 'No row has a quality: random weights have none; it takes real weights and a workload with expected answers.',
  spec: ({rows}) => {
    const {data, note} = firstCells(
      cellData(rows).flatMap((cell) => {
        const {
          quality_value: quality,
          quality_ci_low: low,
          quality_ci_high: high,
          output_tokens_per_s: speed,
        } = cell.row;
        if (quality === null || speed === null || speed <= 0) return [];
        const interval = low === null || high === null ? '' : ` (${formatSignificant(low)}–${formatSignificant(high)})`;
        const figure = `${formatSignificant(quality)}${interval} of ${cell.row.quality_n ?? '–'} answers, ${formatSignificant(speed)} tokens/s`;
        return [{...withoutRow(cell), quality, low, high, speed, figure, named: true}];
      }),
    );
    if (data.length === 0) return null;
    const least = Math.min(...data.map(({quality, low}) => low ?? quality));
    const most = Math.max(...data.map(({quality, high}) => high ?? quality));
    const scale = {domain: [Math.max(0, least - 0.02), Math.min(1, most + 0.02)], nice: true, zero: false};
    const x = {
      field: 'speed',
      type: 'quantitative',
      title: axisTitle('output_tokens_per_s'),
      ...ratioAxis(data.map(({speed}) => speed)),
    } as const;
    const y = {
      type: 'quantitative',
      title: axisTitle('quality_value', 'share of right answers').replace(' value', ''),
      scale,
    } as const;
    return scatter({
      title: TITLE,
      notes: [note],
      data,
      encoding: {x, y: {...y, field: 'quality'}},
      figureTitle: 'quality, speed',
      below: [{mark: {type: 'rule', color: MUTED}, encoding: {x, y: {...y, field: 'low'}, y2: {field: 'high'}}}],
    });
  },
};
