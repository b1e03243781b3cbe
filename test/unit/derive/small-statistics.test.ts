import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {usdFor} from '../../../harness/derive/cost.ts';
import {outliers} from '../../../harness/derive/outliers.ts';
import {bandwidthRatio, bytesPerStep, rooflineCaveats} from '../../../harness/derive/roofline.ts';
import {roundsDiffer} from '../../../harness/derive/rounds.ts';
import {wilsonInterval} from '../../../harness/derive/wilson.ts';

describe('wilsonInterval', () => {
  it('gives the published interval of 81 of 263', () => {
    // Newcombe (1998), Statistics in Medicine 17, table I, method 3: 0.2553 … 0.3662.
    const interval = wilsonInterval(81, 263);
    expect(interval?.low).toBeCloseTo(0.2553, 4);
    expect(interval?.high).toBeCloseTo(0.3662, 4);
  });

  it('stays within 0 … 1 and holds the share', () => {
    fc.assert(
      fc.property(fc.integer({min: 1, max: 500}), fc.double({min: 0, max: 1, noNaN: true}), (n, part) => {
        const successes = Math.round(n * part);
        const interval = wilsonInterval(successes, n);
        expect(interval?.low).toBeGreaterThanOrEqual(0);
        expect(interval?.high).toBeLessThanOrEqual(1);
        expect(interval?.low).toBeLessThanOrEqual(successes / n);
        expect(interval?.high).toBeGreaterThanOrEqual(successes / n);
      }),
    );
    expect(wilsonInterval(0, 0)).toBeNull();
  });
});

describe('outliers', () => {
  it('marks beyond 1.5 and 3 interquartile ranges', () => {
    // Quartiles of 1 … 9 are 3 and 7: fences −3 … 13 and −9 … 19.
    expect(outliers([1, 2, 3, 4, 5, 6, 7, 8, 9]).every((mark) => mark === null)).toBe(true);
    const marks = outliers([...Array.from({length: 99}, (_, index) => index + 1), 210, 400]);
    expect(marks.slice(-2)).toEqual(['mild', 'severe']);
    expect(outliers([])).toEqual([]);
  });
});

describe('roundsDiffer', () => {
  const around = (middle: number): number[] => [1, 0.97, 1.02, 0.98, 1.03, 0.99, 1.01].map((x) => x * middle);

  it('is silent about rounds that differ as their requests do', () => {
    expect(roundsDiffer([around(100), around(100.5), around(99.5)])?.differ).toBe(false);
  });

  it('names the spread of rounds that drift', () => {
    const verdict = roundsDiffer([around(100), around(110), around(120)]);
    expect(verdict?.differ).toBe(true);
    expect(verdict?.spread).toBeCloseTo(0.2, 9);
  });

  it('needs two rounds, and a spread that matters', () => {
    expect(roundsDiffer([around(100)])).toBeNull();
    const exact = (value: number): number[] => [value, value, value];
    expect(roundsDiffer([exact(100), exact(100.1)])?.differ).toBe(false);
    expect(roundsDiffer([exact(100), exact(105)])?.differ).toBe(true);
  });
});

describe('roofline', () => {
  it('reads the weights once a step and the KV cache of every sequence', () => {
    const bytes = bytesPerStep({
      weightsPerToken: 1e9,
      kvBytesPerPosition: 32_768,
      kvType: 'f16',
      batch: 2,
      promptTokens: 100,
      generatedTokens: 56,
    });
    expect(bytes).toBe(1e9 + 2 * 32_768 * 128);
    expect(bandwidthRatio(10, 1e9, 40e9)).toBe(0.25);
    expect(bandwidthRatio(10, 1e9, null)).toBeNull();
  });

  it('knows the size of a quantized KV cache', () => {
    const kv = (kvType: 'f16' | 'f32' | 'q8_0' | 'q4_0'): number =>
      bytesPerStep({weightsPerToken: 0, kvBytesPerPosition: 64, kvType, batch: 1, promptTokens: 1, generatedTokens: 0});
    expect([kv('f32'), kv('f16'), kv('q8_0'), kv('q4_0')]).toEqual([128, 64, 34, 18]);
  });
});

describe('a share of the bandwidth that is no share of the roofline', () => {
  it('says that all a step reads lies in the cache', () => {
    expect(rooflineCaveats(1.39, 60e6, 503_316_480)).toEqual([{code: 'in-cache', value: '60000000/503316480'}]);
    expect(rooflineCaveats(0.4, 60e6, 503_316_480)).toEqual([{code: 'in-cache', value: '60000000/503316480'}]);
  });

  it('is never above 1 without a word', () => {
    fc.assert(
      fc.property(
        fc.double({min: 1, max: 100, minExcluded: true, noNaN: true}),
        fc.double({min: 1, max: 1e12, noNaN: true}),
        fc.option(fc.double({min: 0, max: 1e12, noNaN: true})),
        (ratio, bytes, cache) => {
          expect(rooflineCaveats(ratio, bytes, cache)).toHaveLength(1);
        },
      ),
    );
    expect(rooflineCaveats(1.02, 800e6, 32e6)).toEqual([{code: 'above-roofline', value: '1.02'}]);
    expect(rooflineCaveats(1.02, 800e6, null)).toEqual([{code: 'above-roofline', value: '1.02'}]);
  });

  it('says nothing of a row below the roofline, or without a figure', () => {
    expect([
      rooflineCaveats(0.9, 800e6, 32e6),
      rooflineCaveats(null, 8e6, 32e6),
      rooflineCaveats(1, null, 32e6),
    ]).toEqual([[], [], []]);
  });
});

describe('usdFor', () => {
  it('gives the price of a million tokens', () => {
    // A T4 at 0.35 $/h and 24.4 tokens/s: 0.35 ÷ (24.4 × 3600) × 10⁶ = 3.98 $.
    expect(usdFor(1e6, 24.4, {usdPerHour: 0.35, date: '2026-03-31'})).toBeCloseTo(3.9845, 4);
    expect(usdFor(1e6, null, {usdPerHour: 0.35, date: '2026-03-31'})).toBeNull();
    expect(usdFor(1e6, 24.4, null)).toBeNull();
  });
});
