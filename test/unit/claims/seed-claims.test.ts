import {readFileSync} from 'node:fs';
import {describe, expect, it} from 'vitest';
import {parse} from 'yaml';
import {parseClaims} from '../../../harness/claims/parse-claims.ts';
import {parsePrices} from '../../../harness/claims/parse-prices.ts';
import {claimsLedger} from '../../../harness/claims/verdict.ts';
import {MatrixSchema} from '../../../harness/contract/matrix.ts';
import {buildMeasured, type CellInput} from './build.ts';

const folder = new URL('../../../matrices/', import.meta.url);
const read = (name: string) => readFileSync(new URL(name, folder), 'utf8');
const prices = parsePrices(read('prices.yaml'), 'prices.yaml');
const load = (name: string) => parseClaims(read(`claims/${name}.yaml`), name, prices);
const steady = (us: number): number[] => [us, us * 1.001, us * 0.999];

/** Bytes of the tensors of Gemma 2B as `bench weights` makes them. */
const GEMMA = {q4: 1_623_269_376, f16: 5_012_543_488, fp16: 5_012_344_832, fp32: 10_024_689_664};

describe('claims of Mercari', () => {
  const claims = load('mercari-2024');
  const cell = (over: CellInput) => buildMeasured({model: 'gemma-2b', workload: 'attributes', device: 'host', ...over});
  const q4 = (over: CellInput = {}) => cell({cell_id: 'a', weights_bytes: GEMMA.q4, bits_per_weight: 5.18, ...over});
  const others = [
    cell({cell_id: 'b', format: 'gguf-f16', weights_bytes: GEMMA.f16}),
    cell({cell_id: 'c', format: 'fp16', runner: 'transformers', weights_bytes: GEMMA.fp16}),
    cell({cell_id: 'd', format: 'fp32', runner: 'transformers', weights_bytes: GEMMA.fp32}),
  ];
  const smaller = (cells: Parameters<typeof claimsLedger>[1]) =>
    claimsLedger(claims, cells).filter(({claim, device}) => claim === 'smaller' && device !== null);

  it('contradicts "95 % smaller" by the bytes of the files alone, whatever device wrote them', () => {
    const entries = smaller([q4(), ...others]);
    expect(
      entries.map(({reading, verdict, ratio, expected}) => [reading, verdict, ratio?.ratio.toFixed(3), expected]),
    ).toMatchInlineSnapshot(`
        [
          [
            "against-16-bit",
            "contradicted",
            "0.324",
            0.05,
          ],
          [
            "against-16-bit-safetensors",
            "contradicted",
            "0.324",
            0.05,
          ],
          [
            "against-32-bit",
            "contradicted",
            "0.162",
            0.05,
          ],
          [
            "bits",
            "contradicted",
            "6.475",
            0.8,
          ],
        ]
      `);
  });

  it('would have believed a file that is 95 % smaller', () => {
    const [entry] = smaller([q4({weights_bytes: GEMMA.f16 * 0.05}), ...others]);
    expect(entry).toMatchObject({verdict: 'reproduced', reading: 'against-16-bit'});
  });

  it('tells the same file only once, however many devices and workloads ran it', () => {
    const again = [
      q4({cell_id: 'e', device: 'a100-80gb'}),
      cell({cell_id: 'f', device: 'a100-80gb', format: 'gguf-f16', weights_bytes: GEMMA.f16}),
    ];
    expect(smaller([q4(), ...others, ...again]).filter(({reading}) => reading === 'against-16-bit')).toHaveLength(1);
  });

  it('sets the rent of the device against the list price of the same tokens, both dated', () => {
    // 100 + 5 tokens at 0.5 and 1.5 USD a million: 0.0575 USD a thousand requests.
    // Whatever price the row carries: the reading names one of prices.yaml, 1.39 USD an hour.
    const a100 = (usd: number) =>
      q4({
        device: 'a100-80gb',
        rounds: 3,
        requests_per_s: 1.39 / 3.6 / usd,
        requests_per_s_ci_low: (0.99 * 1.39) / 3.6 / usd,
        requests_per_s_ci_high: (1.01 * 1.39) / 3.6 / usd,
        usd_per_1k_requests: 7,
        price_usd_per_hour: 99,
        price_date: '2020-01-01',
      });
    const ledger = (usd: number) => claimsLedger(claims, [a100(usd)]).find(({reading}) => reading === 'one-at-a-time');
    expect(ledger(0.0575 / 20)).toMatchObject({
      verdict: 'reproduced',
      cell: 'gguf-q4_k_m llama-cpp cpu-haswell at 1.39 USD/h of 2026-11-09',
      against: 'OpenAI gpt-3.5-turbo-0125, list price of 2024-01-25',
    });
    expect(ledger(0.0575 / 20)?.ratio?.ratio).toBeCloseTo(1 / 20, 6);
    expect(ledger(0.0575 / 2)).toMatchObject({verdict: 'direction only', reason: 'of another size'});
    expect(ledger(0.0575 * 2)).toMatchObject({verdict: 'contradicted', reason: 'the opposite effect'});
  });

  it('takes the price of the row on a device that the named offer is not about, and none where it has none', () => {
    const here = (price: number | null) =>
      q4({
        tpotUs: steady(5000),
        usd_per_1k_requests: price === null ? null : 0.01,
        price_usd_per_hour: price,
        price_date: '2026-10-01',
      });
    const found = (price: number | null) =>
      claimsLedger(claims, [here(price)]).find(({reading}) => reading === 'one-at-a-time');
    expect(found(0.2)).toMatchObject({
      verdict: 'direction only',
      device: 'host',
      cell: 'gguf-q4_k_m llama-cpp cpu-haswell at 0.2 USD/h of 2026-10-01',
    });
    expect(found(null)).toMatchObject({verdict: 'not measured'});
  });
});

