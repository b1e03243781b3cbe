import type {ResultRow} from '../../harness/contract/columns.ts';
import {controlFormat, FORMATS, type Format} from '../../harness/contract/format.ts';
import {formatSignificant} from '../../harness/contract/units.ts';
import {cellData} from '../cell.ts';
import type {Chart} from '../chart.ts';
import {
  CELL_TOOLTIP,
  cellPanels,
  ENDED_LAYER,
  figureLayer,
  firstCells,
  type Layers,
  ratioAxis,
  withoutRow,
} from '../panels.ts';
import {BLUE, MUTED, ORANGE, PAPER} from '../theme.ts';

const TITLE = 'Speed relative to the 16-bit control';
/** What must be equal for one cell to be the control of another. */
const SHARED = [
  'run_id',
  'model',
  'device',
  'workload',
  'runner',
  'batch',
  'concurrency',
  'threads',
  'gpu_layers',
] as const;
type Measure = 'prefill_tokens_per_s' | 'decode_tokens_per_s';

/** The cells of the 16-bit control format, by everything that they must share with the cells they are set against. */
function controls(rows: readonly ResultRow[]): (row: ResultRow) => ResultRow | null {
  const keyOf = (row: ResultRow, format: string): string =>
    JSON.stringify([format, ...SHARED.map((name) => row[name])]);
  const byKey = new Map<string, ResultRow>();
  for (const row of rows) {
    const key = keyOf(row, row.format ?? '');
    // The first in the order of the table; of several kernels in 16 bit that is one and the same in every report.
    if (row.status === 'ok' && !byKey.has(key)) byKey.set(key, row);
  }
  return (row) => {
    const {format} = row;
    if (format === null || !(format in FORMATS)) return null;
    const control = byKey.get(keyOf(row, controlFormat(format as Format))); // looked up just before
    return control === undefined || control === row ? null : control;
  };
}

/** Ratio of two medians; its interval from theirs on the log scale, where both have one. */
function ratio(row: ResultRow, control: ResultRow, measure: Measure) {
  const [a, b] = [row[measure], control[measure]];
  if (a === null || b === null || a <= 0 || b <= 0) return null;
  const half = (one: ResultRow): number | null => {
    const [low, high] = [one[`${measure}_ci_low`], one[`${measure}_ci_high`]];
    return low === null || high === null || low <= 0 ? null : Math.log(high / low) / 2;
  };
  const [halfA, halfB] = [half(row), half(control)];
  const width = halfA === null || halfB === null ? null : Math.exp(Math.hypot(halfA, halfB));
  return {value: a / b, low: width === null ? null : a / b / width, high: width === null ? null : (a / b) * width};
}

/** How many times as fast each quantized cell is as 16 bit in the same engine on the same device. */
export const speedVsControl: Chart = {
  id: 'speed-vs-control',
  title: TITLE,
  about:
    'Each cell against 16 bit in the same engine, on the same device, with the same workload and threads: right of the line is faster, left is slower. Circle decode, square prefill.',
  absent: 'No quantized cell has a measured 16-bit control in the same run and engine.',
  spec: ({rows}) => {
    const controlOf = controls(rows);
    const compared = cellData(rows).flatMap((cell) => {
      const control = controlOf(cell.row);
      if (control === null) return [];
      const [decode, prefill] = [
        ratio(cell.row, control, 'decode_tokens_per_s'),
        ratio(cell.row, control, 'prefill_tokens_per_s'),
      ];
      if (decode === null && prefill === null && cell.ended === '') return [];
      const words = (one: {value: number} | null): string => (one === null ? '–' : `${formatSignificant(one.value)}×`);
      return [
        {
          ...withoutRow(cell),
          decode: decode?.value ?? null,
          decodeLow: decode?.low ?? null,
          decodeHigh: decode?.high ?? null,
          prefill: prefill?.value ?? null,
          prefillLow: prefill?.low ?? null,
          prefillHigh: prefill?.high ?? null,
          figure: decode === null && prefill === null ? '' : `${words(decode)} / ${words(prefill)}`,
        },
      ];
    });
    if (!compared.some(({decode, prefill}) => decode !== null || prefill !== null)) return null;
    const {data, note} = firstCells(compared);
    const values = data.flatMap((one) => [
      one.decode,
      one.decodeLow,
      one.decodeHigh,
      one.prefill,
      one.prefillLow,
      one.prefillHigh,
    ]);
    const [least, most] = ratioAxis([0.5, 2, ...values.map((value) => (value === null || value <= 0 ? null : value))])
      .scale.domain;
    const lowest = Math.min(0.5, ...values.filter((value): value is number => value !== null && value > 0));
    const domain = [Math.min(lowest, least === 0 ? lowest : least), most];
    const scale = {type: 'log' as const, base: 2, domain, nice: true};
    const x = {
      type: 'quantitative' as const,
      title: 'tokens/s ÷ tokens/s of the 16-bit control',
      scale,
      axis: {format: '~g'},
    };
    const series = (name: 'decode' | 'prefill', color: string, shape: string): Layers => [
      {
        mark: {type: 'rule', strokeWidth: 2, color, opacity: 0.6},
        encoding: {x: {...x, field: `${name}Low`}, x2: {field: `${name}High`}},
      },
      {
        mark: {type: 'point', filled: true, size: 60, color, shape, opacity: 1, stroke: PAPER, strokeWidth: 0.5},
        encoding: {
          x: {...x, field: name},
          tooltip: [...CELL_TOOLTIP, {field: 'figure', type: 'nominal', title: 'decode / prefill ÷ control'}],
        },
      },
    ];
    return cellPanels({
      title: TITLE,
      notes: ['Circle decode, square prefill; figures: decode / prefill. The line at 1 is the control.', note],
      data,
      layers: [
        {
          mark: {type: 'rule', color: MUTED, opacity: 0.6, strokeDash: [3, 3]},
          encoding: {x: {...x, datum: 1}, y: {value: 0}, y2: {value: 'height'}},
        },
        ...series('prefill', ORANGE, 'square'),
        ...series('decode', BLUE, 'circle'),
        ENDED_LAYER,
        figureLayer(),
      ],
    });
  },
};
