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
    "model m · runner llama-cpp · kernel cpu-zen4 · device d · workload w · threads 2

    format       decode t/s  ± %  × 16 bit  RAM peak   n  status
    ────────────────────────────────────────────────────────────
    gguf-f16           10.0  2.0            2.00 GiB      ok
    gguf-q4_k_m        25.0           2.50            64  ok"
  `);
});

test('the control of another instruction set is no control', () => {
  expect(controlOf(q4, [row({format: 'gguf-f16', isa: 'avx2'})])).toBeNull();
  expect(controlOf(q4, [f16])).toBe(f16);
  expect(controlOf(f16, [f16])).toBeNull();
});

test('a failed cell keeps its line with the reason, and waiting cells are not listed', () => {
  const text = summaryTable([
    f16,
    row({cell_id: 'c', format: 'gguf-q8_0', status: 'crashed', status_reason: 'SIGABRT: GGML_ASSERT'}),
    row({status: 'waiting'}),
  ]);
  expect(text).toContain('crashed: SIGABRT: GGML_ASSERT');
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