describe('claims of Squadra', () => {
  const claims = load('squadra-2024');
  const cell = (over: CellInput) => buildMeasured({model: 'phi-2', device: 't4', device_name: 'Tesla T4', ...over});
  const cold = cell({cell_id: 'a', workload: 'feature', tpotUs: steady(20_000), ttftUs: 100_000});
  const half = (ttftUs: number) =>
    cell({cell_id: 'b', workload: 'feature-half-kept', prefix_cache: 'shared:50', tpotUs: steady(20_000), ttftUs});
  const reading = (id: string, cells: Parameters<typeof claimsLedger>[1]) =>
    claimsLedger(claims, cells).find((entry) => entry.reading === id && entry.device !== null);

  it('reads "half of the reading time" from the time to the first token, kept against not kept', () => {
    const entry = reading('half-kept-first-token', [cold, half(50_000)]);
    expect(entry).toMatchObject({
      verdict: 'reproduced',
      measure: 'ttft_ms_p50',
    });
    expect(entry?.ratio?.ratio).toBeCloseTo(0.5, 2);
    expect(entry?.ratio?.high).toBeLessThan(0.6);
    expect(reading('half-kept-first-token', [cold, half(100_000)])).toMatchObject({verdict: 'contradicted'});
    expect(reading('half-kept-first-token', [cold, half(80_000)])).toMatchObject({verdict: 'direction only'});
  });

  it('does not take the rate of prefill for it: that counts evaluated tokens, and need not change', () => {
    const measures = claims.sentences.find(({id}) => id === 'caching')?.readings.map(({measure}) => measure);
    expect(new Set(measures)).toEqual(new Set(['ttft_ms_p50', 'latency_ms_p50']));
  });

  it('compares two models', () => {
    const seven = cell({
      cell_id: 'c',
      model: 'mistral-7b',
      workload: 'feature',
      tpotUs: steady(41_000),
      ttftUs: 200_000,
    });
    const decode = reading('decode', [cold, seven]);
    expect(decode?.verdict).toBe('reproduced');
    expect(decode?.cell).toMatch(/^phi-2 /);
    expect(decode?.against).toMatch(/^mistral-7b /);
  });

  it('reads a figure as a figure: 2 s a feature, 3 s, or a fifth of five', () => {
    const seven = (over: CellInput) => cell({cell_id: 'c', model: 'mistral-7b', workload: 'feature', ...over});
    const two = seven({tpotUs: steady(300_000), ttftUs: 800_000}); // 0.8 s + 4 × 0.3 s
    expect(reading('two-seconds', [two])).toMatchObject({verdict: 'reproduced', kind: 'figure', expected: 2000});
    expect(reading('three-seconds', [two])).toMatchObject({verdict: 'contradicted', reason: 'another figure'});
    expect(reading('two-seconds', [{...two, row: {...two.row, device: 'h200'}}])).toMatchObject({
      verdict: 'inconclusive',
    });
    const five = seven({workload: 'five-features', tpotUs: steady(2_000_000), ttftUs: 2_000_000});
    expect(reading('one-of-five', [five])).toMatchObject({verdict: 'reproduced'});
    expect(reading('one-of-five', [five])?.value).toBeCloseTo(2000, -2);
  });
});

