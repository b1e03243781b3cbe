import type {RequestRow, ResultRow} from '../../harness/contract/columns.ts';
import {deviation, type Exported, type ExportRun, known, mean, noteName, pathSegment, timesOf} from './export.ts';

/** Parts of a report of optimum-benchmark b263af46 for text generation. */
export const OPTIMUM_TARGETS = ['load_model', 'first_generate', 'generate', 'prefill', 'decode', 'per_token'] as const;
export const OPTIMUM_MEASUREMENTS = ['memory', 'latency', 'throughput', 'energy', 'efficiency'] as const;
type Measurement = Readonly<Partial<Record<(typeof OPTIMUM_MEASUREMENTS)[number], unknown>>>;

const J_PER_KWH = 3.6e6;

/**
 * One benchmark.json a cell. Percentiles are numpy's (type 7), `stdev` is the population's, as theirs. Where theirs
 * has what we do not measure it is null: the first generation apart, VRAM that
 * torch has reserved. Their RAM is of the main process alone, ours of the whole tree.
 */
export function exportOptimum(runs: readonly ExportRun[]): Exported {
  const notes: string[] = [];
  const files = runs.flatMap(({rows, requests}) =>
    rows.flatMap((row) => {
      if (row.status !== 'ok') {
        notes.push(`${noteName(row)}: ${row.status}: optimum-benchmark has no report of what did not run`);
        return [];
      }
      const document = {config: configOf(row), report: reportOf(row, requests.get(row.cell_id ?? '') ?? [])};
      return [
        {
          path: `optimum/${pathSegment(row.run_id)}/${pathSegment(row.cell_id)}/benchmark.json`,
          content: `${JSON.stringify(document, null, 2)}\n`,
        },
      ];
    }),
  );
  return {files, notes};
}

function configOf(row: ResultRow) {
  const gpu = (row.gpu_layers ?? 0) > 0;
  return {
    name: `${row.matrix}-${row.cell_id}`,
    backend: {
      name: row.runner === 'transformers' ? 'pytorch' : row.runner === 'llama-cpp' ? 'llama_cpp' : row.runner,
      version: row.runner_version,
      model: row.model,
      device: gpu ? 'cuda' : 'cpu',
      torch_dtype: row.dtype,
      quantization_scheme: row.format,
    },
    scenario: {
      name: 'inference',
      input_shapes: {batch_size: row.batch, sequence_length: row.prompt_tokens},
      generate_kwargs: {max_new_tokens: row.generated_tokens, min_new_tokens: row.generated_tokens},
    },
    environment: {machine: row.host, gpu: gpu ? [row.device_name] : [], cpu: gpu ? null : row.device_name},
  };
}

function reportOf(row: ResultRow, requests: readonly RequestRow[]) {
  const times = requests.flatMap((request) => timesOf(request) ?? []);
  const memory = memoryOf(row);
  const batch = row.batch ?? 1;
  const decoded = (row.generated_tokens ?? 0) - 1;
  const part = (seconds: readonly number[], tokens: number | null): Measurement => ({
    memory,
    latency: latency(seconds),
    throughput: throughput(seconds, tokens),
  });
  const tokens = (count: number | null): number | null => (count === null ? null : batch * count);
  const total = times.map(({totalS}) => totalS);
  const steps = requests.flatMap(({token_us: text}) =>
    (text ?? '')
      .split(' ')
      .slice(1)
      .map((us) => Number(us) / 1e6),
  );
  const report: Record<(typeof OPTIMUM_TARGETS)[number], Measurement> = {
    load_model: {latency: latency(row.load_ms === null ? [] : [row.load_ms / 1000])},
    first_generate: {},
    generate: {...part(total, tokens(row.generated_tokens)), energy: energyOf(row, requests.length)},
    prefill: part(known(times.map(({prefillS}) => prefillS)), tokens(row.prompt_tokens)),
    decode: part(known(times.map(({decodeS}) => decodeS)), tokens(decoded)),
    per_token: {latency: latency(steps), throughput: throughput(steps, batch)},
  };
  return Object.fromEntries(
    OPTIMUM_TARGETS.map((target) => [
      target,
      Object.fromEntries(OPTIMUM_MEASUREMENTS.map((name) => [name, report[target][name] ?? null])),
    ]),
  );
}

/** Type 7, as numpy.percentile. */
function percentile(sorted: readonly number[], share: number): number | null {
  const at = (sorted.length - 1) * share;
  const [below, above] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return below === undefined || above === undefined ? null : below + (above - below) * (at - Math.floor(at));
}

function latency(values: readonly number[]) {
  const centre = mean(values);
  if (centre === null) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const stdev = deviation(values, 0) ?? 0;
  return {
    unit: 's',
    values,
    count: values.length,
    total: values.reduce((sum, value) => sum + value, 0),
    mean: centre,
    p50: percentile(sorted, 0.5),
    p90: percentile(sorted, 0.9),
    p95: percentile(sorted, 0.95),
    p99: percentile(sorted, 0.99),
    stdev,
    stdev_: centre === 0 ? null : (stdev / Math.abs(centre)) * 100,
  };
}

function throughput(values: readonly number[], tokens: number | null) {
  const centre = mean(values);
  return centre === null || centre === 0 || tokens === null ? null : {unit: 'tokens/s', value: tokens / centre};
}

function memoryOf(row: ResultRow) {
  const mb = (bytes: number | null): number | null => (bytes === null ? null : bytes / 1e6);
  const device =
    row.vram_peak_bytes === null || row.vram_baseline_bytes === null
      ? null
      : row.vram_peak_bytes + row.vram_baseline_bytes;
  return {
    unit: 'MB',
    max_ram: mb(row.ram_rss_peak_bytes),
    max_global_vram: mb(device),
    max_process_vram: mb(row.vram_process_peak_bytes),
    max_reserved: null,
    max_allocated: mb(row.vram_allocated_peak_bytes),
  };
}

/** Of one call, as theirs. One source measures one part; the others, and so the total, are not known. */
function energyOf({energy_j: joules, energy_source: source}: ResultRow, calls: number) {
  if (joules === null || calls === 0) return null;
  const kwh = joules / calls / J_PER_KWH;
  const cpu = source === 'rapl-package';
  return {unit: 'kWh', cpu: cpu ? kwh : null, ram: null, gpu: cpu ? null : kwh, total: null};
}
