import {parse} from 'csv-parse/sync';
import {describe, expect, it} from 'vitest';
import type {ExportRun} from '../../../reports/exports/export.ts';
import {exportLlamaBench, LLAMA_BENCH_FIELDS} from '../../../reports/exports/llama-bench.ts';
import {exportLocalscore, LOCALSCORE_FIELDS, score} from '../../../reports/exports/localscore.ts';
import {exportOptimum, OPTIMUM_MEASUREMENTS, OPTIMUM_TARGETS} from '../../../reports/exports/optimum.ts';
import {buildMeasured} from '../claims/build.ts';
import {buildManifest} from '../derive/build.ts';

const cell = buildMeasured({
  tpotUs: [20_000, 20_000],
  load_ms: 500,
  ram_rss_peak_bytes: 2e9,
  started_at: '2026-11-23T12:00:00.000Z',
});
const failed = buildMeasured({cell_id: 'f', status: 'crashed'});
const torch = buildMeasured({cell_id: 't', runner: 'transformers', format: 'fp16', tpotUs: [60_000]});
const RUN: ExportRun = {
  manifest: buildManifest(),
  rows: [cell.row, failed.row, torch.row],
  requests: new Map([cell, torch].map(({row, requests}) => [row.cell_id ?? '', requests])),
};
const text = (content: string | Uint8Array | undefined): string => String(content);

/** All fields that scripts/compare-llama-bench.py (05f3b204) asks for: its key properties, commit, time and speed. */
const ASKED_BY_COMPARE = [
  ...['cpu_info', 'gpu_info', 'backends', 'n_gpu_layers', 'tensor_buft_overrides', 'model_filename', 'model_type'],
  ...['n_batch', 'n_ubatch', 'embeddings', 'cpu_mask', 'cpu_strict', 'poll', 'n_threads', 'type_k', 'type_v'],
  ...[
    'use_mmap',
    'no_kv_offload',
    'split_mode',
    'main_gpu',
    'tensor_split',
    'flash_attn',
    'n_prompt',
    'n_gen',
    'n_depth',
  ],
  ...['build_commit', 'test_time', 'avg_ts'],
];

describe('llama-bench', () => {
  const {files, notes} = exportLlamaBench([RUN]);
  // What csv-parse gives with `columns`.
  const rows = parse(text(files[0]?.content), {columns: true}) as Record<string, string>[];

  it('has every field that its readers ask for, and every value quoted', () => {
    for (const field of ASKED_BY_COMPARE) expect(LLAMA_BENCH_FIELDS).toContain(field);
    expect(Object.keys(rows[0] ?? {})).toEqual(LLAMA_BENCH_FIELDS);
    for (const field of text(files[0]?.content).trimEnd().split(/,|\n/)) expect(field).toMatch(/^".*"$/);
  });

  it('has a prompt test and a generation test, and nothing in place of what is not known', () => {
    expect(rows.map(({n_prompt, n_gen, n_depth}) => [n_prompt, n_gen, n_depth])).toEqual([
      ['100', '0', '0'],
      ['0', '4', '100'],
    ]);
    // 100 tokens in 50 ms, then 4 in 80 ms; the pattern of ±2 % has a mean of 0.
    expect(Number(rows[0]?.['avg_ns'])).toBeCloseTo(50e6, -5);
    expect(Number(rows[0]?.['avg_ts'])).toBeCloseTo(2000, -1);
    expect(Number(rows[1]?.['avg_ts'])).toBeCloseTo(50, 1);
    expect(Number(rows[1]?.['stddev_ts'])).toBeGreaterThan(0.5);
    expect(rows[0]).toMatchObject({
      n_batch: '',
      type_k: '',
      gpu_info: '',
      backends: 'CPU',
      model_type: 'llama-3.2-1b Q4_K_M',
    });
  });

  it('says what it leaves out', () => {
    expect(notes.join('\n')).toMatch(/crashed.*\n.*transformers: not llama\.cpp/);
  });
});

