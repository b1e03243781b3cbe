import type {ResultRow} from '../../harness/contract/columns.ts';

/** Columns that the samplers of a GPU fill while a cell serves, whatever the card. */
const COUNTERS = [
  'vram_baseline_bytes',
  'vram_peak_bytes',
  'temperature_c_max',
  'sm_clock_hz_median',
  'ram_peak_bytes',
] as const;

/** The columns that are looked at. */
export type JudgedRow = Pick<
  ResultRow,
  | (typeof COUNTERS)[number]
  | 'runner'
  | 'format'
  | 'kernel'
  | 'status'
  | 'status_reason'
  | 'requests'
  | 'decode_tokens_per_s'
  | 'vram_allocated_peak_bytes'
  | 'energy_source'
>;

export interface Judgement {
  readonly good: boolean;
  readonly text: string;
}

/** Whether a row of a GPU is whole. `unsupported` and `does-not-fit` are results; a crash is none. */
export function judgeRow(row: JudgedRow): Judgement {
  const name = [row.runner, row.format, row.kernel].filter((part) => part !== null && part !== '').join(' ');
  if (row.status === 'unsupported' || row.status === 'does-not-fit') {
    return {good: true, text: `${name}: ${row.status}: ${row.status_reason ?? ''}`};
  }
  if (row.status !== 'ok') return {good: false, text: `${name}: ${row.status}: ${row.status_reason ?? ''}`};
  const lacking: string[] = COUNTERS.filter((column) => row[column] === null);
  if (row.runner === 'transformers' && row.vram_allocated_peak_bytes === null)
    lacking.push('vram_allocated_peak_bytes');
  if (row.decode_tokens_per_s === null) lacking.push('decode_tokens_per_s');
  if (row.kernel === null || row.kernel === 'auto') lacking.push('kernel (what really ran)');
  const speed = row.decode_tokens_per_s === null ? '' : `, ${row.decode_tokens_per_s.toFixed(1)} tokens/s`;
  const vram = row.vram_peak_bytes === null ? '' : `, ${(row.vram_peak_bytes / 1e9).toFixed(2)} GB`;
  const energy = row.energy_source === null ? ', no energy figure' : `, ${row.energy_source}`;
  const missing = lacking.length === 0 ? '' : `: no ${lacking.join(', ')}`;
  return {good: lacking.length === 0, text: `${name}: ${row.requests ?? 0} requests${speed}${vram}${energy}${missing}`};
}
