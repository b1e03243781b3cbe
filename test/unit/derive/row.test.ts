import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {COLUMN_NAMES} from '../../../harness/contract/columns.ts';
import type {JournalRecord} from '../../../harness/contract/journal.ts';
import type {RequestEvent} from '../../../harness/contract/protocol.ts';
import {cellRecords} from '../../../harness/derive/cell-records.ts';
import {requestRows} from '../../../harness/derive/request-rows.ts';
import {bandwidthsOf, resultRow, resultRows} from '../../../harness/derive/row.ts';
import {speedFigures, speedFiguresOfRows} from '../../../harness/derive/speed.ts';
import {roundTimings} from '../../../harness/derive/timing.ts';
import {buildCell, buildManifest, buildRequest, buildRound, buildStat, planned, WEIGHTS} from './build.ts';

const cell = buildCell();
const manifest = buildManifest();

/** Ten requests a round: 8 prompt tokens in 100 ms, then 4 tokens at 20 ms, so 50 tokens/s, latency 180 ms. */
const tenRequests = (slower = 1): RequestEvent[] =>
  Array.from({length: 10}, (_, index) => buildRequest(index, {ttftUs: 100_000 * slower, tpotUs: 20_000 * slower}));

function golden(): JournalRecord[] {
  const stats = [
    buildStat('ram_pss_bytes', {max: 900e6}),
    buildStat('ram_rss_bytes', {max: 950e6}),
    buildStat('ram_rss_bytes', {phase: 'load', max: 1_200e6}),
    buildStat('ram_anonymous_bytes', {max: 100e6}),
    buildStat('ram_file_bytes', {max: 850e6}),
    buildStat('cpu_steal_ratio', {mean: 0.002}),
    buildStat('rapl_package_j', {first: 1000, last: 1450, spanS: 10}),
    buildStat('cpu_temperature_c', {max: 81}),
  ];
  return [
    {type: 'run_started', schema: 1, runId: manifest.runId, at: manifest.startedAt},
    {type: 'bandwidth', device: cell.device, threads: 8, bytesPerS: 45e9, at: manifest.startedAt},
    {type: 'bandwidth', device: cell.device, threads: 4, bytesPerS: 30e9, at: manifest.startedAt},
    planned(cell),
    {type: 'weights', cellId: cell.id, weights: WEIGHTS},
    ...[0, 1, 2].flatMap((round) =>
      buildRound(cell.id, round, tenRequests(), {stats, energyJ: 450, energySource: 'rapl-package'}),
    ),
  ];
}

function rowOf(records: readonly JournalRecord[]) {
  const [record] = cellRecords(records);
  if (record === undefined) throw new Error('no cell');
  return resultRow(record, manifest, bandwidthsOf(records));
}