describe('claims of Kolasani', () => {
  const claims = load('kolasani-2026');
  const entry = (id: string, cells: Parameters<typeof claimsLedger>[1] = []) =>
    claimsLedger(claims, cells).find(({reading}) => reading === id);

  it('finds that 98 % is not the ratio of the list prices of the two models', () => {
    expect(entry('list-prices')).toMatchObject({verdict: 'contradicted', device: null, command: null});
    expect(entry('list-prices')?.ratio?.ratio).toBeCloseTo((416 * 0.3 + 32 * 2.5) / (416 * 3 + 32 * 15), 9);
    expect(entry('list-prices-of-nova-lite-1')).toMatchObject({verdict: 'reproduced'});
  });

  it('takes the interval of a p90 from the rows, and never reproduces what a hosted service is said to do', () => {
    const cell = (model: string, p90: number) =>
      buildMeasured({
        cell_id: model,
        model,
        workload: 'quarter',
        rounds: 3,
        latency_ms_p90: p90,
        latency_ms_p90_ci_low: p90 * 0.95,
        latency_ms_p90_ci_high: p90 * 1.05,
      });
    const found = entry('one-against-eight', [cell('llama-3.2-1b', 30), cell('llama-3-8b', 100)]);
    expect(found).toMatchObject({verdict: 'direction only', ratio: {how: 'intervals-of-rows'}});
    expect(found?.reason).toContain('a hosted service, whose hardware is not known');
    expect(found?.ratio?.low).toBeGreaterThan(0.27);
    expect(found?.ratio?.high).toBeLessThan(0.33);
  });

  it('reckons four requests against one', () => {
    const cell = (workload: string, over: CellInput) => buildMeasured({cell_id: workload, workload, ...over});
    const cells = [
      cell('whole', {tpotUs: steady(10_000), ttftUs: 100_000, prompt_tokens: 512, generated_tokens: 128}),
      cell('quarter', {tpotUs: steady(10_000), ttftUs: 80_000, prompt_tokens: 416, generated_tokens: 32}),
    ];
    expect(entry('one-after-another', cells)?.ratio?.ratio).toBeCloseTo((4 * 120) / 140, 2);
  });
});

describe.each(['licardo-2025', 'mercari-2024', 'squadra-2024', 'kolasani-2026'])('matrices/claims/%s.yaml', (name) => {
  it('speaks only of models, formats, runners and workloads that its matrix has', () => {
    const claims = load(name);
    const matrix = MatrixSchema.parse(parse(read(claims.matrix.replace('matrices/', ''))));
    const names = (items: readonly (string | {name: string})[]) =>
      items.map((item) => (typeof item === 'string' ? item : item.name));
    const known: Record<string, string[]> = {
      model: names(matrix.models),
      format: matrix.formats,
      runner: [...names(matrix.runners), 'node-llama-cpp'],
      workload: names(matrix.workloads),
    };
    for (const {readings} of claims.sentences) {
      for (const {cell, against} of readings) {
        for (const side of [cell, against]) {
          for (const [key, patterns] of Object.entries(side ?? {})) {
            const globs = [patterns ?? []].flat().map((glob) => new RegExp(`^${glob.replaceAll('*', '.*')}$`));
            const fits = (known[key] ?? []).some((text) => globs.some((glob) => glob.test(text)));
            expect(fits, `${key}: ${String(patterns)}`).toBe(true);
          }
        }
      }
    }
  });
});

describe('parseClaims', () => {
  const text = read('claims/kolasani-2026.yaml');
  it.each([
    [/tokens: \{.*/, 'token: 1', 'no such key'],
    [/tokens: \{.*\n/, '\n', 'two prices need tokens'],
    ['measure: usd_per_1k_requests', 'measure: decode_tokens_per_s', 'measure must be usd_per_1k_requests'],
    [/scale: 4\n/, 'scale: 4\n        value: 1\n', 'value stands for itself'],
    [
      'price: nova-2-lite-2025-12',
      'price: nova-2-lite-2025-21',
      '"nova-2-lite-2025-21" is no API of the price list; did you mean',
    ],
    ['against_price: claude', 'rent: t4\n        against_price: claude', 'rent is what a cell costs'],
  ])('refuses a reading that cannot be judged: %s → %s', (from, to, message) => {
    expect(text.replace(from, to)).not.toBe(text);
    expect(() => parseClaims(text.replace(from, to), 'c.yaml', prices)).toThrow(message);
  });
});
