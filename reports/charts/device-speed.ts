import {COLUMNS} from '../../harness/contract/columns.ts';
import {formatSignificant} from '../../harness/contract/units.ts';
import {ratioAxis, scaleTitle} from '../axes.ts';
import type {Chart} from '../chart.ts';
import {
  axisSide,
  byNominal,
  CELL_TOOLTIP,
  cellPanels,
  figureLayer,
  firstCells,
  type Layers,
  MAX_LINES,
  withoutRow,
} from '../panels.ts';
import {ahead, type Comparison, comparisons, type Measure} from '../side-by-side.ts';
import {axisTitle, withInterval} from '../text.ts';
import {PAPER} from '../theme.ts';

/** Room of a line over which its devices are spread, so that their intervals do not cover each other. */
const SPREAD = 9;
const WORDS = 240;

/** Who is ahead on a line, and whether the intervals of the first two say so. */
function verdict(one: Comparison, measure: Measure): string {
  const found = ahead(one, measure);
  if (found === null) return '';
  const {first, next, times, apart} = found;
  if (!apart) return 'not told apart';
  return `${first.device} ${formatSignificant(times)}× ${next.device}`;
}

/** The same format in the same engine on every device that ran it: the question that several hosts are measured for. */
function deviceChart(id: string, title: string, measure: Measure): Chart {
  return {
    id,
    title,
    about:
      'A line is one format in one engine, a mark one device: colour and shape tell which, the stroke is its 95 % interval. On the right, how many times as fast the first is as the next; “not told apart” where their intervals touch.',
    absent: 'No cell ran on two devices.',
    spec: ({rows}) => {
      const {data: lines, note} = firstCells(comparisons(rows, measure), MAX_LINES, 'lines');
      if (lines.length === 0) return null;
      const cells = lines.flatMap((one) =>
        one.cells.map((cell, index) => {
          const {row} = cell;
          const [value, low, high] = [row[measure] ?? 0, row[`${measure}_ci_low`], row[`${measure}_ci_high`]];
          return {
            ...withoutRow(cell),
            panel: one.panel,
            // On every device the same: what names the cell itself is in the tooltip.
            label: one.label,
            cell: cell.label,
            value,
            low: high === null ? null : low,
            high: low === null ? null : high,
            speed: withInterval(value, low, high),
            figure: index === 0 ? verdict(one, measure) : '',
          };
        }),
      );
      const devices = byNominal(
        'device',
        cells.map(({device}) => device),
      );
      const names = devices.color.scale.domain;
      // A number, because no name from a file becomes part of an expression.
      const data = cells.map((cell) => ({...cell, lane: names.indexOf(cell.device)}));
      const axes = ratioAxis(data.flatMap(({value, low, high}) => [value, low, high]));
      const x = {
        type: 'quantitative' as const,
        title: scaleTitle(axisTitle(measure), axes),
        scale: axes.scale,
        axis: {...axes.axis, ...axisSide(lines.length)},
      };
      const marks = names.flatMap((_, index): Layers => {
        const yOffset = names.length < 2 ? 0 : SPREAD * (index / (names.length - 1) - 0.5);
        const transform = [{filter: `datum.lane === ${index}`}];
        return [
          {
            transform,
            mark: {type: 'rule', strokeWidth: 2, opacity: 0.75, yOffset},
            encoding: {x: {...x, field: 'low'}, x2: {field: 'high'}, color: devices.color},
          },
          {
            transform: [...transform],
            mark: {type: 'point', filled: true, size: 60, opacity: 1, stroke: PAPER, strokeWidth: 0.7, yOffset},
            encoding: {
              x: {...x, field: 'value'},
              ...devices,
              tooltip: [
                ...CELL_TOOLTIP.map((one) => (one.field === 'label' ? {...one, field: 'cell' as const} : one)),
                {field: 'speed', type: 'nominal', title: axisTitle(measure)},
              ],
            },
          },
        ];
      });
      return cellPanels({
        title,
        notes: [`Median and 95 % interval, ${COLUMNS[measure].unit}.`, note],
        data,
        sameLine: (a, b) => a.label === b.label && a.panel === b.panel,
        figureTitle: 'the first, against the next',
        layers: [...marks, figureLayer(undefined, WORDS)],
      });
    },
  };
}

export const deviceDecode = deviceChart('device-decode', 'Device by device: decode', 'decode_tokens_per_s');
export const devicePrefill = deviceChart('device-prefill', 'Device by device: prefill', 'prefill_tokens_per_s');
