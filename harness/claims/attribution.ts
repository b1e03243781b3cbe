import type {ColumnName, ResultRow} from '../contract/columns.ts';
import {controlFormat, FORMATS, type Format} from '../contract/format.ts';
import {isaCap, type MeasuredCell} from './measured-cell.ts';
import {type Ratio, ratioOf} from './ratio.ts';
import {controlOf, measureCommand} from './select-cells.ts';

export type Phase = 'prefill' | 'decode';
const COLUMN: Readonly<Record<Phase, 'prefill_tokens_per_s' | 'decode_tokens_per_s'>> = {
  prefill: 'prefill_tokens_per_s',
  decode: 'decode_tokens_per_s',
};

export interface Factor {
  readonly name: 'runtime' | 'format' | 'kernel' | 'rest';
  /** > 1 is faster. null: not measured, or without a spread to judge by. */
  readonly ratio: number | null;
  readonly low: number | null;
  readonly high: number | null;
  /** What was set against what, in words; or why there is no figure. */
  readonly note: string;
}

/** Why a quantized cell is as fast as it is, against 16 bit in the baseline engine. */
export interface Attribution {
  readonly row: ResultRow;
  readonly phase: Phase;
  /** The cell ÷ the baseline, measured directly; null without a baseline. */
  readonly total: Ratio | null;
  /** The cell ÷ 16 bit in the same engine, measured directly; null without that control. */
  readonly own: Ratio | null;
  /** Their product is the total where none is missing. */
  readonly factors: readonly Factor[];
  /** Share of the memory bandwidth: of the cell, and of its 16-bit control. */
  readonly bandwidthRatio: number | null;
  readonly controlBandwidthRatio: number | null;
  /** Commands that would measure the controls that are missing, each with what its matrix would have to be given first. */
  readonly missing: readonly string[];
}

/** Whether a matrix, by its name, has cells of a format in an engine. */
type InMatrix = (matrix: string, runner: string, format: string) => boolean;

/** The engine that a format's 16-bit baseline runs in: PyTorch, as in the publications. */
const BASELINE = {runner: 'transformers', format: 'fp16'} as const;

/**
 * Speed of every quantized cell as a product:
 *
 *     total = runtime × format × kernel × rest
 *
 * runtime  16 bit in the engine of the cell ÷ 16 bit in the baseline engine: what changing the engine does.
 * format   what fewer bytes are worth: bytes a step of 16 bit ÷ bytes a step of this format. For decode only, which waits
 *          for memory; prefill waits for arithmetic, and has no such factor.
 * kernel   this kernel ÷ the fastest kernel measured for the same format in the same engine: what the choice costs.
 * rest     the fastest kernel ÷ 16 bit in the same engine, over `format`: what unpacking costs, or what was gained beside
 *          bytes. It is the quotient of the two shares of memory bandwidth.
 *
 * The four telescope: within one run their product is the total exactly, and nearly where cells come from several runs.
 * Intervals are on the log scale, paired by rounds where both cells ran in one run. Prefill and decode are never mixed;
 * a prompt of one token has no prefill.
 *
 * @param inMatrix For the commands that would measure what is missing.
 */
export function attribute(cells: readonly MeasuredCell[], inMatrix: InMatrix = () => true): Attribution[] {
  return cells
    .filter(({row}) => row.status === 'ok' && isQuantized(row.format))
    .flatMap((cell) => [
      attributePhase(cell, cells, 'prefill', inMatrix),
      attributePhase(cell, cells, 'decode', inMatrix),
    ])
    .filter(({row, phase}) => row[COLUMN[phase]] !== null && !(phase === 'prefill' && row.prompt_tokens === 1));
}

function attributePhase(
  cell: MeasuredCell,
  cells: readonly MeasuredCell[],
  phase: Phase,
  inMatrix: InMatrix,
): Attribution {
  const column = COLUMN[phase];
  const {row} = cell;
  const format = row.format as Format; // isQuantized has looked it up
  const own16 = controlFormat(format);
  const find = (runner: string | null, wanted: string): MeasuredCell | null =>
    controlOf(
      cell,
      cells.filter((one) => one.row.runner === runner && one.row.format === wanted && one.row[column] !== null),
    );
  const control = find(row.runner, own16);
  const baseline = find(BASELINE.runner, BASELINE.format);
  const best = fastestKernel(cell, cells, column);

  const runtime = runtimeFactor(row, control, baseline, column);
  const bytes = phase === 'decode' ? bytesFactor(best.row, control?.row ?? null) : null;
  const missing = [
    ...(control === null ? [commandFor(row, row.runner ?? '', own16, inMatrix)] : []),
    ...(baseline === null && row.runner !== BASELINE.runner
      ? [commandFor(row, BASELINE.runner, BASELINE.format, inMatrix)]
      : []),
  ];
  return {
    row,
    phase,
    total: baseline === null ? null : ratioOf(column, cell, baseline),
    own: control === null ? null : ratioOf(column, cell, control),
    factors: [
      runtime,
      formatFactor(phase, bytes),
      kernelFactor(cell, best, column),
      restFactor(best, control, column, bytes),
    ],
    bandwidthRatio: phase === 'decode' ? row.bandwidth_ratio : null,
    controlBandwidthRatio: phase === 'decode' ? (control?.row.bandwidth_ratio ?? null) : null,
    missing: [...new Set(missing)],
  };
}

