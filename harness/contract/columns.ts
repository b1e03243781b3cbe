import type {Unit} from './units.ts';

/** Vega-Lite's measurement type; decides axis, sort and legend of a chart that uses the column. */
type Scale = 'nominal' | 'quantitative' | 'temporal';
type Group =
  | 'identity'
  | 'workload'
  | 'outcome'
  | 'speed'
  | 'memory'
  | 'power'
  | 'machine'
  | 'quality'
  | 'cost'
  | 'provenance';
type Kind = 'text' | 'number' | 'integer';

/** One column of results.csv: the single place where its name, unit, meaning and type are written down. */
export interface Column {
  readonly group: Group;
  readonly kind: Kind;
  readonly unit: Unit | null;
  readonly scale: Scale;
  /** One sentence for the README table, the schema and chart tooltips. */
  readonly doc: string;
}

const text = <const G extends Group>(group: G, doc: string) =>
  ({group, kind: 'text', unit: null, scale: 'nominal', doc}) as const;
const count = <const G extends Group>(group: G, doc: string, unit: Unit | null = null) =>
  ({group, kind: 'integer', unit, scale: 'quantitative', doc}) as const;
const number = <const G extends Group>(group: G, unit: Unit | null, doc: string) =>
  ({group, kind: 'number', unit, scale: 'quantitative', doc}) as const;
const time = (doc: string) => ({group: 'provenance', kind: 'text', unit: null, scale: 'temporal', doc}) as const;

const INTERVAL =
  'bound of the 95 % interval of the median: Student’s t over rounds, bootstrap within them (one round: order statistics).';

