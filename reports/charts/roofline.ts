import {formatScaled, formatSignificant} from '../../harness/contract/units.ts';
import {extent, logAxis, shareOf} from '../axes.ts';
import {cellData} from '../cell.ts';
import type {Chart} from '../chart.ts';
import {firstCells, withoutRow, withStatus} from '../panels.ts';
import {axisTitle} from '../text.ts';
import {MUTED} from '../theme.ts';
import {type Position, SCATTER_HEIGHT, scatter} from './scatter.ts';

const TITLE = 'Decode against the measured memory bandwidth';
const GB = 1e9;
/** Between the names of two ceilings, in pixels. */
const NAME_HEIGHT = 13;

/** Decode steps a second over the bytes that a step reads; the line is all that the memory can give. */
export const roofline: Chart = {
  id: 'roofline',
  title: TITLE,
  about:
    'A decode step reads all weights once. On the line, memory is the limit; a point below it loses time elsewhere: unpacking, launching, waiting. The upright stroke of a point is the 95 % interval of its speed. Both axes are logarithmic.',
  absent: 'No cell has both a decode speed and a measured memory bandwidth.',
  spec: ({rows}) => {
    const {data, note} = firstCells(
      cellData(rows).flatMap((cell) => {
        const {bandwidth_ratio: ratio, memory_bandwidth_bytes_per_s: bandwidth, bytes_per_token: bytes} = cell.row;
        if (ratio === null || bandwidth === null || bytes === null || ratio <= 0 || bytes <= 0 || bandwidth <= 0) {
          return [];
        }
        const {
          decode_tokens_per_s: speed,
          decode_tokens_per_s_ci_low: low,
          decode_tokens_per_s_ci_high: high,
        } = cell.row;
        const gigabytes = bytes / GB;
        const steps = (ratio * bandwidth) / bytes;
        // Tokens a second of all sequences; a step makes one token of each.
        const scaled = (tokens: number | null): number | null =>
          tokens === null || tokens <= 0 || speed === null || speed <= 0 ? null : (steps * tokens) / speed;
        const [least, most] = [scaled(low), scaled(high)];
        return [
          {
            ...withoutRow(cell),
            gigabytes,
            steps,
            low: most === null ? null : least,
            high: least === null ? null : most,
            bandwidth,
            figure: withStatus(
              cell,
              `${formatSignificant(steps)} steps/s, ${formatSignificant(100 * ratio)} % of ${formatScaled(bandwidth, 'B/s')}`,
            ),
            named: true,
            at: {x: gigabytes, y: steps},
          },
        ];
      }),
    );
    if (data.length === 0) return null;
    // Threads and runs of one device differ a little: its ceiling is the most that was measured.
    const ceilings = new Map<string, number>();
    for (const {device, bandwidth} of data) ceilings.set(device, Math.max(bandwidth, ceilings.get(device) ?? 0));
    const [smallest, largest] = extent(data.map(({gigabytes}) => gigabytes)) ?? [1, 1];
    const ends: [number, number] = [smallest / 1.5, largest * 1.5];
    const stepsAt = (bandwidth: number, gigabytes: number): number => bandwidth / GB / gigabytes;
    const [lowest, highest] = extent([
      ...data.flatMap(({steps, low, high}) => [steps, low, high]),
      ...[...ceilings.values()].flatMap((bandwidth) => ends.map((gigabytes) => stepsAt(bandwidth, gigabytes))),
    ]) ?? [1, 1];
    const up = logAxis([lowest / 1.3, highest * 1.1]);
    // Devices of like bandwidth end at one place: their names then stand one below the other.
    let free = Number.NEGATIVE_INFINITY;
    const lines = [...ceilings]
      .sort(([, a], [, b]) => b - a)
      .flatMap(([device, bandwidth]) => {
        const at = (1 - shareOf(stepsAt(bandwidth, ends[1]), up.scale)) * SCATTER_HEIGHT;
        const y = Math.max(at, free);
        free = y + NAME_HEIGHT;
        return ends.map((gigabytes, end) => ({
          device,
          gigabytes,
          steps: stepsAt(bandwidth, gigabytes),
          name: end === 1 ? `${device}: ${formatScaled(bandwidth, 'B/s')}` : '',
          dy: y - at,
        }));
      });
    const axes: Position = {
      x: {
        field: 'gigabytes',
        type: 'quantitative',
        title: `${axisTitle('bytes_per_token', 'GB')}, logarithmic`,
        ...logAxis(ends),
      },
      y: {
        field: 'steps',
        type: 'quantitative',
        title: 'decode steps per second, logarithmic',
        ...up,
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
          mark: {type: 'text', align: 'left', dx: 5, dy: {expr: 'datum.dy'}, fontSize: 10, color: MUTED},
          encoding: {...axes, text: {field: 'name', type: 'nominal'}},
        },
        {
          mark: {type: 'rule', color: MUTED},
          encoding: {x: axes.x, y: {...axes.y, field: 'low'}, y2: {field: 'high'}},
        },
      ],
    });
  },
};