describe('resultRow', () => {
  it('turns the golden journal into its row', () => {
    const [record] = cellRecords(golden());
    if (record === undefined) throw new Error('no cell');
    const prices = new Map([[cell.device, {usdPerHour: 0.36, date: '2026-11-01'}]]);
    expect(resultRow(record, manifest, bandwidthsOf(golden()), prices)).toMatchInlineSnapshot(`
      {
        "architecture": "llama-3.2-1b",
        "bandwidth_ratio": 0.897049,
        "batch": 1,
        "bits_per_weight": 5.224,
        "bytes_per_token": 807344064,
        "caveats": "synthetic-weights",
        "cell_id": "0123456789ab",
        "concurrency": 1,
        "cpu_steal_ratio": 0.002,
        "cuda": null,
        "decode_tokens_per_s": 50,
        "decode_tokens_per_s_ci_high": 50,
        "decode_tokens_per_s_ci_low": 50,
        "device": "ryzen-7-5800hs",
        "device_name": "AMD Ryzen 7 5800HS",
        "driver": null,
        "dtype": "f16",
        "ended_at": "2026-11-23T12:01:00.000Z",
        "energy_j": 1350,
        "energy_j_per_token": 9,
        "energy_source": "rapl-package",
        "engine_build": "prebuilt 0.5.0",
        "format": "gguf-q4_k_m",
        "generated_tokens": 5,
        "git_commit": "abc1234",
        "gpu_layers": 0,
        "host": "host",
        "isa": "avx2",
        "kernel": "cpu-haswell",
        "kernel_release": "6.8.0",
        "latency_ms_p50": 180,
        "latency_ms_p90": 180,
        "latency_ms_p90_ci_high": 180,
        "latency_ms_p90_ci_low": 180,
        "latency_ms_p99": null,
        "load_ms": 250,
        "matrix": "golden",
        "matrix_sha256": "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "memory_bandwidth_bytes_per_s": 45000000000,
        "model": "llama-3.2-1b",
        "node": "20.19.0",
        "os": "Ubuntu 24.04",
        "output_tokens_per_s": 27.7778,
        "output_tokens_per_s_ci_high": 27.7778,
        "output_tokens_per_s_ci_low": 27.7778,
        "parameters": 1235814400,
        "power_w_mean": 45,
        "prefill_tokens_per_s": 80,
        "prefill_tokens_per_s_ci_high": 80,
        "prefill_tokens_per_s_ci_low": 80,
        "prefix_cache": "off",
        "price_date": "2026-11-01",
        "price_usd_per_hour": 0.36,
        "prompt_tokens": 8,
        "quality_ci_high": null,
        "quality_ci_low": null,
        "quality_metric": null,
        "quality_n": null,
        "quality_value": null,
        "ram_anonymous_peak_bytes": 100000000,
        "ram_file_peak_bytes": 850000000,
        "ram_load_peak_bytes": 1200000000,
        "ram_peak_bytes": 900000000,
        "ram_rss_peak_bytes": 950000000,
        "requests": 30,
        "requests_per_s": 5.55556,
        "requests_per_s_ci_high": 5.55556,
        "requests_per_s_ci_low": 5.55556,
        "rounds": 3,
        "run_id": "golden--ryzen-7-5800hs--host--20261123T120000Z",
        "runner": "llama-cpp",
        "runner_version": "3.22.1",
        "schema_version": 1,
        "sm_clock_hz_median": null,
        "started_at": "2026-11-23T12:00:00.000Z",
        "status": "ok",
        "status_reason": null,
        "temperature_c_max": 81,
        "threads": 8,
        "throttled_ratio": null,
        "tpot_ms_p50": 20,
        "tpot_ms_p90": 20,
        "tpot_ms_p99": null,
        "ttft_ms_p50": 100,
        "ttft_ms_p90": 100,
        "ttft_ms_p99": null,
        "usd_per_1k_requests": 0.018,
        "usd_per_1m_output_tokens": 3.6,
        "vram_allocated_peak_bytes": null,
        "vram_baseline_bytes": null,
        "vram_peak_bytes": null,
        "vram_process_peak_bytes": null,
        "weights_bytes": 807000000,
        "weights_sha256": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "weights_source": "synthetic:llama-3.2-1b seed 1",
        "workload": "chat",
      }
    `);
  });

  it('has every column, in order', () => {
    expect(Object.keys(rowOf(golden()))).toEqual(COLUMN_NAMES);
  });

  it('lets the first round that failed decide, and still counts the others', () => {
    const [start, ...rest] = golden();
    const failed = buildRound(cell.id, 1, [buildRequest(0)], {
      status: 'crashed',
      reason: 'signal SIGSEGV',
      attempt: 'again',
    });
    const row = rowOf([...(start === undefined ? [] : [start]), ...rest, ...failed]);
    expect(row).toMatchObject({status: 'crashed', status_reason: 'signal SIGSEGV', rounds: 2, requests: 20});
    expect(row.decode_tokens_per_s).toBe(50);
    expect(row.caveats).toContain('interrupted-rounds=2/3');
  });

  it('says what a dead cell had in memory, and gives no speed', () => {
    const row = rowOf([
      planned(cell),
      ...buildRound(cell.id, 0, [], {
        status: 'does-not-fit',
        reason: 'killed by the kernel',
        stats: [buildStat('ram_rss_bytes', {phase: 'load', max: 15e9})],
      }),
    ]);
    expect(row).toMatchObject({
      status: 'does-not-fit',
      rounds: 0,
      requests: 0,
      ram_load_peak_bytes: 15e9,
      ram_peak_bytes: null,
      decode_tokens_per_s: null,
      latency_ms_p50: null,
    });
  });

  it('gives waiting and refused cells a row without figures', () => {
    expect(rowOf([planned(cell, {verdict: 'waiting', reason: 'waits for a t4'})])).toMatchObject({
      status: 'waiting',
      status_reason: 'waits for a t4',
      rounds: null,
      requests: null,
      caveats: null,
    });
    expect(
      rowOf([planned(cell, {verdict: 'refused', reason: 'llama.cpp reads GGUF only', refusedAs: 'unsupported'})]),
    ).toMatchObject({status: 'unsupported', status_reason: 'llama.cpp reads GGUF only', started_at: null});
  });

  it('shows p90 from 29 requests on, and p99 from 299 on', () => {
    const withRequests = (n: number) =>
      rowOf([
        planned(buildCell({rounds: 1})),
        ...buildRound(
          cell.id,
          0,
          Array.from({length: n}, (_, i) => buildRequest(i)),
        ),
      ]);
    expect(withRequests(28)).toMatchObject({latency_ms_p90: null, ttft_ms_p90: null, latency_ms_p90_ci_low: null});
    expect(withRequests(28).caveats).toContain('few-requests=28');
    expect(withRequests(29)).toMatchObject({latency_ms_p90: 180, latency_ms_p90_ci_low: 180, latency_ms_p99: null});
    expect(withRequests(299).latency_ms_p99).toBe(180);
  });

  it('leaves TTFT and TPOT empty when tokens were not streamed', () => {
    const requests = Array.from({length: 10}, (_, index) =>
      buildRequest(index, {tokens: 1, tokenNs: [index * 1e9 + 180e6], startNs: index * 1e9}),
    );
    const row = rowOf([planned(cell), ...buildRound(cell.id, 0, requests, {loadedCaveats: ['tokens-not-streamed']})]);
    expect(row).toMatchObject({
      ttft_ms_p50: null,
      tpot_ms_p50: null,
      prefill_tokens_per_s: null,
      decode_tokens_per_s: null,
      latency_ms_p50: 180,
      generated_tokens: 5,
    });
    expect(row.output_tokens_per_s).toBeCloseTo(5 / 0.18, 3);
    expect(row.caveats).toContain('tokens-not-streamed');
  });

  it('counts all sequences of a batch, and all lanes of a load', () => {
    const batched = buildCell({}, {batch: 4, concurrency: 2});
    const requests = Array.from({length: 10}, (_, index) => buildRequest(index, {batch: 4}));
    const row = rowOf([planned(batched), ...buildRound(cell.id, 0, requests)]);
    expect(row).toMatchObject({prefill_tokens_per_s: 320, decode_tokens_per_s: 200, tpot_ms_p50: 20});
    expect(row.output_tokens_per_s).toBeCloseTo((2 * 4 * 5) / 0.18, 3);
    expect(row.requests_per_s).toBeCloseTo((2 * 4) / 0.18, 3);
    // Whether two lanes share a pass over the weights, only the engine knows.
    expect(row.bandwidth_ratio).toBeNull();
  });

  it('says that weights which lie in the cache have no roofline', () => {
    const cached = golden().map((record) => (record.type === 'bandwidth' ? {...record, cacheBytes: 2 ** 30} : record));
    expect(rowOf(cached)).toMatchObject({
      bandwidth_ratio: 0.897049,
      caveats: 'in-cache=807344064/1073741824 synthetic-weights',
    });
    const slow = golden().map((record) => (record.type === 'bandwidth' ? {...record, bytesPerS: 20e9} : record));
    expect(rowOf(slow).caveats).toBe('above-roofline=2.02 synthetic-weights');
  });

  it('judges answers, but never those of random weights', () => {
    const requests = Array.from({length: 10}, (_, index) => buildRequest(index, {correct: index < 9}));
    const real = {...WEIGHTS, synthetic: false};
    const journal = (weights: typeof WEIGHTS): JournalRecord[] => [
      planned(cell),
      {type: 'weights', cellId: cell.id, weights},
      ...buildRound(cell.id, 0, requests),
    ];
    expect(rowOf(journal(real))).toMatchObject({
      quality_metric: 'exact-match',
      quality_value: 0.9,
      quality_ci_low: 0.59585,
      quality_ci_high: 0.982124,
      quality_n: 10,
    });
    expect(rowOf(journal(WEIGHTS))).toMatchObject({quality_metric: null, quality_value: null, quality_n: null});
  });

  it('gives an energy only when every round has one', () => {
    const rounds = [0, 1].flatMap((round) =>
      buildRound(cell.id, round, tenRequests(), round === 0 ? {energyJ: 10, energySource: 'rapl-package'} : {}),
    );
    expect(rowOf([planned(cell), ...rounds])).toMatchObject({energy_j: null, energy_source: null, power_w_mean: null});
  });

  it('measures VRAM over the baseline of its own round', () => {
    const stats = (base: number, top: number) => [
      buildStat('vram_used_bytes', {phase: 'baseline', median: base}),
      buildStat('vram_used_bytes', {max: top}),
    ];
    const row = rowOf([
      planned(buildCell({device: 't4', deviceKind: 'cuda'})),
      ...buildRound(cell.id, 0, tenRequests(), {stats: stats(1e9, 4e9)}),
      ...buildRound(cell.id, 1, tenRequests(), {stats: stats(2e9, 4.5e9)}),
    ]);
    expect(row).toMatchObject({vram_baseline_bytes: 1.5e9, vram_peak_bytes: 3e9});
  });

  it('names what telemetry and rounds say against the row', () => {
    const stats = [
      buildStat('cpu_foreign_cores', {mean: 0.4}),
      buildStat('cpu_steal_ratio', {mean: 0.05}),
      buildStat('ram_swap_bytes', {max: 4096}),
      buildStat('ram_pss_bytes', {n: 80, gaps: 20}),
      buildStat('gpu_throttled_ratio', {mean: 0.5}),
      buildStat('gpu_sm_clock_busy_hz', {min: 1e9, max: 1.5e9, median: 1.25e9}),
    ];
    const slow = [1, 1.1, 1.3].flatMap((factor, round) => buildRound(cell.id, round, tenRequests(factor), {stats}));
    const caveats = rowOf([planned(cell), ...slow]).caveats?.split(' ');
    expect(caveats).toEqual([
      'clocks-spread=0.40',
      'cpu-steal=0.050',
      'foreign-cpu=0.40',
      'rounds-differ=0.300',
      'sampler-gaps=0.20',
      'swapped=4096',
      'throttled=0.50',
    ]);
  });

  it('keeps the worst value of a caveat that several rounds give', () => {
    const rounds = ['0.10', '0.90'].flatMap((value, round) =>
      buildRound(cell.id, round, tenRequests(), {caveats: [{code: 'foreign-gpu', value}]}),
    );
    expect(rowOf([planned(buildCell({rounds: 2})), ...rounds]).caveats).toContain('foreign-gpu=0.90');
  });

  it('says when another kernel ran than the one asked for', () => {
    const asked = buildCell({kernel: 'cpu-zen4'});
    const journal = [planned(asked), ...buildRound(cell.id, 0, tenRequests(), {kernel: 'cpu-haswell'})];
    expect(rowOf(journal).caveats).toContain('kernel-substituted=cpu-haswell');
    expect(rowOf(journal).kernel).toBe('cpu-haswell');
  });
});