function isQuantized(format: string | null): boolean {
  // A row may come from a later version with formats unknown here.
  return format !== null && format in FORMATS && FORMATS[format as Format].nominalBits < 16;
}

/** The cell itself where no other kernel of its format was measured. */
function fastestKernel(cell: MeasuredCell, cells: readonly MeasuredCell[], column: ColumnName): MeasuredCell {
  const siblings = cells.filter(
    ({row}) =>
      row.run_id === cell.row.run_id &&
      row.runner === cell.row.runner &&
      row.format === cell.row.format &&
      row.kernel !== cell.row.kernel &&
      row.dtype === cell.row.dtype &&
      isaCap(row) === isaCap(cell.row) &&
      controlOf(cell, [{row, requests: []}]) !== null,
  );
  const speed = ({row}: MeasuredCell): number => Number(row[column] ?? 0);
  return siblings.reduce((best, one) => (speed(one) > speed(best) ? one : best), cell);
}

function runtimeFactor(
  row: ResultRow,
  control: MeasuredCell | null,
  baseline: MeasuredCell | null,
  column: ColumnName,
): Factor {
  if (row.runner === BASELINE.runner) return {...exactly('runtime', 1), note: 'the engine of the baseline itself'};
  if (control === null || baseline === null) return unknown('runtime', 'a 16-bit control is missing');
  return fromRatio('runtime', ratioOf(column, control, baseline), `${nameOf(control.row)} ÷ ${nameOf(baseline.row)}`);
}

function formatFactor(phase: Phase, bytes: number | null): Factor {
  if (phase === 'prefill') return {...exactly('format', 1), note: 'prefill waits for arithmetic, not for bytes'};
  if (bytes === null) return unknown('format', 'bytes a token are not known of both');
  return {...exactly('format', bytes), note: 'bytes a step of 16 bit ÷ bytes a step of this format'};
}

function kernelFactor(cell: MeasuredCell, best: MeasuredCell, column: ColumnName): Factor {
  if (best === cell) return {...exactly('kernel', 1), note: 'the fastest kernel measured for this format'};
  return fromRatio('kernel', ratioOf(column, cell, best), `${cell.row.kernel} ÷ ${best.row.kernel}`);
}

function restFactor(
  best: MeasuredCell,
  control: MeasuredCell | null,
  column: 'prefill_tokens_per_s' | 'decode_tokens_per_s',
  bytes: number | null,
): Factor {
  const expected = column === 'prefill_tokens_per_s' ? 1 : bytes;
  if (control === null) return unknown('rest', 'the 16-bit control of this engine is missing');
  if (expected === null) return unknown('rest', 'bytes a token are not known of both');
  const measured = ratioOf(column, best, control);
  if (measured === null) return unknown('rest', 'no speed in both');
  const scaled = {
    ...measured,
    ratio: measured.ratio / expected,
    low: measured.low === null ? null : measured.low / expected,
    high: measured.high === null ? null : measured.high / expected,
  };
  return fromRatio('rest', scaled, `${nameOf(best.row)} ÷ ${nameOf(control.row)}, beyond bytes`);
}

function bytesFactor(row: ResultRow, control: ResultRow | null): number | null {
  const [own, sixteen] = [row.bytes_per_token, control?.bytes_per_token ?? null];
  return own === null || sixteen === null || own <= 0 ? null : sixteen / own;
}

function fromRatio(name: Factor['name'], ratio: Ratio | null, note: string): Factor {
  if (ratio === null) return unknown(name, 'no speed in both');
  return {name, ratio: ratio.ratio, low: ratio.low, high: ratio.high, note};
}

/** A factor that is known without measuring: it has no interval of its own. */
function exactly(name: Factor['name'], ratio: number): Omit<Factor, 'note'> {
  return {name, ratio, low: ratio, high: ratio};
}

function unknown(name: Factor['name'], note: string): Factor {
  return {name, ratio: null, low: null, high: null, note};
}

function nameOf({runner, format, kernel}: ResultRow): string {
  return [runner, format, kernel].filter((part) => part !== null).join(' ');
}

function commandFor(row: ResultRow, runner: string, format: string, inMatrix: InMatrix): string {
  const {model, device, workload} = row;
  const file = `matrices/${row.matrix}.yaml`;
  const command = measureCommand(file, {model, format, runner, device, workload});
  return inMatrix(row.matrix ?? '', runner, format)
    ? command
    : `${command} (after adding ${format} and ${runner} to ${file}, which has no such cells)`;
}
