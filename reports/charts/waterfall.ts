import type {ReportAttribution} from '../../harness/contract/report-data.ts';
import {formatSignificant} from '../../harness/contract/units.ts';
import {cellData, rowKey} from '../cell.ts';
import type {Chart} from '../chart.ts';
import {CELL_TOOLTIP, cellPanels, ENDED_LAYER, figureLayer, firstCells, withoutRow} from '../panels.ts';
import {clean} from '../text.ts';
import {BLUE, GREEN, MUTED, PALETTE} from '../theme.ts';

const TITLE = 'Why a quantized cell is faster or slower than 16 bit';
const MOST = 12;

/** Speed of a cell as a product of factors, each bar beginning where the one before it ends. */
export const waterfall: Chart = {
  id: 'attribution',
  title: TITLE,
  about:
    'Each bar multiplies the speed, starting from 16 bit in transformers: changing the engine (runtime), reading fewer bytes (format), the choice of the routine (kernel), and what remains (rest). Green is faster, red is slower; the axis is logarithmic, so that equal factors are equally long.',
  absent: 'No quantized cell has the 16-bit controls that tell its factors apart.',
  spec: ({rows, attributions = []}) => {
    const cells = new Map(cellData(rows).map((cell) => [cell.key, cell]));
    const effect = (one: ReportAttribution): number =>
      one.factors.reduce((sum, {ratio}) => sum + Math.abs(Math.log(ratio ?? 1)), 0);
    const known = attributions.filter(
      (one) => cells.has(rowKey(one.row)) && one.factors.some(({ratio}) => ratio !== null && ratio !== 1),
    );
    if (known.length === 0) return null;
    const {data: shown, note} = firstCells(
      [...known].sort((a, b) => effect(b) - effect(a) || (rowKey(a.row) < rowKey(b.row) ? -1 : 1)),
      MOST,
      'cells and phases, by the size of their factors',
    );
    const data = shown.flatMap((one) => {
      const cell = cells.get(rowKey(one.row));
      if (cell === undefined) return [];
      const base = {...withoutRow(cell), panel: `${one.phase} · ${cell.label} · ${cell.panel}`};
      let reached = 1;
      const bars = one.factors.map(({name, ratio, low, high, note: why}) => {
        const from = reached;
        if (ratio !== null && ratio > 0) reached *= ratio;
        const interval =
          low === null || high === null || low === high
            ? ''
            : ` (${formatSignificant(low)}–${formatSignificant(high)})`;
        return {
          ...base,
          label: name,
          from: ratio === null ? null : from,
          to: ratio === null ? null : reached,
          direction: ratio === null || ratio === 1 ? 'same' : ratio > 1 ? 'faster' : 'slower',
          figure: ratio === null ? '' : `× ${formatSignificant(ratio)}${interval}`,
          ended: ratio === null ? `not measured: ${clean(why, 80)}` : '',
          why: clean(why),
        };
      });
      const total = one.total?.ratio ?? null;
      return [
        ...bars,
        {
          ...base,
          label: 'all together',
          from: total === null ? null : 1,
          to: total,
          direction: 'total',
          figure: total === null ? '' : `× ${formatSignificant(total)}`,
          ended: total === null ? 'not measured: 16 bit in transformers' : '',
          why: 'measured directly: the cell ÷ 16 bit in transformers',
        },
      ];
    });
    const values = [1, ...data.flatMap(({from, to}) => [from, to])].filter(
      (value): value is number => value !== null && value > 0,
    );
    const scale = {
      type: 'log' as const,
      base: 2,
      domain: [Math.min(0.5, ...values), Math.max(2, ...values)],
      nice: true,
    };
    const x = {type: 'quantitative' as const, title: 'speed ÷ speed of 16 bit', scale, axis: {format: '~g'}};
    return cellPanels({
      title: TITLE,
      notes: ['Factors multiply from the top down.', note],
      data,
      layers: [
        {
          mark: {type: 'rule', color: MUTED, opacity: 0.6, strokeDash: [3, 3]},
          encoding: {x: {...x, datum: 1}, y: {value: 0}, y2: {value: 'height'}},
        },
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
        ENDED_LAYER,
        figureLayer(),
      ],
    });
  },
};
