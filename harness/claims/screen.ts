import type {ResultRow} from '../contract/columns.ts';
import {BenchError} from '../contract/errors.ts';
import {NEED_CELL_KEYS, type Need} from '../contract/need.ts';
import {formatBytes, formatSignificant} from '../contract/units.ts';
import {MIN_REQUESTS_P90} from '../derive/thresholds.ts';
import {matchesAny} from '../plan/glob.ts';

/** The columns that a decision looks at: of 100 000 rows only these are read. */
export const DECISION_COLUMNS = [
  'run_id',
  'cell_id',
  'matrix',
  'model',
  'format',
  'runner',
  'kernel',
  'isa',
  'device',
  'device_name',
  'host',
  'workload',
  'prompt_tokens',
  'generated_tokens',
  'batch',
  'concurrency',
  'gpu_layers',
  'status',
  'status_reason',
  'caveats',
  'requests',
  'output_tokens_per_s',
  'requests_per_s',
  'requests_per_s_ci_low',
  'requests_per_s_ci_high',
  'ttft_ms_p90',
  'latency_ms_p50',
  'latency_ms_p90',
  'latency_ms_p90_ci_low',
  'latency_ms_p90_ci_high',
  'load_ms',
  'vram_peak_bytes',
  'vram_process_peak_bytes',
  'ram_peak_bytes',
  'ram_rss_peak_bytes',
  'bytes_per_token',
  'quality_value',
  'quality_ci_low',
  'started_at',
] as const satisfies readonly (keyof ResultRow)[];
export type DecisionRow = Pick<ResultRow, (typeof DECISION_COLUMNS)[number]>;

export interface Excluded {
  readonly name: string;
  readonly reason: string;
  readonly row: {readonly run_id: string | null; readonly cell_id: string | null} | null;
}

export interface Screened {
  /** Rows that meet every bound that a row alone can show. */
  readonly kept: readonly DecisionRow[];
  readonly excluded: readonly Excluded[];
  /** Of the excluded, those with too few requests for the p90 that the need bounds, the fastest first. */
  readonly fewRequests: readonly DecisionRow[];
  /** Planned for another device: not measured, so neither kept nor excluded. */
  readonly waiting: readonly DecisionRow[];
  /** What one request is, the same for all rows; null when no row is about the need. */
  readonly workload: {readonly name: string; readonly prompt: number | null; readonly generated: number | null} | null;
  /** The models of all rows that the need is about. */
  readonly models: readonly string[];
  /** Rows that the need is not about. */
  readonly other: number;
  /** Bytes that a decode step reads, by model and format: what a ceiling of an unmeasured device follows from. */
  readonly bytesPerToken: ReadonlyMap<string, number>;
}

/**
 * Name of a cell for people. A cap of the instruction set that was asked for is part of it: it makes a cell of its own.
 *
 * @param models How many models the cells are of: a model that all share need not be told.
 */
export function cellName(row: DecisionRow, models: number): string {
  const cap = /(?:^| )isa-capped=(\S+)/.exec(row.caveats ?? '')?.[1];
  return [models === 1 ? null : row.model, row.format, row.runner, row.kernel, cap]
    .filter((text) => text !== undefined && text !== null && text !== '')
    .join(' ');
}

/**
 * Sorts rows into those that meet a need and those that cannot, each with its reason. A bound is met when the upper end
 * of the interval meets it, so that chance does not decide.
 *
 * @throws {BenchError} NEED_INVALID when rows of several workloads, or of several models without a bound on quality,
 *   would be compared.
 */
