import {formatSignificant} from '../../harness/contract/units.ts';
import {linearAxis, positive, ratioAxis, scaleTitle} from '../axes.ts';
import {cellData} from '../cell.ts';
import type {Chart} from '../chart.ts';
import {firstCells, withoutRow, withStatus} from '../panels.ts';
import {axisTitle, withInterval} from '../text.ts';
import {MUTED} from '../theme.ts';
import {type Position, scatter} from './scatter.ts';

const TITLE = 'Quality against speed';

/** Share of right answers against output speed, with the interval of the share. */
export const qualitySpeed: Chart = {
  id: 'quality-speed',
  title: TITLE,
  about:
    'Up and right is better. The upright line of a point is the 95 % interval of its quality, the level one that of its speed: where two overlap, the answers do not tell the formats apart.',
  absent: 'No row has a quality: random weights have none; it takes real weights and a workload with expected answers.',
  spec: ({rows}) => {
    const {data, note} = firstCells(
      cellData(rows).flatMap((cell) => {
        const {row} = cell;
        const {quality_value: quality, output_tokens_per_s: speed} = row;
        if (quality === null || speed === null || speed <= 0) return [];
        const bounded = row.quality_ci_low !== null && row.quality_ci_high !== null;
        const timed = row.output_tokens_per_s_ci_low !== null && row.output_tokens_per_s_ci_high !== null;
        const figure = `${withInterval(quality, row.quality_ci_low, row.quality_ci_high)} of ${row.quality_n ?? 'an unknown number of'} answers, ${formatSignificant(speed)} tokens/s`;
        return [
          {
            ...withoutRow(cell),
            quality,
            low: bounded ? row.quality_ci_low : null,
            high: bounded ? row.quality_ci_high : null,
            speed,
            speedLow: timed ? positive(row.output_tokens_per_s_ci_low) : null,
            speedHigh: timed ? row.output_tokens_per_s_ci_high : null,
            figure: withStatus(cell, figure),
            named: true,
            at: {x: speed, y: quality},
          },
        ];
      }),
    );
    if (data.length === 0) return null;
    const least = Math.min(...data.map(({quality, low}) => low ?? quality));
    const most = Math.max(...data.map(({quality, high}) => high ?? quality));
    const across = ratioAxis(data.flatMap(({speed, speedLow, speedHigh}) => [speed, speedLow, speedHigh]));
    const axes: Position = {
      x: {
        field: 'speed',
        type: 'quantitative',
        title: scaleTitle(axisTitle('output_tokens_per_s'), across),
        ...across,
      },
      y: {
        field: 'quality',
        type: 'quantitative',
        title: axisTitle('quality_value', 'share of right answers').replace(' value', ''),
        ...linearAxis([Math.max(0, least - 0.02), most + 0.02], Math.max(1, most)),
      },
    };
    const interval = {type: 'rule' as const, color: MUTED};
    return scatter({
      title: TITLE,
      notes: [note],
      data,
      encoding: axes,
      figureTitle: 'quality, speed',
      below: [
        {mark: interval, encoding: {x: axes.x, y: {...axes.y, field: 'low'}, y2: {field: 'high'}}},
        {mark: interval, encoding: {x: {...axes.x, field: 'speedLow'}, x2: {field: 'speedHigh'}, y: axes.y}},
      ],
    });
  },
};