export const COLUMNS = {
  schema_version: count('identity', 'Version of this table; columns are only ever added within a version.'),
  run_id: text('identity', 'Folder of the run: matrix, device, host, start.'),
  cell_id: text('identity', 'First 12 hex digits of the hash of all that must be equal to compare.'),
  matrix: text('identity', 'Name of the matrix file.'),
  model: text('identity', 'Name of the model in the matrix.'),
  architecture: text('identity', 'Architecture of the model, for example llama-3.2-1b.'),
  parameters: count('identity', 'Number of weights.'),
  weights_source: text('identity', 'Where the weights come from; synthetic = random values of the exact shape.'),
  weights_sha256: text('identity', 'SHA-256 of the weights file (of several: of their sorted list).'),
  weights_bytes: count('identity', 'Bytes of the tensors on disk.', 'bytes'),
  bits_per_weight: number(
    'identity',
    'bits',
    '8 × weights_bytes ÷ parameters, scales and unquantized tensors included.',
  ),
  format: text('identity', 'How the weights are stored.'),
  runner: text('identity', 'Engine and the way into it.'),
  runner_version: text('identity', 'Version of the engine package.'),
  engine_build: text('identity', 'Prebuilt, or built on this host; with its version.'),
  kernel: text('identity', 'Routine that really multiplied the weights.'),
  dtype: text('identity', 'Type of the activations.'),
  isa: text('identity', 'Instruction set that really ran.'),
  device: text('identity', 'Device that executed.'),
  device_name: text('identity', 'How the device names itself.'),
  host: text('identity', 'Host name, shortened.'),
  workload: text('workload', 'Name of the workload in the matrix.'),
  prompt_tokens: count('workload', 'Prompt tokens of a request (median, when prompts are texts).', 'tokens'),
  generated_tokens: count(
    'workload',
    'Tokens generated in a request; end-of-sequence is ignored (`lengths-vary`: median of what came).',
    'tokens',
  ),
  batch: count('workload', 'Sequences decoded together.'),
  concurrency: count('workload', 'Requests in flight at once.'),
  prefix_cache: text('workload', 'off, or shared:N when the first N prompt tokens are kept.'),
  threads: count('workload', 'Threads of the engine.'),
  gpu_layers: count('workload', 'Layers on the GPU; 999 = all.'),
  status: text('outcome', 'ok, or how the cell ended: does-not-fit, unsupported, timeout, crashed, invalid, waiting.'),
  status_reason: text('outcome', 'One line: why, with the words of the engine.'),
  caveats: text('outcome', 'Coded reasons to trust the row less, blank-separated.'),
  rounds: count('outcome', 'Rounds measured.'),
  requests: count('outcome', 'Requests measured, over all rounds.'),
  prefill_tokens_per_s: number(
    'speed',
    'tokens/s',
    'Median of batch × evaluated prompt tokens ÷ time to first token (first sample included).',
  ),
  prefill_tokens_per_s_ci_low: number('speed', 'tokens/s', `Lower ${INTERVAL}`),
  prefill_tokens_per_s_ci_high: number('speed', 'tokens/s', `Upper ${INTERVAL}`),
  decode_tokens_per_s: number(
    'speed',
    'tokens/s',
    'Median of batch × (generated − 1) ÷ (last − first token); prefill not included.',
  ),
  decode_tokens_per_s_ci_low: number('speed', 'tokens/s', `Lower ${INTERVAL}`),
  decode_tokens_per_s_ci_high: number('speed', 'tokens/s', `Upper ${INTERVAL}`),
  output_tokens_per_s: number(
    'speed',
    'tokens/s',
    'Median over requests of batch × generated ÷ latency, prefill included; of N concurrent lanes, N × that of N successive requests together.',
  ),
  output_tokens_per_s_ci_low: number('speed', 'tokens/s', `Lower ${INTERVAL}`),
  output_tokens_per_s_ci_high: number('speed', 'tokens/s', `Upper ${INTERVAL}`),
  requests_per_s: number(
    'speed',
    'requests/s',
    'Median over requests of batch ÷ latency; of N concurrent lanes, N × that of N successive requests together.',
  ),
  requests_per_s_ci_low: number('speed', 'requests/s', `Lower ${INTERVAL}`),
  requests_per_s_ci_high: number('speed', 'requests/s', `Upper ${INTERVAL}`),
  ttft_ms_p50: number('speed', 'ms', 'Time to first token; percentiles are type 7 (linear), as numpy’s default.'),
  ttft_ms_p90: number('speed', 'ms', 'Empty below 29 requests.'),
  ttft_ms_p99: number('speed', 'ms', 'Empty below 299 requests.'),
  tpot_ms_p50: number(
    'speed',
    'ms',
    'Time per output token after the first, a mean per request: (last − first) ÷ (generated − 1).',
  ),
  tpot_ms_p90: number('speed', 'ms', 'Empty below 29 requests.'),
  tpot_ms_p99: number('speed', 'ms', 'Empty below 299 requests.'),
  latency_ms_p50: number('speed', 'ms', 'Whole request, start of prefill to last token.'),
  latency_ms_p90: number('speed', 'ms', 'Empty below 29 requests.'),
  latency_ms_p90_ci_low: number(
    'speed',
    'ms',
    'Lower bound of the 95 % interval of order statistics (distribution-free), widened where rounds differ.',
  ),
  latency_ms_p90_ci_high: number(
    'speed',
    'ms',
    'Upper bound of the 95 % interval of order statistics (distribution-free), widened where rounds differ.',
  ),
  latency_ms_p99: number('speed', 'ms', 'Empty below 299 requests.'),
  load_ms: number('speed', 'ms', 'Median over rounds: engine imported to model ready for a request.'),
  vram_baseline_bytes: count('memory', 'VRAM in use on the device before the worker started.', 'bytes'),
  vram_peak_bytes: count('memory', 'Peak of VRAM in use on the device, minus the baseline.', 'bytes'),
  vram_process_peak_bytes: count('memory', 'Peak that the driver attributes to the worker’s processes.', 'bytes'),
  vram_allocated_peak_bytes: count(
    'memory',
    'Peak of the framework’s own count (torch max_memory_allocated).',
    'bytes',
  ),
  ram_peak_bytes: count('memory', 'Peak proportional set size of the process tree while serving.', 'bytes'),
  ram_rss_peak_bytes: count('memory', 'Peak resident set size of the process tree while serving.', 'bytes'),
  ram_anonymous_peak_bytes: count(
    'memory',
    'Peak of anonymous memory (heap, KV cache, repacked weights) while serving.',
    'bytes',
  ),
  ram_file_peak_bytes: count(
    'memory',
    'Peak of file-backed memory (mapped weights, libraries) while serving.',
    'bytes',
  ),
  ram_load_peak_bytes: count('memory', 'Peak resident set size of the process tree while loading.', 'bytes'),
  energy_j: number('power', 'J', 'Energy of the measured requests, all rounds.'),
  power_w_mean: number('power', 'W', 'Mean power while measuring.'),
  energy_j_per_token: number('power', 'J/token', 'energy_j ÷ generated tokens.'),
  energy_source: text('power', 'rapl-package, nvml-counter, nvml-power, nvidia-smi-power.'),
  sm_clock_hz_median: number(
    'machine',
    'Hz',
    'Median SM clock while measuring; of a CPU its core clock, where readable.',
  ),
  throttled_ratio: number(
    'machine',
    'ratio',
    'Share of busy samples with a throttle reason or a clock below 75 % of its reference.',
  ),
  temperature_c_max: number('machine', '°C', 'Highest temperature while measuring.'),
  cpu_steal_ratio: number(
    'machine',
    'ratio',
    'CPU time the hypervisor took, relative to the host’s total while measuring.',
  ),
  memory_bandwidth_bytes_per_s: number(
    'machine',
    'bytes/s',
    'Measured read bandwidth: of a CPU with as many threads as the cell, of a GPU through PyTorch.',
  ),
  bytes_per_token: count(
    'machine',
    'Bytes that one decode step reads: weights once, plus the KV cache at its mean length, of all sequences.',
    'bytes',
  ),
  bandwidth_ratio: number(
    'machine',
    'ratio',
    'Decode steps/s × bytes_per_token ÷ memory bandwidth: 1 is the roofline, unless the caveats say `in-cache`.',
  ),
  quality_metric: text('quality', 'exact-match, …; empty for random weights.'),
  quality_value: number('quality', 'ratio', 'Share of answers that match.'),
  quality_ci_low: number('quality', 'ratio', 'Lower bound of the 95 % Wilson interval.'),
  quality_ci_high: number('quality', 'ratio', 'Upper bound of the 95 % Wilson interval.'),
  quality_n: count('quality', 'Answers judged.'),
  price_usd_per_hour: number('cost', 'USD/h', 'Price of the device from prices.yaml.'),
  price_date: text('cost', 'Date of that price.'),
  usd_per_1m_output_tokens: number('cost', 'USD', 'price ÷ (output tokens/s × 3600) × 1 000 000.'),
  usd_per_1k_requests: number('cost', 'USD', 'price ÷ (requests/s × 3600) × 1 000.'),
  driver: text('provenance', 'GPU driver.'),
  cuda: text('provenance', 'CUDA version of the driver.'),
  os: text('provenance', 'Operating system.'),
  kernel_release: text('provenance', 'Kernel release.'),
  node: text('provenance', 'Version of Node.'),
  git_commit: text('provenance', 'Commit of bench; a trailing + means uncommitted changes.'),
  matrix_sha256: text('provenance', 'SHA-256 of the matrix file.'),
  started_at: time('Start of the first round, RFC 3339 UTC.'),
  ended_at: time('End of the last round, RFC 3339 UTC.'),
} as const satisfies Record<string, Column>;