export function screenRows(rows: readonly DecisionRow[], need: Need): Screened {
  const about = latestOnly(rows.filter((row) => isAbout(need, row)));
  const workload = oneWorkload(about);
  oneModel(about, need);
  const models = [...new Set(about.map(({model}) => model ?? ''))].sort();
  const kept: DecisionRow[] = [];
  const excluded: Excluded[] = [];
  const fewRequests: DecisionRow[] = [];
  const waiting: DecisionRow[] = [];
  const bytesPerToken = new Map<string, number>();
  for (const row of about) {
    if (row.bytes_per_token !== null) bytesPerToken.set(`${row.model} ${row.format}`, row.bytes_per_token);
    if (row.status === 'waiting') {
      if (isAllowed(row, need)) waiting.push(row);
      continue;
    }
    const reason = reasonAgainst(row, need);
    if (reason === null) kept.push(row);
    else {
      if (hasFewRequests(row, need)) fewRequests.push(row);
      excluded.push({
        name: `${cellName(row, models.length)} on ${row.device ?? 'an unknown device'}`,
        reason,
        row: {run_id: row.run_id, cell_id: row.cell_id},
      });
    }
  }
  fewRequests.sort(
    (a, b) => (b.requests_per_s ?? 0) - (a.requests_per_s ?? 0) || (cellName(a, 0) < cellName(b, 0) ? -1 : 1),
  );
  return {kept, excluded, fewRequests, waiting, models, workload, other: rows.length - about.length, bytesPerToken};
}

function isAbout(need: Need, row: DecisionRow): boolean {
  return NEED_CELL_KEYS.every((key) => {
    const patterns = need[key];
    return patterns === undefined || matchesAny(patterns, [row[key] ?? '']);
  });
}

/** Of a cell that was measured several times on one host, the last run counts; a cell waits once, whoever wrote it down. */
function latestOnly(rows: readonly DecisionRow[]): DecisionRow[] {
  const latest = new Map<string, DecisionRow>();
  const anyWaits = rows.some(({status}) => status === 'waiting');
  const measured = new Set(
    rows.filter(({status}) => anyWaits && status !== 'waiting').map((row) => `${row.cell_id} ${row.device}`),
  );
  for (const row of rows) {
    const waits = row.status === 'waiting';
    if (waits && measured.has(`${row.cell_id} ${row.device}`)) continue;
    const key = `${row.cell_id} ${row.device} ${waits ? '' : row.host}`;
    const known = latest.get(key);
    if (known === undefined || age(row) > age(known)) latest.set(key, row);
  }
  return [...latest.values()];
}

/** Measured before not measured, then by time, then by name: the order of the rows does not matter. */
function age(row: DecisionRow): string {
  return `${row.status === 'waiting' ? 0 : 1} ${row.started_at ?? ''} ${row.run_id ?? ''}`;
}

function oneWorkload(rows: readonly DecisionRow[]): Screened['workload'] {
  const [first] = rows;
  if (first === undefined) return null;
  // Two matrices may mean different things by one name.
  const others = rows.filter(
    ({workload, generated_tokens}) => workload !== first.workload || generated_tokens !== first.generated_tokens,
  );
  if (others.length > 0) {
    const names = [first, ...others].map((row) => `${row.workload ?? ''} (${row.generated_tokens ?? '?'} tokens)`);
    const known = [...new Set(names)].sort();
    throw new BenchError(
      'NEED_INVALID',
      `the results hold ${known.length} workloads, whose costs cannot be compared: choose one with workload (--workload): ${some(known)}`,
    );
  }
  return {name: first.workload ?? '', prompt: first.prompt_tokens, generated: first.generated_tokens};
}

function oneModel(rows: readonly DecisionRow[], need: Need): void {
  const [first] = rows;
  if (need.min_quality !== undefined || rows.every(({model}) => model === first?.model)) return;
  const models = [...new Set(rows.map(({model}) => model ?? ''))].sort();
  throw new BenchError(
    'NEED_INVALID',
    `the results hold ${models.length} models, and the fastest is not the best: choose one with model (--model), or bound the quality with min_quality (--min-quality): ${some(models)}`,
  );
}

function some(names: readonly string[]): string {
  return names.length <= 6 ? names.join(', ') : `${names.slice(0, 6).join(', ')}, …`;
}

const ms = (value: number): string => `${formatSignificant(value)} ms`;

