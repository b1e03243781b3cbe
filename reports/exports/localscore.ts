import type {RequestRow, ResultRow} from '../../harness/contract/columns.ts';
import {type Exported, type ExportRun, mean, noteName, pathSegment, timesOf} from './export.ts';

/** Fields of `POST /api/results`, cjpais/LocalScore ef2c21fa, by the object they stand in. */
export const LOCALSCORE_FIELDS = {
  system_info: ['cpu_name', 'cpu_arch', 'ram_gb', 'kernel_type', 'kernel_release', 'version'],
  accelerator_info: ['name', 'type', 'memory_gb', 'manufacturer'],
  runtime_info: ['name', 'version', 'commit'],
  results_summary: ['avg_prompt_tps', 'avg_gen_tps', 'avg_ttft_ms', 'performance_score'],
  results: [
    ...['name', 'model_name', 'model_quant_str', 'model_params_str', 'model_n_params', 'n_prompt', 'n_gen'],
    ...['avg_time_ms', 'prompt_tps', 'prompt_tps_watt', 'gen_tps', 'gen_tps_watt', 'power_watts', 'ttft_ms'],
  ],
} as const;

/**
 * One request body for each model, format and device of a run. The site takes numbers only: a body with a null (power that
 * was not measured, most often) is for reading, and a note says so.
 */
export function exportLocalscore(runs: readonly ExportRun[]): Exported {
  const notes: string[] = [];
  const files = runs.flatMap((run) => {
    const groups = new Map<string, ResultRow[]>();
    for (const row of run.rows) {
      const reason = reasonAgainst(row);
      if (reason !== null) {
        notes.push(`${noteName(row)}: ${reason}`);
        continue;
      }
      const key = [row.device, row.model, row.format, row.runner, row.kernel ?? ''].join('--');
      groups.set(key, [...(groups.get(key) ?? []), row]);
    }
    return [...groups].map(([key, rows]) => {
      const path = `localscore/${pathSegment(run.manifest.runId)}/${pathSegment(key)}.json`;
      const text = `${JSON.stringify(bodyOf(run, rows), null, 2)}\n`;
      if (text.includes(': null')) notes.push(`${path}: has values that were not measured: the site would refuse it`);
      return {path, content: text};
    });
  });
  return {files, notes};
}

function reasonAgainst(row: ResultRow): string | null {
  if (row.status !== 'ok') return `${row.status}: LocalScore has no results of what did not run`;
  return (row.batch ?? 1) > 1 || (row.concurrency ?? 1) > 1 ? 'LocalScore runs one sequence at a time' : null;
}

function bodyOf({manifest, requests}: ExportRun, rows: readonly ResultRow[]) {
  const {host} = manifest;
  const [first] = rows;
  const gpu = (first?.gpu_layers ?? 0) > 0;
  const results = rows.map((row) => resultOf(row, requests.get(row.cell_id ?? '') ?? []));
  const average = (values: readonly (number | null)[]): number | null =>
    values.some((value) => value === null) ? null : mean(values.filter((value) => value !== null));
  const [prompt, generated, ttft] = [
    average(results.map(({prompt_tps}) => prompt_tps)),
    average(results.map(({gen_tps}) => gen_tps)),
    average(results.map(({ttft_ms}) => ttft_ms)),
  ];
  return {
    system_info: {
      cpu_name: host.cpuModel,
      cpu_arch: null,
      ram_gb: host.ramBytes / 2 ** 30,
      kernel_type: 'Linux',
      kernel_release: host.kernelRelease,
      version: host.os,
    },
    accelerator_info: {
      name: first?.device_name ?? null,
      type: gpu ? 'GPU' : 'CPU',
      memory_gb: gpu ? null : host.ramBytes / 2 ** 30,
      manufacturer: null,
    },
    runtime_info: {name: first?.runner ?? null, version: first?.runner_version ?? null, commit: null},
    results_summary: {
      avg_prompt_tps: prompt,
      avg_gen_tps: generated,
      avg_ttft_ms: ttft,
      performance_score: prompt === null || generated === null || ttft === null ? null : score(prompt, generated, ttft),
    },
    results,
  };
}

/** 10 × the geometric mean of prompt speed, generation speed and 1000 ÷ time to the first token. */
export function score(promptTps: number, genTps: number, ttftMs: number): number {
  return 10 * Math.cbrt(promptTps * genTps * (1000 / ttftMs));
}

function resultOf(row: ResultRow, requests: readonly RequestRow[]) {
  const watts = row.power_w_mean;
  const perWatt = (rate: number | null): number | null =>
    rate === null || watts === null || watts === 0 ? null : rate / watts;
  const seconds = requests.flatMap((request) => timesOf(request)?.totalS ?? []);
  const average = mean(seconds);
  return {
    name: `pp${row.prompt_tokens}+tg${row.generated_tokens}`,
    model_name: row.model,
    model_quant_str: (row.format ?? '').replace(/^gguf-/, '').toUpperCase(),
    model_params_str: row.parameters === null ? null : `${(row.parameters / 1e9).toPrecision(2)}B`,
    model_n_params: row.parameters,
    n_prompt: row.prompt_tokens,
    n_gen: row.generated_tokens,
    avg_time_ms: average === null ? null : average * 1000,
    prompt_tps: row.prefill_tokens_per_s,
    prompt_tps_watt: perWatt(row.prefill_tokens_per_s),
    gen_tps: row.decode_tokens_per_s,
    gen_tps_watt: perWatt(row.decode_tokens_per_s),
    power_watts: watts,
    ttft_ms: row.ttft_ms_p50,
  };
}
