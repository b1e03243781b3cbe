import {formatScaled, formatSignificant} from '../../harness/contract/units.ts';
import {cellData} from '../cell.ts';
import type {Chart} from '../chart.ts';
import {firstCells, ratioAxis, withoutRow} from '../panels.ts';
import {axisTitle} from '../text.ts';
import {MUTED} from '../theme.ts';
import {type Position, scatter} from './scatter.ts';

const TITLE = 'Decode against the measured memory bandwidth';
const GB = 1e9;

/** Decode steps a second over the bytes that a step reads; the line is all that the memory can give. */
export const roofline: Chart = {
  id: 'roofline',
  title: TITLE,
  about:
    'A decode step reads all weights once. On the line, memory is the limit; a point below it loses time elsewhere: unpacking, launching, waiting. Both axes are logarithmic.',
  absent: 'No cell has both a decode speed and a measured memory bandwidth.',
  spec: ({rows}) => {
    const {data, note} = firstCells(
      cellData(rows).flatMap((cell) => {
        const {bandwidth_ratio: ratio, memory_bandwidth_bytes_per_s: bandwidth, bytes_per_token: bytes} = cell.row;
        if (ratio === null || bandwidth === null || bytes === null || ratio <= 0 || bytes <= 0) return [];
        const figure = `${formatSignificant(100 * ratio)} % of ${formatScaled(bandwidth, 'B/s')}`;
        return [
          {
            ...withoutRow(cell),
            gigabytes: bytes / GB,
            steps: (ratio * bandwidth) / bytes,
            bandwidth,
            figure,
            named: true,
          },
        ];
      }),
    );
    if (data.length === 0) return null;
    // Threads and runs of one device differ a little: its ceiling is the most that was measured.
    const ceilings = new Map<string, number>();
    for (const {device, bandwidth} of data) ceilings.set(device, Math.max(bandwidth, ceilings.get(device) ?? 0));
    const sizes = data.map(({gigabytes}) => gigabytes);
    const ends = [Math.min(...sizes) / 1.5, Math.max(...sizes) * 1.5];
    const lines = [...ceilings].flatMap(([device, bandwidth]) =>
      ends.map((gigabytes, end) => ({
        device,
        gigabytes,
        steps: bandwidth / GB / gigabytes,
        name: end === 1 ? formatScaled(bandwidth, 'B/s') : '',
      })),
    );
    const steps = [...data.map((one) => one.steps), ...lines.map((one) => one.steps)];
    const heights = [Math.min(...steps), ratioAxis(steps).scale.domain[1]];
    const axes: Position = {
      x: {
        field: 'gigabytes',
        type: 'quantitative',
        title: axisTitle('bytes_per_token', 'GB'),
        scale: {type: 'log', domain: ends, nice: false},
        axis: {format: ',~r', tickCount: 5},
      },
      y: {
        field: 'steps',
        type: 'quantitative',
        title: 'decode steps per second',
        scale: {type: 'log', domain: heights, nice: false},
        axis: ratioAxis(steps).axis,
      },
    };
    return scatter({
      title: TITLE,
      notes: ['Line: measured read bandwidth ÷ bytes of a step. Points: what was reached.', note],
      data,
      encoding: axes,
      figureTitle: 'reached',
      below: [
        {
          data: {name: 'ceilings', values: lines},
          mark: {type: 'line', strokeWidth: 1.5, opacity: 0.8},
          encoding: {...axes, color: {field: 'device', type: 'nominal', title: 'device'}},
        },
        {
          data: {name: 'ceilings', values: lines},
          mark: {type: 'text', align: 'left', dx: 5, fontSize: 10, color: MUTED},
          encoding: {...axes, text: {field: 'name', type: 'nominal'}},
        },
      ],
    });
  },
};