const isAllowed = (row: DecisionRow, need: Need): boolean =>
  need.devices === undefined || matchesAny(need.devices, [row.device ?? '']);

/** Whether more requests would show a p90, and one that may meet the bound. */
function hasFewRequests(row: DecisionRow, need: Need): boolean {
  const {status, requests, latency_ms_p50: p50, latency_ms_p90: p90} = row;
  if (need.p90_ms === undefined || status !== 'ok' || p90 !== null || p50 === null || !isAllowed(row, need))
    return false;
  return p50 <= need.p90_ms && requests !== null && requests < MIN_REQUESTS_P90;
}

function reasonAgainst(row: DecisionRow, need: Need): string | null {
  if (!isAllowed(row, need)) return 'the device is not allowed';
  if (row.status !== 'ok') return row.status_reason === null ? `${row.status}` : `${row.status}: ${row.status_reason}`;
  if (/(?:^| )simulated(?:=| |$)/.test(row.caveats ?? '')) return 'simulated, not measured';
  if (row.requests_per_s === null || row.requests_per_s <= 0) return 'its speed was not measured';
  return latencyReason(row, need) ?? ttftReason(row, need) ?? memoryReason(row, need) ?? qualityReason(row, need);
}

function latencyReason(
  {latency_ms_p50: p50, latency_ms_p90: p90, latency_ms_p90_ci_high: high, requests}: DecisionRow,
  need: Need,
): string | null {
  const bound = need.p90_ms;
  if (bound === undefined) return null;
  // More requests cannot help here: a p90 is never below the p50.
  if (p90 === null && p50 !== null && p50 > bound)
    return `half of the requests take more than ${ms(p50)}, above ${ms(bound)}`;
  if (p90 === null || high === null) {
    // What is missing comes first: the one that misses least says most.
    return requests === null || requests >= MIN_REQUESTS_P90
      ? `p90 was not measured: it takes ${MIN_REQUESTS_P90} requests`
      : `no p90: that takes ${MIN_REQUESTS_P90 - requests} requests more than its ${requests}`;
  }
  if (p90 > bound) return `p90 of ${ms(p90)} is above ${ms(bound)}`;
  return high > bound ? `p90 of ${ms(p90)} may be up to ${ms(high)}, above ${ms(bound)}` : null;
}

function ttftReason({ttft_ms_p90: p90}: DecisionRow, need: Need): string | null {
  const bound = need.ttft_ms;
  if (bound === undefined) return null;
  if (p90 === null) return 'the time to the first token was not measured';
  return p90 > bound ? `p90 of the first token of ${ms(p90)} is above ${ms(bound)}` : null;
}

/** Peak of one replica: of the GPU where there is one, else of the host. */
export function memoryOf(row: DecisionRow): number | null {
  const vram = [row.vram_process_peak_bytes, row.vram_peak_bytes].filter((bytes) => bytes !== null);
  if (vram.length > 0) return Math.max(...vram);
  return (row.gpu_layers ?? 0) > 0 ? null : (row.ram_peak_bytes ?? row.ram_rss_peak_bytes);
}

function memoryReason(row: DecisionRow, need: Need): string | null {
  if (need.memory_bytes === undefined) return null;
  const bytes = memoryOf(row);
  if (bytes === null) return 'its memory was not measured';
  return bytes > need.memory_bytes ? `takes ${formatBytes(bytes)}, more than ${formatBytes(need.memory_bytes)}` : null;
}

/** Quality is judged by the lower end of its interval. */
function qualityReason({quality_value: value, quality_ci_low: low}: DecisionRow, need: Need): string | null {
  const bound = need.min_quality;
  if (bound === undefined) return null;
  if (value === null || low === null) return 'its quality was not measured';
  if (value < bound) return `quality of ${value.toFixed(3)} is below ${bound}`;
  return low < bound ? `quality of ${value.toFixed(3)} may be as low as ${low.toFixed(3)}, below ${bound}` : null;
}
