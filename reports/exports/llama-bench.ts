import type {RequestRow, ResultRow} from '../../harness/contract/columns.ts';
import {deviation, type Exported, type ExportRun, known, mean, noteName, timesOf} from './export.ts';

/**
 * Columns of `llama-bench -o csv`, ggml-org/llama.cpp 0104b151, in its order. `use_mmap` stands beside `load_mode`, which
 * took its place: scripts/compare-llama-bench.py (05f3b204) still asks for it, and passes over columns it does not know.
 */
export const LLAMA_BENCH_FIELDS = [
  ...['build_commit', 'build_number', 'cpu_info', 'gpu_info', 'backends'],
  ...['model_filename', 'model_type', 'model_size', 'model_n_params'],
  ...['n_batch', 'n_ubatch', 'n_threads', 'cpu_mask', 'cpu_strict', 'poll', 'type_k', 'type_v'],
  ...['n_gpu_layers', 'n_cpu_moe', 'split_mode', 'main_gpu', 'no_kv_offload', 'flash_attn', 'devices'],
  ...['tensor_split', 'tensor_buft_overrides', 'load_mode', 'use_mmap', 'embeddings', 'no_op_offload', 'no_host'],
  ...['fit_target', 'fit_min_ctx', 'n_prompt', 'n_gen', 'n_depth', 'test_time'],
  ...['avg_ns', 'stddev_ns', 'avg_ts', 'stddev_ts'],
] as const;
type Field = (typeof LLAMA_BENCH_FIELDS)[number];
type Line = Partial<Record<Field, string | number | null>>;

/** Engines whose numbers mean what llama-bench's do. */
const RUNNERS = new Set(['llama-cpp', 'node-llama-cpp']);

/**
 * Two tests of each GGUF cell, as llama-bench has them: pp (the prompt) and tg (the tokens after the first, at the depth of
 * the prompt). Our time to the first token holds the first sample, theirs does not. What we do not record is empty.
 */
export function exportLlamaBench(runs: readonly ExportRun[]): Exported {
  const lines: Line[] = [];
  const notes: string[] = [];
  for (const {rows, requests, manifest} of runs) {
    for (const row of rows) {
      const reason = reasonAgainst(row, requests.get(row.cell_id ?? '') ?? []);
      if (reason !== null) {
        notes.push(`${noteName(row)}: ${reason}`);
        continue;
      }
      lines.push(...testsOf(row, requests.get(row.cell_id ?? '') ?? [], manifest.host.cpuModel));
    }
  }
  const text = [LLAMA_BENCH_FIELDS, ...lines.map((line) => LLAMA_BENCH_FIELDS.map((field) => line[field] ?? null))];
  return {
    files: [{path: 'llama-bench.csv', content: `${text.map((fields) => fields.map(quoted).join(',')).join('\n')}\n`}],
    notes,
  };
}

/** What a spreadsheet takes for a formula, and runs; as in harness/store/formula-guard.ts. */
const FORMULA = /^'*[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/;

/** llama-bench quotes every value. An apostrophe keeps a text from being run where the file is opened as a table. */
function quoted(value: string | number | null): string {
  const text = typeof value === 'string' && FORMULA.test(value) ? `'${value}` : String(value ?? '');
  return `"${text.replaceAll('"', '""')}"`;
}

function reasonAgainst(row: ResultRow, requests: readonly RequestRow[]): string | null {
  if (row.status !== 'ok') return `${row.status}: llama-bench has no rows of cells that did not run`;
  if (!RUNNERS.has(row.runner ?? '')) return `runner ${row.runner}: not llama.cpp`;
  if ((row.batch ?? 1) > 1 || (row.concurrency ?? 1) > 1) return 'llama-bench runs one sequence at a time';
  return requests.length === 0 ? 'requests.csv is not at hand' : null;
}

function testsOf(row: ResultRow, requests: readonly RequestRow[], cpu: string): Line[] {
  const times = requests.flatMap((request) => {
    const known = timesOf(request);
    return known === null ? [] : [{...known, prompt: request.evaluated_tokens, generated: request.generated_tokens}];
  });
  const shared: Line = {
    build_commit: row.engine_build,
    cpu_info: cpu,
    gpu_info: (row.gpu_layers ?? 0) > 0 ? row.device_name : null,
    backends: (row.gpu_layers ?? 0) > 0 ? 'CUDA' : 'CPU',
    model_filename: `${row.model}.${row.format}`,
    model_type: `${row.architecture ?? row.model} ${(row.format ?? '').replace(/^gguf-/, '').toUpperCase()}`,
    model_size: row.weights_bytes,
    model_n_params: row.parameters,
    n_threads: row.threads,
    n_gpu_layers: row.gpu_layers,
    test_time: row.started_at,
  };
  const prompt = row.prompt_tokens ?? 0;
  const decoded = (row.generated_tokens ?? 1) - 1;
  const prefill = known(times.map(({prefillS}) => prefillS));
  const decode = known(times.map(({decodeS}) => decodeS));
  const prefillRates = times.flatMap(({prefillS, prompt: n}) =>
    prefillS === null || n === null ? [] : [n / prefillS],
  );
  const decodeRates = times.flatMap(({decodeS, generated}) =>
    decodeS === null || decodeS === 0 || generated === null ? [] : [(generated - 1) / decodeS],
  );
  return [
    ...(prefill.length === 0
      ? []
      : [{...shared, n_prompt: prompt, n_gen: 0, n_depth: 0, ...figures(prefill, prefillRates)}]),
    ...(decode.length === 0 || decoded === 0
      ? []
      : [{...shared, n_prompt: 0, n_gen: decoded, n_depth: prompt, ...figures(decode, decodeRates)}]),
  ];
}

function figures(seconds: readonly number[], rates: readonly number[]): Line {
  const ns = seconds.map((value) => value * 1e9);
  return {
    avg_ns: round(mean(ns)),
    stddev_ns: round(deviation(ns, 1)),
    avg_ts: mean(rates),
    stddev_ts: deviation(rates, 1),
  };
}

function round(value: number | null): number | null {
  return value === null ? null : Math.round(value);
}
