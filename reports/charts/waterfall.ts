import type {ReportAttribution} from '../../harness/contract/report-data.ts';
import {formatSignificant} from '../../harness/contract/units.ts';
import {positive, timesAxis} from '../axes.ts';
import {cellData, rowKey} from '../cell.ts';
import type {Chart} from '../chart.ts';
import {
  axisSide,
  CELL_TOOLTIP,
  cellPanels,
  ENDED_LAYER,
  figureLayer,
  firstCells,
  unity,
  withoutRow,
} from '../panels.ts';
import {clean, withInterval} from '../text.ts';
import {BLUE, GREEN, INK, PALETTE} from '../theme.ts';

const TITLE = 'Why a quantized cell is faster or slower than 16 bit';
const MOST = 12;

/** How far a cell is from its control by everything that tells them apart. */
const effect = (one: ReportAttribution): number =>
  one.factors.reduce((sum, {ratio}) => sum + Math.abs(Math.log(positive(ratio) ?? 1)), 0);

/** Speed of a cell as a product of factors, each bar beginning where the one before it ends. */
export const waterfall: Chart = {
  id: 'attribution',
  title: TITLE,
  about:
    'Each bar multiplies the speed, starting from 16 bit in transformers: changing the engine (runtime), reading fewer bytes (format), the choice of the routine (kernel), and what remains (rest). Green with ↑ is faster, red with ↓ is slower; the thin stroke is the 95 % interval. The axis is logarithmic, so that equal factors are equally long.',
  absent: 'No quantized cell has the 16-bit controls that tell its factors apart.',
  spec: ({rows, attributions = []}) => {
    const cells = new Map(cellData(rows).map((cell) => [cell.key, cell]));
    const known = attributions.filter(
      (one) => cells.has(rowKey(one.row)) && one.factors.some(({ratio}) => positive(ratio) !== null && ratio !== 1),
    );
    if (known.length === 0) return null;
    const {data: shown, note} = firstCells(
      [...known].sort(
        (a, b) =>
          effect(b) - effect(a) ||
          (cells.get(rowKey(a.row))?.order ?? 0) - (cells.get(rowKey(b.row))?.order ?? 0) ||
          (a.phase < b.phase ? -1 : 1),
      ),
      MOST,
      'cells and phases, by the size of their factors',
      'bench compare',
    );
    const data = shown.flatMap((one) => {
      const cell = cells.get(rowKey(one.row));
      if (cell === undefined) return [];
      const base = {...withoutRow(cell), panel: `${one.phase} · ${cell.label} · ${cell.panel}`};
      let reached = 1;
      const bars = one.factors.map(({name, ratio: given, low, high, note: why}) => {
        const ratio = positive(given);
        const from = reached;
        if (ratio !== null) reached *= ratio;
        const isWide = low !== null && high !== null && low > 0 && high > low;
        return {
          ...base,
          label: clean(name, 40),
          from: ratio === null ? null : from,
          to: ratio === null ? null : reached,
          low: ratio === null || !isWide ? null : from * low,
          high: ratio === null || !isWide ? null : from * high,
          direction: ratio === null || ratio === 1 ? 'same' : ratio > 1 ? 'faster' : 'slower',
          figure: ratio === null ? '' : `${sign(ratio)} × ${withInterval(ratio, low, high)}`,
          ended: ratio === null ? `not measured: ${clean(why, 80)}` : '',
          why: clean(why),
        };
      });
      const total = positive(one.total?.ratio ?? null);
      const [low, high] = [one.total?.low ?? null, one.total?.high ?? null];
      return [
        ...bars,
        {
          ...base,
          label: 'all together',
          from: total === null ? null : 1,
          to: total,
          low: total === null ? null : positive(low),
          high: total === null ? null : positive(high),
          direction: 'total',
          figure: total === null ? '' : `${sign(total)} × ${withInterval(total, low, high)}`,
          ended: total === null ? 'not measured: 16 bit in transformers' : '',
          why: 'measured directly: the cell ÷ 16 bit in transformers',
        },
      ];
    });
    const axes = timesAxis(data.flatMap(({from, to, low, high}) => [from, to, low, high]));
    const x = {
      type: 'quantitative' as const,
      title: 'speed ÷ speed of 16 bit',
      scale: axes.scale,
      axis: {...axes.axis, ...axisSide(data.length)},
    };
    return cellPanels({
      title: TITLE,
      notes: ['Factors multiply from the top down; ↑ is faster, ↓ slower.', note],
      data,
      below: unity(x),
      layers: [
        {
          mark: {type: 'bar', height: {band: 0.6}, minBandSize: 2},
          encoding: {
            x: {...x, field: 'from'},
            x2: {field: 'to'},
            color: {
              field: 'direction',
              type: 'nominal',
              legend: null,
              scale: {domain: ['faster', 'slower', 'same', 'total'], range: [GREEN, PALETTE[4], '#8c959f', BLUE]},
            },
            tooltip: [
              ...CELL_TOOLTIP,
              {field: 'figure', type: 'nominal', title: 'factor'},
              {field: 'why', type: 'nominal', title: 'what was compared'},
            ],
          },
        },
        {
          mark: {type: 'rule', strokeWidth: 1.5, color: INK},
          encoding: {x: {...x, field: 'low'}, x2: {field: 'high'}},
        },
        ENDED_LAYER,
        figureLayer(),
      ],
    });
  },
};

/** The direction of a factor, for whoever does not see its colour. */
function sign(ratio: number): string {
  return formatSignificant(ratio) === '1.00' ? '=' : ratio > 1 ? '↑' : '↓';
}
