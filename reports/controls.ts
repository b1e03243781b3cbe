import type {ResultRow} from '../harness/contract/columns.ts';
import {controlFormat, FORMATS, type Format} from '../harness/contract/format.ts';
import type {ReportAttribution} from '../harness/contract/report-data.ts';

/** What must be equal for one cell to be the control of another. */
const SHARED = [
  'run_id',
  'model',
  'device',
  'workload',
  'runner',
  'batch',
  'concurrency',
  'prefix_cache',
  'threads',
  'gpu_layers',
] as const;
type Measure = 'prefill_tokens_per_s' | 'decode_tokens_per_s';

/** A cell that was kept to a narrower instruction set on purpose is no control of one that was not. */
export const isaCap = ({caveats}: ResultRow): string => /(?:^| )isa-capped=(\S+)/.exec(caveats ?? '')?.[1] ?? '';

const known = (format: string | null): Format | null =>
  format !== null && Object.hasOwn(FORMATS, format) ? (format as Format) : null; // looked up just before

/** Whether a row is one that a control of 16 bit is wanted for. */
export function isQuantized({format}: ResultRow): boolean {
  const name = known(format);
  return name !== null && FORMATS[name].nominalBits < 16;
}

/** Finds the measured 16-bit cell of the same run, engine, device, workload and threads; null where there is none. */
export function controls(rows: readonly ResultRow[]): (row: ResultRow) => ResultRow | null {
  const keyOf = (row: ResultRow, format: string): string =>
    JSON.stringify([format, isaCap(row), ...SHARED.map((name) => row[name])]);
  const byKey = new Map<string, ResultRow>();
  for (const row of rows) {
    const key = keyOf(row, row.format ?? '');
    const before = byKey.get(key);
    // Of several kernels in 16 bit the first by name: one and the same in every report, whatever the order of rows.
    if (row.status === 'ok' && (before === undefined || nameOf(row) < nameOf(before))) byKey.set(key, row);
  }
  return (row) => {
    const format = known(row.format);
    const control = format === null ? undefined : byKey.get(keyOf(row, controlFormat(format)));
    return control === undefined || control.cell_id === row.cell_id ? null : control;
  };
}

const nameOf = ({kernel, cell_id: id}: ResultRow): string => JSON.stringify([kernel ?? '', id ?? '']);

export interface TimesControl {
  readonly value: number;
  readonly low: number | null;
  readonly high: number | null;
}

/**
 * Finds how many times as fast a row is as its control: as attributed, by rounds that ran one after the other, so that
 * drift of the host cancels; else the ratio of their medians. One figure, wherever a report tells it.
 */
export function timesControls(
  rows: readonly ResultRow[],
  attributions: readonly ReportAttribution[] = [],
): (row: ResultRow, measure: Measure) => TimesControl | null {
  const controlOf = controls(rows);
  const keyOf = ({run_id: run, cell_id: cell}: ReportAttribution['row'], phase: string): string =>
    JSON.stringify([run, cell, phase]);
  const attributed = new Map(attributions.map((one) => [keyOf(one.row, one.phase), one.own ?? null]));
  return (row, measure) => {
    const control = controlOf(row);
    if (control === null) return null;
    const paired = attributed.get(keyOf(row, measure === 'decode_tokens_per_s' ? 'decode' : 'prefill'));
    return paired == null
      ? timesControl(row, control, measure)
      : {value: paired.ratio, low: paired.low, high: paired.high};
  };
}

/** Ratio of two medians; its interval from theirs on the log scale, where both have one. */
function timesControl(row: ResultRow, control: ResultRow, measure: Measure): TimesControl | null {
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
