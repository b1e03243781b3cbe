import {COLUMN_NAMES, type RequestRow, type ResultRow} from '../../harness/contract/columns.ts';
import type {Manifest} from '../../harness/contract/journal.ts';
import type {ReportInput} from '../../harness/contract/reporter.ts';

const GIB = 1024 ** 3;
const EMPTY = Object.fromEntries(COLUMN_NAMES.map((name) => [name, null])) as ResultRow; // every column is there

/** A row that is `ok` and has made-up figures; every report says so, for it carries the caveat `simulated`. */
export function simulatedRow(change: Partial<ResultRow> = {}): ResultRow {
  return {
    ...EMPTY,
    schema_version: 1,
    run_id: 'made--cpu--host--20260101T000000Z',
    cell_id: '000000000000',
    matrix: 'made',
    model: 'tiny',
    format: 'gguf-q4_k_m',
    runner: 'llama-cpp',
    kernel: 'cpu-zen4',
    device: 'cpu',
    host: 'host',
    workload: 'p64-g16',
    batch: 1,
    concurrency: 1,
    threads: 8,
    gpu_layers: 0,
    status: 'ok',
    caveats: 'simulated',
    rounds: 3,
    requests: 64,
    ...change,
  };
}

const FORMATS = [
  ['fp16', 'transformers', 'torch', 16, 1],
  ['gptq-4bit', 'transformers', 'marlin', 4.3, 1.9],
  ['gguf-f16', 'llama-cpp', 'native', 16, 1.25],
  ['gguf-q8_0', 'llama-cpp', 'native', 8.5, 2.1],
  ['gguf-q6_k', 'llama-cpp', 'native', 6.6, 2.5],
  ['gguf-q4_k_m', 'llama-cpp', 'native', 4.9, 3.1],
] as const;
const DEVICES = [
  ['ryzen-7-5800hs', 40e9, null, 0.12],
  ['t4', 280e9, 15, 0.35],
  ['a100-80gb', 1.7e12, 80, 1.9],
  ['h100', 3e12, 80, 3.2],
] as const;
const MODELS = [
  ['gemma-2b', 2.5e9],
  ['mistral-7b', 7.2e9],
  ['phi-2', 2.8e9],
  ['llama-3.2-1b', 1.24e9],
] as const;

