import {describe, expect, it} from 'vitest';
import type {ResultRow} from '../../../harness/contract/columns.ts';
import {CHARTS} from '../../../reports/all-charts.ts';
import {findings} from '../../../reports/findings.ts';
import {ahead, comparisons} from '../../../reports/side-by-side.ts';
import {simulatedRow} from '../../support/report-rows.ts';

const DECODE = 'decode_tokens_per_s';
let last = 0;
const row = (device: string, speed: number, over: Partial<ResultRow> = {}): ResultRow =>
  simulatedRow({
    cell_id: String(last++),
    run_id: `run-${device}`,
    device,
    decode_tokens_per_s: speed,
    decode_tokens_per_s_ci_low: speed * 0.95,
    decode_tokens_per_s_ci_high: speed * 1.05,
    ...over,
  });
const lines = (rows: readonly ResultRow[]) =>
  comparisons(rows, DECODE).map(({panel, label, cells}) => [panel, label, cells.map(({device}) => device)]);

describe('cells that differ in nothing but the device', () => {
  it('stand on one line, whatever their kernel is called there', () => {
    const rows = [row('amd', 20, {kernel: 'cpu-zen4'}), row('t4', 100, {kernel: 'cuda'})];
    expect(lines(rows)).toEqual([['tiny · p64-g16', 'gguf-q4_k_m · llama-cpp', ['amd', 't4']]]);
  });

  it('keep kernels apart where a device has several of them', () => {
    const gptq = {format: 'gptq-4bit', runner: 'transformers'};
    const rows = [
      row('amd', 0.2, {...gptq, kernel: 'dequant-eager'}),
      row('amd', 15, {...gptq, kernel: 'int4pack-cpu'}),
      row('t4', 2, {...gptq, kernel: 'dequant-eager'}),
      row('t4', 60, {...gptq, kernel: 'marlin'}),
    ];
    expect(lines(rows)).toEqual([['tiny · p64-g16', 'gptq-4bit · transformers · dequant-eager', ['amd', 't4']]]);
  });

  it('are apart from those with a capped instruction set, another workload or another batch', () => {
    const rows = [
      row('amd', 20),
      row('t4', 100, {workload: 'other'}),
      row('t4', 100, {batch: 8}),
      row('intel', 18, {caveats: 'isa-capped=avx2 simulated'}),
    ];
    expect(lines(rows)).toEqual([]);
    expect(lines([...rows, row('amd', 19, {caveats: 'isa-capped=avx2'})])).toEqual([
      ['tiny · p64-g16', 'gguf-q4_k_m · llama-cpp · avx2 only', ['amd', 'intel']],
    ]);
  });

  it('stand panel by panel, whichever device ran a format first', () => {
    const long = {workload: 'long'};
    const rows = [
      row('a', 20),
      row('a', 9, long),
      ...['b', 'c'].flatMap((device) => [
        row(device, 20),
        row(device, 9, long),
        row(device, 5, {format: 'gguf-f16', bits_per_weight: 16}),
        row(device, 19, {caveats: 'isa-capped=avx2'}),
      ]),
    ];
    expect(lines(rows)).toEqual([
      ['tiny · long', 'gguf-q4_k_m · llama-cpp', ['a', 'b', 'c']],
      ['tiny · p64-g16', 'gguf-f16 · llama-cpp', ['b', 'c']],
      ['tiny · p64-g16', 'gguf-q4_k_m · llama-cpp', ['a', 'b', 'c']],
      ['tiny · p64-g16', 'gguf-q4_k_m · llama-cpp · avx2 only', ['b', 'c']],
    ]);
  });

  it('need a figure, and two devices', () => {
    const failed = row('t4', 1, {status: 'crashed'});
    const empty = row('h200', 1, {decode_tokens_per_s: null});
    expect(lines([row('amd', 20), row('amd', 21, {host: 'b'}), failed, empty])).toEqual([]);
  });
});

describe('the device ahead', () => {
  const judged = (...rows: readonly ResultRow[]) => {
    const [line] = comparisons(rows, DECODE);
    const found = line === undefined ? null : ahead(line, DECODE);
    return found === null ? null : [found.first.device, found.next.device, found.times, found.apart];
  };

  it('is the fastest, against the next device, when their intervals do not touch', () => {
    expect(judged(row('amd', 20), row('intel', 30), row('t4', 60))).toEqual(['t4', 'intel', 2, true]);
    // The second host of the same device is no other device.
    expect(judged(row('t4', 60), row('t4', 58, {host: 'b'}), row('amd', 20))).toEqual(['t4', 'amd', 3, true]);
  });

  it('is none where intervals touch, or where there are none', () => {
    expect(judged(row('amd', 20), row('intel', 21))?.[3]).toBe(false);
    const bare = {decode_tokens_per_s_ci_low: null, decode_tokens_per_s_ci_high: null};
    expect(judged(row('amd', 20, bare), row('intel', 90, bare))?.[3]).toBe(false);
  });

  it('is told among the findings and on the chart', () => {
    const rows = [
      ...[row('amd', 20), row('intel', 30)],
      ...[row('amd', 10, {format: 'gguf-f16'}), row('intel', 10.1, {format: 'gguf-f16'})],
    ];
    const texts = findings({title: '', runs: [], rows, requests: []}).map(({lead, text}) => `${lead}: ${text}`);
    expect(texts).toContain(
      'Device by device, decode of tiny · p64-g16: of 2 formats and engines faster on intel in 1, not told apart in 1; the largest difference: gguf-q4_k_m · llama-cpp, intel 1.50× as fast as amd.',
    );
    const chart = CHARTS.find(({id}) => id === 'device-decode');
    const text = JSON.stringify(chart?.spec({title: '', runs: [], rows, requests: []}));
    expect(text).toContain('"figure":"intel 1.50× amd"');
    expect(text).toContain('"figure":"not told apart"');
  });
});

it('a row without a price of its own is priced by the day of the report, never where there is no price', () => {
  const priced = {
    output_tokens_per_s: 10,
    latency_ms_p90: 900,
    latency_ms_p90_ci_low: 880,
    latency_ms_p90_ci_high: 950,
  };
  const rows = [
    row('amd', 20, priced),
    row('t4', 20, {...priced, usd_per_1m_output_tokens: 7, price_date: '2025-01-01'}),
    row('mine', 20, priced),
  ];
  const prices = ['amd', 't4'].map((device) => ({device, usdPerHour: 0.36, date: '2026-01-19'}));
  const chart = CHARTS.find(({id}) => id === 'cost-latency');
  const text = JSON.stringify(chart?.spec({title: '', runs: [], rows, requests: [], prices}));
  // 0.36 USD buy 36 000 tokens.
  expect(text).toContain('10.0 USD, 900 (880–950) ms, price of 2026-01-19');
  expect(text).toContain('7.00 USD, 900 (880–950) ms, price of 2025-01-01');
  expect(text).not.toContain('"device":"mine"');
  expect(chart?.spec({title: '', runs: [], rows, requests: []})).not.toBeNull();
});
