import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {compareCells} from '../../../harness/claims/compare.ts';
import {holm} from '../../../harness/claims/holm.ts';
import {buildMeasured, type CellInput} from './build.ts';

const base = (over: CellInput = {}) => buildMeasured({run_id: 'base', tpotUs: [20_000, 20_040, 19_960], ...over});
const now = (over: CellInput = {}) => buildMeasured({run_id: 'now', tpotUs: [20_000, 20_040, 19_960], ...over});

function decode(report: ReturnType<typeof compareCells>) {
  return report.comparisons.find(({metric}) => metric === 'decode_tokens_per_s');
}

describe('holm', () => {
  it('gives the published example', () => {
    // p = 0.01, 0.04, 0.03, 0.005 → 0.03, 0.06, 0.06, 0.02 (Holm's step-down).
    expect(holm([0.01, 0.04, 0.03, 0.005]).map((p) => Number(p.toFixed(9)))).toEqual([0.03, 0.06, 0.06, 0.02]);
    expect(holm([])).toEqual([]);
  });

  it('never lowers a p, keeps their order and stays below 1', () => {
    fc.assert(
      fc.property(fc.array(fc.double({min: 0, max: 1, noNaN: true}), {minLength: 1, maxLength: 20}), (values) => {
        const adjusted = holm(values);
        for (const [a, p] of values.entries()) {
          expect(adjusted[a]).toBeGreaterThanOrEqual(p);
          expect(adjusted[a]).toBeLessThanOrEqual(1);
          for (const [b, q] of values.entries()) if (p < q) expect(adjusted[a]).toBeLessThanOrEqual(adjusted[b] ?? 0);
        }
      }),
    );
  });
});

describe('compareCells', () => {
  it('calls equal speeds the same', () => {
    const one = decode(compareCells([base()], [now()]));
    expect(one?.change).toBe('same');
    expect(one?.ratio.ratio).toBe(1);
    expect(one?.ratio.how).toBe('two-samples');
  });

  it('calls 10 % less time faster, and 10 % more slower', () => {
    expect(decode(compareCells([base()], [now({tpotUs: [18_000, 18_040, 17_960]})]))?.change).toBe('faster');
    const slower = decode(compareCells([base()], [now({tpotUs: [22_000, 22_040, 21_960]})]));
    expect(slower?.change).toBe('slower');
    expect(slower?.ratio.ratio).toBeCloseTo(20_000 / 22_000, 3);
    expect(slower?.adjustedP).toBeLessThan(0.05);
  });

  it('does not call what the rounds contradict', () => {
    const shaky = now({tpotUs: [16_000, 20_000, 24_000]});
    expect(decode(compareCells([base()], [shaky]))).toMatchObject({change: 'ambiguous'});
  });

  it('says nothing from one round', () => {
    const one = decode(compareCells([base({tpotUs: [20_000]})], [now({tpotUs: [10_000]})]));
    expect(one).toMatchObject({
      change: 'ambiguous',
      reason: 'one round only: what differs between rounds is not known',
    });
    expect(one?.ratio.low).toBeNull();
  });

  it('is antisymmetric: the other way round the ratio and its bounds are the inverse', () => {
    const round = fc.integer({min: 10_000, max: 30_000});
    const rounds = fc.array(round, {minLength: 2, maxLength: 4});
    fc.assert(
      fc.property(rounds, rounds, (a, b) => {
        const there = decode(compareCells([base({tpotUs: a})], [now({tpotUs: b})]))?.ratio;
        const back = decode(compareCells([base({tpotUs: b})], [now({tpotUs: a})]))?.ratio;
        expect((there?.ratio ?? 0) * (back?.ratio ?? 0)).toBeCloseTo(1, 9);
        expect((there?.low ?? 0) * (back?.high ?? 0)).toBeCloseTo(1, 6);
      }),
      {numRuns: 30},
    );
  });

  it('refuses what is not comparable, and names the field', () => {
    const other = now({weights_sha256: 'b'.repeat(64)});
    expect(() => compareCells([base({weights_sha256: 'a'.repeat(64)})], [other])).toThrow(/weights_sha256/);
    expect(() => compareCells([base()], [now({driver: '580.1'})])).toThrow(/driver \(unknown → 580\.1\)/);
    expect(() => compareCells([base()], [now({status: 'crashed'})])).toThrow(/status ok → crashed/);
    expect(() => compareCells([base()], [now({cell_id: 'ffffffffffff', format: 'gguf-q8_0'})])).toThrow(
      /nearest cell there differs in format \(gguf-q4_k_m → gguf-q8_0\)/,
    );
    expect(() => compareCells([], [now()])).toThrow(/the base has no cells/);
    expect(() => compareCells([base()], [])).toThrow(/nothing to compare/);
  });

  it('lists what was left out beside what was compared, and what changed in between', () => {
    const report = compareCells(
      [base({runner_version: '3.22.1'})],
      [now({runner_version: '3.23.0'}), now({cell_id: 'ffffffffffff', workload: 'other'})],
    );
    expect(report.notCompared).toEqual([
      {cellId: 'ffffffffffff', reason: 'not in the base; the nearest cell there differs in workload (chat → other)'},
    ]);
    expect(decode(report)?.changed).toEqual(['runner_version 3.22.1 → 3.23.0']);
  });

  it('falls back to the intervals of the rows when requests are not at hand', () => {
    const [a, b] = [base(), now({tpotUs: [18_000, 18_040, 17_960]})];
    const one = decode(compareCells([{...a, requests: []}], [{...b, requests: []}]));
    expect(one?.ratio.how).toBe('intervals-of-rows');
    expect(one?.change).toBe('faster');
  });
});