describe('resultRows', () => {
  it('sorts by cell id, and marks every row that ran when the canary came back slower', () => {
    const other = buildCell({id: '000000000000'});
    const rows = resultRows(
      [
        ...golden(),
        planned(other),
        ...buildRound(other.id, 0, tenRequests()),
        ...buildRound(cell.id, 0, tenRequests(1.25), {canary: true}),
      ],
      manifest,
    );
    expect(rows.map((row) => row.cell_id)).toEqual([other.id, cell.id]);
    expect(rows.every((row) => row.caveats?.includes('host-drift=0.80'))).toBe(true);
  });
});

describe('requests.csv', () => {
  const us = fc.integer({min: 1, max: 3_000_000});
  const request = fc.record({
    startNs: fc.integer({min: 0, max: 2 ** 50}),
    gaps: fc.array(us, {minLength: 5, maxLength: 5}),
    fraction: fc.integer({min: 0, max: 999}),
  });

  it('gives every figure of speed again, to the last bit', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(request, {minLength: 1, maxLength: 20}), {minLength: 1, maxLength: 4}),
        (rounds) => {
          const journal = rounds.flatMap((requests, round) =>
            buildRound(
              cell.id,
              round,
              requests.map(({startNs, gaps, fraction}, index) => {
                let at = startNs;
                const tokenNs = gaps.map((gap) => {
                  at += gap * 1000 + fraction;
                  return at;
                });
                return buildRequest(index, {startNs, tokenNs});
              }),
            ),
          );
          const [record] = cellRecords([planned(cell), ...journal]);
          if (record === undefined) throw new Error('no cell');
          const fromJournal = speedFigures(
            record.rounds.map((round) => roundTimings(round, 5)),
            1,
          );
          expect(speedFiguresOfRows(requestRows(record, 'run'), 1)).toEqual(fromJournal);
        },
      ),
      {numRuns: 50},
    );
  });

  it('holds differences between tokens that add up to the latency, and marks outliers', () => {
    const requests = tenRequests().map((request, index) =>
      index === 3 ? buildRequest(3, {ttftUs: 900_000}) : request,
    );
    const [record] = cellRecords([planned(cell), ...buildRound(cell.id, 0, requests)]);
    if (record === undefined) throw new Error('no cell');
    const rows = requestRows(record, 'run');
    expect(rows[0]).toEqual({
      run_id: 'run',
      cell_id: cell.id,
      round: 0,
      request: 0,
      lane: 0,
      start_us: 0,
      prompt_tokens: 8,
      evaluated_tokens: 8,
      cached_tokens: 0,
      generated_tokens: 5,
      batch: 1,
      ttft_us: 100_000,
      latency_us: 180_000,
      correct: null,
      outlier: null,
      token_us: '100000 20000 20000 20000 20000',
    });
    expect(rows.map(({outlier}) => outlier)).toEqual([null, null, null, 'severe', null, null, null, null, null, null]);
  });
});