/** A made-up sweep of up to `count` cells with everything a report can meet: speeds, prices, qualities, and every way to end. */
export function simulatedRows(count: number): ResultRow[] {
  const rows: ResultRow[] = [];
  for (let index = 0; rows.length < count; index++) {
    const [format, runner, kernel, bits, gain] = FORMATS[index % FORMATS.length] ?? FORMATS[0];
    const [device, bandwidth, vram, price] = DEVICES[Math.floor(index / FORMATS.length) % DEVICES.length] ?? DEVICES[0];
    const [model, parameters] =
      MODELS[Math.floor(index / (FORMATS.length * DEVICES.length)) % MODELS.length] ?? MODELS[0];
    const pass = Math.floor(index / (FORMATS.length * DEVICES.length * MODELS.length));
    const bytes = (parameters * bits) / 8;
    const run = `made--${device}--host--20260101T000000Z`;
    const base = {
      run_id: run,
      cell_id: index.toString(16).padStart(12, '0'),
      model,
      parameters,
      format,
      runner,
      kernel,
      device,
      workload: `p${128 << (pass % 8)}-g64${pass > 7 ? `-${pass}` : ''}`,
      bits_per_weight: bits,
    };
    if (vram !== null && bytes > 0.9 * vram * GIB) {
      const reason = `needs ${(bytes / GIB).toFixed(1)} GiB, the device has ${vram} GiB`;
      rows.push(simulatedRow({...base, status: 'does-not-fit', status_reason: reason, rounds: 0, requests: 0}));
      continue;
    }
    const ending = ({29: 'crashed', 38: 'timeout', 47: 'invalid', 12: 'waiting', 31: 'unsupported'} as const)[
      index % 50
    ];
    if (ending !== undefined) {
      rows.push(simulatedRow({...base, status: ending, status_reason: 'made up', rounds: 0, requests: 0}));
      continue;
    }
    const wobble = 1 + 0.07 * Math.sin(index * 1.7);
    const ratio = (0.42 + 0.05 * gain) * wobble;
    const decode = (ratio * bandwidth) / bytes;
    const prefill = decode * 11 * wobble;
    const p50 = 1000 * (64 / decode + 128 / prefill);
    rows.push(
      simulatedRow({
        ...base,
        decode_tokens_per_s: decode,
        decode_tokens_per_s_ci_low: decode * 0.97,
        decode_tokens_per_s_ci_high: decode * 1.03,
        prefill_tokens_per_s: prefill,
        prefill_tokens_per_s_ci_low: prefill * 0.95,
        prefill_tokens_per_s_ci_high: prefill * 1.05,
        output_tokens_per_s: 64_000 / p50,
        requests_per_s: 1000 / p50,
        latency_ms_p50: p50,
        latency_ms_p90: p50 * 1.12,
        latency_ms_p90_ci_low: p50 * 1.08,
        latency_ms_p90_ci_high: p50 * 1.2,
        latency_ms_p99: index % 3 === 0 ? p50 * 1.5 : null,
        ram_peak_bytes: Math.round(GIB + (vram === null ? bytes : 0)),
        ram_anonymous_peak_bytes: Math.round(GIB),
        ram_file_peak_bytes: Math.round(vram === null ? bytes : GIB / 4),
        vram_baseline_bytes: vram === null ? null : Math.round(GIB / 2),
        vram_peak_bytes: vram === null ? null : Math.round(bytes + 1.4 * GIB),
        vram_allocated_peak_bytes: vram === null || runner !== 'transformers' ? null : Math.round(bytes + GIB),
        energy_j_per_token: vram === null ? null : 300 / decode,
        energy_source: vram === null ? null : 'nvml-counter',
        memory_bandwidth_bytes_per_s: bandwidth,
        bytes_per_token: Math.round(bytes),
        bandwidth_ratio: ratio,
        quality_value: 0.9 - 0.02 * (16 / bits) * wobble,
        quality_ci_low: 0.85 - 0.02 * (16 / bits) * wobble,
        quality_ci_high: 0.94 - 0.02 * (16 / bits) * wobble,
        quality_n: 200,
        price_usd_per_hour: price,
        price_date: '2026-01-01',
        usd_per_1m_output_tokens: (price / (3600 * (64_000 / p50))) * 1e6,
        caveats: index % 7 === 0 ? 'rounds-differ=1.09 simulated' : 'simulated',
      }),
    );
  }
  return rows;
}

/** Three rounds of requests around the latency of each row; the second round is slower. */
export function simulatedRequests(rows: readonly ResultRow[], aRound = 12): RequestRow[] {
  return rows.flatMap((row) =>
    row.latency_ms_p50 === null
      ? []
      : [0, 1, 2].flatMap((round) =>
          Array.from({length: aRound}, (_, request) => {
            const latency = Math.round(
              1000 * (row.latency_ms_p50 ?? 0) * (1 + 0.02 * Math.sin(request * 2.3) + (round === 1 ? 0.06 : 0)),
            );
            return {
              run_id: row.run_id,
              cell_id: row.cell_id,
              round,
              request,
              lane: 0,
              start_us: request * latency,
              prompt_tokens: 128,
              evaluated_tokens: 128,
              cached_tokens: 0,
              generated_tokens: 64,
              batch: 1,
              ttft_us: Math.round(latency / 10),
              latency_us: latency,
              correct: null,
              outlier: null,
              token_us: null,
            };
          }),
        ),
  );
}

export function simulatedManifest(runId: string): Manifest {
  return {
    schema: 1,
    runId,
    matrix: 'made',
    matrixSha256: '0'.repeat(64),
    matrixText: '',
    planId: 'plan',
    command: 'bench matrix matrices/made.yaml',
    harnessVersion: '0.1.0',
    gitCommit: null,
    startedAt: '2026-01-01T00:00:00.000Z',
    finishedAt: '2026-01-01T01:00:00.000Z',
    host: {
      host: 'host',
      os: 'Made-up Linux 1',
      kernelRelease: '6.0',
      node: 'v20.0.0',
      virtualization: null,
      cpuModel: 'Made-up CPU',
      cores: 8,
      isa: 'avx2',
      ramBytes: 16 * GIB,
      cgroupLimitBytes: null,
      driver: null,
      cuda: null,
      devices: [],
    },
    caveats: [],
    samplers: [],
  };
}

