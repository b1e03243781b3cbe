import {expect, test} from 'vitest';
import {caveatLines, controlOf, summaryTable} from '../../../harness/cli/summary.ts';
import {COLUMN_NAMES, type ResultRow} from '../../../harness/contract/columns.ts';

const EMPTY = Object.fromEntries(COLUMN_NAMES.map((name) => [name, null])) as unknown as ResultRow; // every column, none measured

const row = (values: Partial<ResultRow>): ResultRow => ({
  ...EMPTY,
  run_id: 'r',
  model: 'm',
  runner: 'llama-cpp',
  kernel: 'cpu-zen4',
  device: 'd',
  workload: 'w',
  threads: 2,
  isa: 'avx512',
  status: 'ok',
  ...values,
});

const f16 = row({
  cell_id: 'a',
  format: 'gguf-f16',
  decode_tokens_per_s: 10,
  decode_tokens_per_s_ci_low: 9.8,
  decode_tokens_per_s_ci_high: 10.2,
  ram_peak_bytes: 2 * 1024 ** 3,
});
const q4 = row({cell_id: 'b', format: 'gguf-q4_k_m', decode_tokens_per_s: 25, requests: 64});

test('constant columns are named once and ratios stand beside the control', () => {
  expect(summaryTable([q4, f16])).toMatchInlineSnapshot(`
    "model m · runner llama-cpp · kernel cpu-zen4 · device d · workload w · threads 2 · status ok

                 decode            ×       RAM
    format          t/s  ± %  16 bit      peak   n
    ──────────────────────────────────────────────
    gguf-f16       10.0  2.0          2.00 GiB
    gguf-q4_k_m    25.0         2.50            64"
  `);
});

test('a narrow terminal loses the columns that matter least, and is told which', () => {
  const figures = {
    weights_bytes: 1e9,
    prefill_tokens_per_s: 123,
    ttft_ms_p50: 1,
    latency_ms_p90: 2,
    bandwidth_ratio: 0.8,
    requests: 64,
  };
  const rows = [row({...f16, ...figures}), row({...q4, ...figures, ram_peak_bytes: 1e9})];
  const wide = summaryTable(rows);
  for (const width of [60, 80, 120]) {
    const lines = summaryTable(rows, width).split('\n');
    const table = lines.filter((line) => !line.startsWith('no room here for'));
    expect(Math.max(...table.map((line) => line.length))).toBeLessThanOrEqual(width);
    expect(lines.join('\n')).toMatch(/decode/);
  }
  expect(summaryTable(rows, 60)).toContain('no room here for: size, ');
  expect(summaryTable(rows, 200)).toBe(wide);
});

test('rows that differ in nothing that has a column are told apart by their ids', () => {
  expect(summaryTable([q4, row({...q4, cell_id: 'c'})])).toContain('cell');
  // An instruction set that the kernel does not show.
  const capped = summaryTable([q4, row({...q4, cell_id: 'c', isa: 'avx2'})]);
  expect(capped).toContain('avx2');
  expect(capped).not.toContain('cell');
});

test('the control of another instruction set is no control', () => {
  expect(controlOf(q4, [row({format: 'gguf-f16', isa: 'avx2'})])).toBeNull();
  expect(controlOf(q4, [f16])).toBe(f16);
  expect(controlOf(f16, [f16])).toBeNull();
});

test('a failed cell keeps its line with the reason, and waiting cells are not listed', () => {
  const broken = {status: 'crashed', status_reason: 'SIGABRT: GGML_ASSERT', kernel: null} as const;
  const text = summaryTable([
    f16,
    row({cell_id: 'c', format: 'gguf-q8_0', ...broken}),
    row({cell_id: 'd', format: 'gguf-q4_k_m', ...broken}),
    row({status: 'waiting'}),
  ]);
  expect(text).toContain('crashed');
  expect(text).toContain('\nm gguf-q8_0 llama-cpp d w, m gguf-q4_k_m llama-cpp d w: crashed: SIGABRT: GGML_ASSERT');
  expect(text).not.toContain('waiting');
});

test('control characters of a model name never reach the terminal', () => {
  expect(summaryTable([row({model: 'x\u001B[31m', format: 'gguf-f16'}), f16])).not.toContain('\u001B');
});

test('each caveat is explained once with how many rows have it', () => {
  expect(
    caveatLines([row({caveats: 'virtual cpu-steal=0.03'}), row({caveats: 'virtual'})], {
      virtual: {doc: 'A VM.', fix: 'Bare metal.'},
    }),
  ).toEqual(['cpu-steal (1 of 2 rows)', 'virtual (every row): A VM. Bare metal.']);
});
