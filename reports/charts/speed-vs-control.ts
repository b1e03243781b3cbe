import {formatSignificant} from '../../harness/contract/units.ts';
import {timesAxis} from '../axes.ts';
import {cellData} from '../cell.ts';
import {cellMap} from '../cell-map.ts';
import type {Chart} from '../chart.ts';
import {controls, isQuantized, type TimesControl, timesControls} from '../controls.ts';
import {
  axisSide,
  CELL_TOOLTIP,
  cellPanels,
  ENDED_LAYER,
  figureLayer,
  gap,
  type Layers,
  MAX_LINES,
  unity,
  withoutRow,
  withStatus,
} from '../panels.ts';
import {withInterval} from '../text.ts';
import {BLUE, ORANGE, PAPER} from '../theme.ts';

const TITLE = 'Speed relative to the 16-bit control';

/** How many times as fast each quantized cell is as 16 bit in the same engine on the same device. */
export const speedVsControl: Chart = {
  id: 'speed-vs-control',
  title: TITLE,
  about:
    'Each cell against 16 bit in the same engine, on the same device, with the same workload and threads: more than 1 is faster, less is slower. Cells of one run are compared round by round, so that drift of the host cancels.',
  absent: 'No quantized cell has a measured 16-bit control in the same run and engine.',
  spec: ({rows, attributions}) => {
    const controlOf = controls(rows);
    const timesOf = timesControls(rows, attributions);
    let without = 0;
    const data = cellData(rows).flatMap((cell) => {
      const {row} = cell;
      const control = controlOf(row);
      if (control === null) {
        if (row.status === 'ok' && isQuantized(row)) without++;
        return [];
      }
      const decode = timesOf(row, 'decode_tokens_per_s');
      const prefill = timesOf(row, 'prefill_tokens_per_s');
      const measured = decode !== null || prefill !== null;
      const words = (one: TimesControl | null): string => (one === null ? '–' : `${formatSignificant(one.value)}×`);
      const whole = (one: TimesControl | null): string =>
        one === null ? '–' : withInterval(one.value, one.low, one.high, '×');
      return [
        {
          ...withoutRow(cell),
          ended: gap(cell, measured),
          decode: decode?.value ?? null,
          decodeLow: decode?.low ?? null,
          decodeHigh: decode?.high ?? null,
          prefill: prefill?.value ?? null,
          prefillLow: prefill?.low ?? null,
          prefillHigh: prefill?.high ?? null,
          value: decode?.value ?? prefill?.value ?? null,
          short: measured ? `${words(decode)} / ${words(prefill)}` : '',
          figure: measured ? withStatus(cell, `${words(decode)} / ${words(prefill)}`) : '',
          whole: measured ? `${whole(decode)} / ${whole(prefill)}` : '',
        },
      ];
    });
    if (!data.some(({value}) => value !== null)) return null;
    const missing =
      without === 0
        ? null
        : `${without} measured quantized ${without === 1 ? 'cell has no control in its run' : 'cells have no control in their run'}.`;
    if (data.length > MAX_LINES) {
      return cellMap({
        title: TITLE,
        notes: ['Decode / prefill; the shade is that of decode: blue is faster than 16 bit, orange slower.', missing],
        data: data.map((one) => ({...one, figure: one.whole})),
        figureTitle: 'decode / prefill ÷ control',
        around1: true,
      });
    }
    const axes = timesAxis(
      data.flatMap((one) => [one.decode, one.decodeLow, one.decodeHigh, one.prefill, one.prefillLow, one.prefillHigh]),
    );
    const x = {
      type: 'quantitative' as const,
      title: 'tokens/s ÷ tokens/s of the 16-bit control',
      scale: axes.scale,
      axis: {...axes.axis, ...axisSide(data.length)},
    };
    // One above the other: two intervals on one line would be read as one.
    const series = (name: 'decode' | 'prefill', color: string, shape: string, yOffset: number): Layers => [
      {
        mark: {type: 'rule', strokeWidth: 2, color, opacity: 0.75, yOffset},
        encoding: {x: {...x, field: `${name}Low`}, x2: {field: `${name}High`}},
      },
      {
        mark: {
          type: 'point',
          filled: true,
          size: 55,
          color,
          shape,
          opacity: 1,
          stroke: PAPER,
          strokeWidth: 0.7,
          yOffset,
        },
        encoding: {
          x: {...x, field: name},
          tooltip: [...CELL_TOOLTIP, {field: 'whole', type: 'nominal', title: 'decode / prefill ÷ control'}],
        },
      },
    ];
    return cellPanels({
      title: TITLE,
      notes: [
        'Blue circle above: decode. Orange square below: prefill. Strokes are 95 % intervals, the dashed line at 1× is the control.',
        missing,
      ],
      data,
      below: unity(x),
      figureTitle: 'decode / prefill',
      layers: [
        ...series('prefill', ORANGE, 'square', 4),
        ...series('decode', BLUE, 'circle', -4),
        ENDED_LAYER,
        figureLayer(),
      ],
    });
  },
};