describe('optimum-benchmark', () => {
  const {files, notes} = exportOptimum([RUN]);

  it('has the report of each cell with exactly its parts', () => {
    expect(files).toHaveLength(2);
    expect(notes).toHaveLength(1);
    // The document that was written.
    const {report} = JSON.parse(text(files[0]?.content)) as {
      report: Record<string, Record<string, Record<string, unknown> | null>>;
    };
    expect(Object.keys(report)).toEqual(OPTIMUM_TARGETS);
    for (const part of Object.values(report)) expect(Object.keys(part)).toEqual(OPTIMUM_MEASUREMENTS);
    const latency = ['unit', 'values', 'count', 'total', 'mean', 'p50', 'p90', 'p95', 'p99', 'stdev', 'stdev_'];
    expect(Object.keys(report['prefill']?.['latency'] ?? {})).toEqual(latency);
    const memory = ['unit', 'max_ram', 'max_global_vram', 'max_process_vram', 'max_reserved', 'max_allocated'];
    expect(Object.keys(report['decode']?.['memory'] ?? {})).toEqual(memory);
    expect(report['decode']?.['memory']).toMatchObject({unit: 'MB', max_ram: 2000, max_reserved: null});
    expect(report['load_model']?.['latency']).toMatchObject({count: 1, mean: 0.5});
    expect(report['first_generate']).toMatchObject({latency: null, throughput: null});
    expect(report['generate']?.['energy']).toBeNull();
    const throughput = report['decode']?.['throughput'];
    expect(throughput?.['unit']).toBe('tokens/s');
    expect(Number(throughput?.['value'])).toBeCloseTo(50, 1);
    expect(report['per_token']?.['latency']).toMatchObject({count: 88});
  });
});

describe('texts that somebody wrote', () => {
  const evil = buildMeasured({
    run_id: '../../../../etc',
    cell_id: '..',
    model: '=cmd|x',
    device: '../x',
    kernel: '/etc/passwd',
    tpotUs: [20_000],
  });
  const run: ExportRun = {
    manifest: buildManifest({runId: '../..'}),
    rows: [evil.row],
    requests: new Map([['..', evil.requests]]),
  };

  it('lead no file out of the folder that is written to', () => {
    const files = [...exportOptimum([run]).files, ...exportLocalscore([run]).files];
    expect(files.map(({path}) => path)).toEqual([
      'optimum/.._.._.._.._etc/_/benchmark.json',
      'localscore/.._../.._x--_cmd_x--gguf-q4_k_m--llama-cpp--_etc_passwd.json',
    ]);
  });

  it('are no formula in a table', () => {
    const [file] = exportLlamaBench([run]).files;
    expect(text(file?.content)).toContain(`"'=cmd|x.gguf-q4_k_m"`);
    expect(text(file?.content)).not.toMatch(/"[=+@]/);
  });
});

describe('LocalScore', () => {
  const {files, notes} = exportLocalscore([RUN]);

  it('has a body for each model, format and device with exactly the fields of the site', () => {
    expect(files).toHaveLength(2);
    // The document that was written.
    const body = JSON.parse(text(files[0]?.content)) as Record<string, object | object[]>;
    expect(Object.keys(body)).toEqual(Object.keys(LOCALSCORE_FIELDS));
    for (const [name, fields] of Object.entries(LOCALSCORE_FIELDS)) {
      const part = body[name];
      expect(Object.keys((Array.isArray(part) ? part[0] : part) ?? {})).toEqual(fields);
    }
    expect(body['results']).toMatchObject([{name: 'pp100+tg5', n_prompt: 100, n_gen: 5, power_watts: null}]);
  });

  it('says that the site takes no body with something unmeasured', () => {
    expect(notes.filter((note) => note.includes('would refuse it'))).toHaveLength(2);
  });

  it('computes the score as the site does', () => {
    expect(score(1000, 100, 100)).toBeCloseTo(1000, 9);
  });
});