/** Everything that a report can be given, made up: `count` cells. */
export function simulatedInput(count: number): ReportInput {
  const rows = simulatedRows(count);
  const runs = [...new Set(rows.map((row) => row.run_id ?? ''))].map((runId) => ({
    manifest: simulatedManifest(runId),
    rows: rows.filter((row) => row.run_id === runId),
  }));
  const ok = rows.filter((row) => row.status === 'ok');
  const time = Array.from({length: 120}, (_, index) => index * 50);
  return {
    title: 'Simulated report',
    runs,
    rows,
    requests: simulatedRequests(ok.slice(0, 40)),
    devices: DEVICES.map(([name, , vram]) => ({
      name,
      kind: vram === null ? 'cpu' : 'cuda',
      memoryBytes: (vram ?? 16) * GIB,
    })),
    attributions: ok
      .filter((row) => (row.bits_per_weight ?? 16) < 16)
      .slice(0, 30)
      .map((row, index) => ({
        row,
        phase: index % 2 === 0 ? 'decode' : 'prefill',
        total: {ratio: 1.25 * 3.2 * 0.5, low: 1.9, high: 2.1},
        factors: [
          {name: 'runtime', ratio: 1.25, low: 1.2, high: 1.3, note: 'llama-cpp ÷ transformers'},
          {name: 'format', ratio: 3.2, low: 3.2, high: 3.2, note: 'bytes'},
          index % 5 === 0
            ? {name: 'kernel', ratio: null, low: null, high: null, note: 'no other kernel'}
            : {name: 'kernel', ratio: 1, low: 1, high: 1, note: 'the fastest kernel'},
          {name: 'rest', ratio: 0.5, low: 0.48, high: 0.52, note: 'unpacking'},
        ],
        missing: [],
      })),
    decisions: [
      {
        need: 'Chat for a shop',
        wants: 'p90 <= 800 ms, 1 000 requests/h',
        verdict: 'recommended',
        reason: 'gguf-q4_k_m on t4 serves the need at $0.12 per 1 000 requests; the next costs × 1.40.',
        recommended: {
          name: 'gguf-q4_k_m on t4',
          cost: '$81 a month, 1 machine',
          row: {run_id: ok[0]?.run_id ?? '', cell_id: ok[0]?.cell_id ?? ''},
        },
        runnerUp: {name: 'fp16 on a100-80gb', cost: null, row: null},
        sure: 'The intervals do not touch.',
        notMeasured: ['h200: not measured'],
        excluded: [{name: 'fp16 on ryzen-7-5800hs', reason: 'p90 of 9000 ms is above 800 ms'}],
      },
    ],
    claims: [
      {verdict: 'reproduced', ratio: {ratio: 5.6, low: 5.1, high: 6.2}, device: 'ryzen-7-5800hs'},
      {verdict: 'contradicted', ratio: {ratio: 0.9, low: 0.8, high: 1.1}, device: 't4'},
      {verdict: 'not measured', ratio: null, device: null},
    ].map((one, index) => ({
      ...one,
      claim: 'speed-up',
      sentence: 'A made-up sentence of a publication that claims a speed-up of five times',
      says: `4-bit is ${5 + index} times as fast as 16 bit`,
      expected: 5 + index,
      reason: 'made up',
      cell: 'gguf-q4_k_m',
      against: 'gguf-f16',
      workload: 'p128-g64',
      command: null,
    })),
    telemetry: {
      run_id: ok[0]?.run_id ?? '',
      cell_id: ok[0]?.cell_id ?? '',
      round: 0,
      phases: [
        {name: 'baseline', tMs: 0},
        {name: 'load', tMs: 400},
        {name: 'warmup', tMs: 1500},
        {name: 'measure', tMs: 2500},
      ],
      series: [
        {channel: 'ram_pss_bytes', tMs: time, values: time.map((t) => Math.min(t / 1500, 1) * 4 * GIB)},
        {channel: 'ram_anonymous_bytes', tMs: time, values: time.map((t) => (t < 100 ? null : GIB))},
        {channel: 'gpu_power_w', tMs: time, values: time.map((t) => 60 + 20 * Math.sin(t / 300))},
        {channel: 'gpu_sm_clock_hz', tMs: time, values: time.map(() => 1.41e9)},
      ],
    },
  };
}
