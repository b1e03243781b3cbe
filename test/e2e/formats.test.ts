import {mkdtemp, readdir, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import type {ResultRow} from '../../harness/contract/columns.ts';
import {readResultsCsv} from '../../harness/store/results-csv.ts';
import {prebuiltLibraryDir} from '../../harness/weights/llama-library.ts';
import {bench} from '../support/bench-cli.ts';
import {find} from '../support/needs.ts';

const python = find('python') ?? '';
const SLOW_MS = 600_000;

/** Every format and every kernel that a CPU runs, with and without the cap, as a person would write it. */
const MATRIX = `
matrix: formats
models: [{name: m, source: "synthetic:bench-tiny"}]
formats: [fp32, bf16, fp16, gptq-4bit, gguf-f16, gguf-q8_0, gguf-q4_k_m]
runners: [transformers, llama-cpp]
kernels: [auto, dequant-eager, int4pack-cpu]
devices: [host-cpu]
isa: [native, avx2]
workloads: [{name: w, prompt_tokens: 16, generated_tokens: 6}]
exclude: [{format: gptq-4bit, kernel: auto, reason: every kernel is a cell of its own}]
rounds: 1
requests: {min: 5, max: 5, warmup_min: 1, warmup_max: 1}
canary: false
`;
/** The same weights, mapped and copied. */
const MAPPED = `
matrix: mapped
models: [{name: m, source: "synthetic:quickstart-53m"}]
formats: [fp16, gptq-4bit]
runners: [transformers]
kernels: [auto, dequant-eager]
devices: [host-cpu]
sweep: {mmap: [true, false]}
workloads: [{name: w, prompt_tokens: 16, generated_tokens: 4}]
exclude: [{format: gptq-4bit, kernel: auto, reason: every kernel is a cell of its own}]
rounds: 1
requests: {min: 4, max: 4, warmup_min: 1, warmup_max: 1}
canary: false
`;

describe.skipIf(python === '' || prebuiltLibraryDir() === null || process.arch !== 'x64')(
  'bench matrix over all formats of a CPU',
  () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'bench-formats-'));
    });
    afterAll(async () => await rm(folder, {recursive: true, force: true}));

    async function rowsOf(name: string, text: string): Promise<readonly ResultRow[]> {
      await writeFile(join(folder, `${name}.yaml`), text);
      const args = ['matrix', `${name}.yaml`, '--out', name];
      const {status, stderr} = await bench(args, {cwd: folder, env: {BENCH_PYTHON: python}});
      expect(status, stderr).toBe(0);
      const [run = ''] = (await readdir(join(folder, name))).filter((one) => one.includes('--'));
      return readResultsCsv(join(folder, name, run, 'results.csv'));
    }

    it(
      'gives every cell its row: what ran, its times, and where its memory lies',
      async () => {
        const rows = await rowsOf('formats', MATRIX);
        const kinds = new Map<string, ResultRow[]>();
        for (const row of rows) {
          const {format, runner, kernel, dtype, status} = row;
          // llama.cpp names its kernel by the library that it loaded: cpu-haswell, cpu-zen4, …
          const what = [format, runner, kernel?.replace(/^cpu-.*/, 'cpu'), dtype, status].join(' ');
          kinds.set(what, [...(kinds.get(what) ?? []), row]);
        }
        expect([...kinds.keys()].sort()).toEqual([
          'bf16 transformers torch-linear bf16 ok',
          'fp16 transformers torch-linear fp16 ok',
          'fp32 transformers torch-linear fp32 ok',
          'gguf-f16 llama-cpp cpu f32 ok',
          'gguf-q4_k_m llama-cpp cpu f32 ok',
          'gguf-q8_0 llama-cpp cpu f32 ok',
          'gptq-4bit transformers dequant-eager fp16 ok',
          'gptq-4bit transformers int4pack-cpu fp16 ok',
        ]);
        // One of each pair under the cap; on a CPU that has no more, both are.
        for (const [what, pair] of kinds) {
          expect(pair, what).toHaveLength(2);
          expect(
            pair.map(({isa}) => isa),
            what,
          ).toContain('avx2');
        }
        for (const row of rows) {
          const name = `${row.format} ${row.kernel} ${row.isa}`;
          expect(row.requests, name).toBe(5);
          expect(row.prefill_tokens_per_s, name).toBeGreaterThan(0);
          expect(row.decode_tokens_per_s, name).toBeGreaterThan(0);
          expect(row.ttft_ms_p50, name).toBeGreaterThan(0);
          // Too few requests for a p90: empty, and the row says why.
          expect(row.ttft_ms_p90, name).toBeNull();
          expect(row.caveats?.split(' '), name).toEqual(
            expect.arrayContaining(['synthetic-weights', expect.stringMatching(/^few-requests/)]),
          );
          expect(row.weights_bytes, name).toBeGreaterThan(1e6);
          expect(row.ram_anonymous_peak_bytes, name).toBeGreaterThan(1e6);
          expect(row.ram_file_peak_bytes, name).toBeGreaterThan(1e6);
          expect(row.ram_load_peak_bytes, name).toBeGreaterThan(1e6);
          expect(row.load_ms, name).toBeGreaterThan(0);
        }
      },
      SLOW_MS,
    );

    it(
      'tells weights that are mapped from weights that are copied',
      async () => {
        const rows = await rowsOf('mapped', MAPPED);
        expect(rows).toHaveLength(4);
        for (const format of ['fp16', 'gptq-4bit']) {
          // Of two rows of a format, the one with more file-backed memory is the mapped one.
          const [mapped, copied] = rows
            .filter((row) => row.format === format)
            .sort((a, b) => (b.ram_file_peak_bytes ?? 0) - (a.ram_file_peak_bytes ?? 0));
          const weights = mapped?.weights_bytes ?? Number.NaN;
          const unmapped = (mapped?.ram_file_peak_bytes ?? 0) - (copied?.ram_file_peak_bytes ?? 0);
          expect(unmapped / weights, format).toBeGreaterThan(0.7);
          // Dequantizing has whole matrices in 16 bit for a moment: which peak of anonymous memory meets most is chance.
          if (format === 'gptq-4bit') continue;
          const moved = (copied?.ram_anonymous_peak_bytes ?? 0) - (mapped?.ram_anonymous_peak_bytes ?? 0);
          expect(moved / weights, format).toBeGreaterThan(0.7);
        }
      },
      SLOW_MS,
    );
  },
);