export const RESULTS_SCHEMA_VERSION = 1;

type ValueOf<C extends Column> = C['kind'] extends 'text' ? string | null : number | null;
export type ColumnName = keyof typeof COLUMNS;
/** A row of results.csv in memory. null = not measured = empty in the file, never 0 and never ''. */
export type ResultRow = {readonly [Name in ColumnName]: ValueOf<(typeof COLUMNS)[Name]>};
export const COLUMN_NAMES = Object.keys(COLUMNS) as readonly ColumnName[];

/**
 * requests.csv: one row per measured request. Times are integer microseconds on the worker's clock; `token_us` are the
 * differences between successive tokens (the first is the time to first token), blank-separated, so that every figure
 * of results.csv can be computed again.
 */
export const REQUEST_COLUMNS = {
  run_id: {kind: 'text', doc: 'Folder of the run.'},
  cell_id: {kind: 'text', doc: 'Cell of results.csv.'},
  round: {kind: 'integer', doc: '0-based.'},
  request: {kind: 'integer', doc: '0-based within the round.'},
  lane: {kind: 'integer', doc: 'Lane of a concurrent load.'},
  start_us: {kind: 'integer', doc: 'Start, microseconds since the first measured request of the round.'},
  prompt_tokens: {kind: 'integer', doc: 'Per sequence.'},
  evaluated_tokens: {kind: 'integer', doc: 'Prompt tokens really computed, per sequence.'},
  cached_tokens: {kind: 'integer', doc: 'Prompt tokens from a cache, per sequence.'},
  generated_tokens: {kind: 'integer', doc: 'Per sequence.'},
  batch: {kind: 'integer', doc: 'Sequences decoded together.'},
  ttft_us: {kind: 'integer', doc: 'Time to first token.'},
  latency_us: {kind: 'integer', doc: 'Whole request.'},
  correct: {kind: 'integer', doc: '1 or 0 where an expected answer exists.'},
  outlier: {kind: 'text', doc: 'mild or severe (Tukey 1.5 / 3 IQR of latency within the cell); marked, never dropped.'},
  token_us: {kind: 'text', doc: 'Microseconds between successive tokens, blank-separated.'},
} as const satisfies Record<string, {kind: Kind; doc: string}>;
export type RequestColumnName = keyof typeof REQUEST_COLUMNS;
export type RequestRow = {
  readonly [Name in RequestColumnName]: (typeof REQUEST_COLUMNS)[Name]['kind'] extends 'text'
    ? string | null
    : number | null;
};
export const REQUEST_COLUMN_NAMES = Object.keys(REQUEST_COLUMNS) as readonly RequestColumnName[];
