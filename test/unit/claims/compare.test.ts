import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {compareCells, compareWithin} from '../../../harness/claims/compare.ts';
import {holm} from '../../../harness/claims/holm.ts';
import type {MeasuredCell} from '../../../harness/claims/measured-cell.ts';
import {normal, seededRandom} from '../../../harness/derive/random.ts';
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

const STEADY = {drift: 0};

describe('compareCells of a host that is known to be steady', () => {
  it('calls equal speeds the same', () => {
    const one = decode(compareCells([base()], [now()], STEADY));
    expect(one?.change).toBe('same');
    expect(one?.ratio.ratio).toBe(1);
    expect(one?.ratio.how).toBe('two-samples');
  });

  it('calls 10 % less time faster, and 10 % more slower', () => {
    expect(decode(compareCells([base()], [now({tpotUs: [18_000, 18_040, 17_960]})], STEADY))?.change).toBe('faster');
    const slower = decode(compareCells([base()], [now({tpotUs: [22_000, 22_040, 21_960]})], STEADY));
    expect(slower?.change).toBe('slower');
    expect(slower?.ratio.ratio).toBeCloseTo(20_000 / 22_000, 3);
    expect(slower?.adjustedP).toBeLessThan(0.05);
  });

  it('does not call what the rounds contradict', () => {
    const shaky = now({tpotUs: [16_000, 20_000, 24_000]});
    expect(decode(compareCells([base()], [shaky], STEADY))).toMatchObject({change: 'ambiguous'});
  });

  it('says nothing from one round', () => {
    const one = decode(compareCells([base({tpotUs: [20_000]})], [now({tpotUs: [10_000]})], STEADY));
    expect(one).toMatchObject({
      change: 'ambiguous',
      reason: expect.stringContaining('is not known'),
    });
    expect(one?.ratio.low).toBeNull();
  });

  it('is antisymmetric: the other way round the ratio and its bounds are the inverse', () => {
    const round = fc.integer({min: 10_000, max: 30_000});
    const rounds = fc.array(round, {minLength: 2, maxLength: 4});
    fc.assert(
      fc.property(rounds, rounds, (a, b) => {
        const there = decode(compareCells([base({tpotUs: a})], [now({tpotUs: b})], STEADY))?.ratio;
        const back = decode(compareCells([base({tpotUs: b})], [now({tpotUs: a})], STEADY))?.ratio;
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
    const one = decode(compareCells([{...a, requests: []}], [{...b, requests: []}], STEADY));
    expect(one?.ratio.how).toBe('intervals-of-rows');
    expect(one?.change).toBe('faster');
  });
});

/** Runs of one cell, each as many times slower as the host was that day. */
const runs = (name: string, days: readonly number[], over: CellInput = {}) =>
  days.map((day, index) =>
    buildMeasured({
      run_id: `${name}-${index}`,
      started_at: `2026-11-0${index + 1}T00:00:00.000Z`,
      tpotUs: [20_000, 20_040, 19_960].map((us) => us * day),
      ...over,
    }),
  );

describe('compareCells of runs at different times', () => {
  it('allows one run each what a host may differ from run to run', () => {
    const within = decode(compareCells([base()], [now({tpotUs: [24_000, 24_048, 23_952]})]));
    expect(within).toMatchObject({
      change: 'ambiguous',
      reason: 'one run each: no more than the host may differ from run to run',
      adjustedP: 1,
      runs: [1, 1],
      drift: 0.3,
      roundsWanted: null,
    });
    const [low, high] = [within?.ratio.low ?? 0, within?.ratio.high ?? 0];
    expect(low).toBeLessThan(1 / 1.2 / 1.3);
    expect(high).toBeGreaterThan(1.3 / 1.2);
    // What no host does by itself is found, and never is anything the same.
    const beyond = decode(compareCells([base()], [now({tpotUs: [40_000, 40_080, 39_920]})]));
    expect(beyond).toMatchObject({change: 'slower', drift: 0.3});
    expect(beyond?.ratio.ratio).toBeCloseTo(0.5, 3);
    expect(beyond?.ratio.high).toBeGreaterThan(0.65);
    expect(decode(compareCells([base()], [now()]))?.change).toBe('ambiguous');
  });

  it('widens the interval of one run each by the drift and by nothing else', () => {
    fc.assert(
      fc.property(fc.integer({min: 10_000, max: 40_000}), fc.double({min: 0, max: 1, noNaN: true}), (us, drift) => {
        const slower = now({tpotUs: [us, us * 1.01, us * 0.99]});
        const steady = decode(compareCells([base()], [slower], STEADY))?.ratio;
        const allowing = decode(compareCells([base()], [slower], {drift}))?.ratio;
        expect((allowing?.low ?? 0) * (1 + drift)).toBeCloseTo(steady?.low ?? 0, 9);
        expect((allowing?.high ?? 0) / (1 + drift)).toBeCloseTo(steady?.high ?? 0, 9);
        expect(allowing?.p ?? 0).toBeGreaterThanOrEqual(steady?.p ?? 1);
        // p is below 0.05 where, and only where, the interval leaves 1 out.
        const out = (allowing?.low ?? 0) > 1 || (allowing?.high ?? 0) < 1;
        expect((allowing?.p ?? 0) < 0.05).toBe(out);
      }),
      {numRuns: 50},
    );
  });

  it('judges by what runs of the same differ', () => {
    const steady = decode(compareCells(runs('a', [1, 1.01, 0.99]), runs('b', [1.2, 1.21, 1.19])));
    expect(steady).toMatchObject({change: 'slower', runs: [3, 3]});
    expect(steady?.ratio.how).toBe('repeated-runs');
    const drifting = decode(compareCells(runs('a', [1, 1.25, 0.8]), runs('b', [1.2, 1.45, 1])));
    expect(drifting).toMatchObject({change: 'ambiguous', reason: 'the interval holds both a difference and none'});
  });

  it('judges a single new run by the spread of a base that was run three times', () => {
    const one = decode(compareCells(runs('a', [1, 1.01, 0.99]), runs('b', [1.2])));
    expect(one).toMatchObject({change: 'slower', runs: [3, 1]});
    expect(decode(compareCells(runs('a', [1, 1.1, 0.9]), runs('b', [1.2])))?.change).toBe('ambiguous');
  });

  it('does not take another version, or a run that is compared, for a repetition of the base', () => {
    const old = runs('a', [1, 1.01, 0.99]);
    const other = buildMeasured({
      run_id: 'z',
      started_at: '2026-10-01T00:00:00.000Z',
      runner_version: '3',
      tpotUs: [9000, 9000],
    });
    const report = compareCells([...old, other], runs('b', [1.2, 1.21]));
    expect(decode(report)?.runs).toEqual([3, 2]);
    const newest = old.at(-1);
    expect(newest === undefined ? null : decode(compareCells(old, [newest]))?.runs).toEqual([2, 1]);
  });

  it('raises a false alarm in at most one pair of twenty, whatever the drift between runs', () => {
    for (const [a, b] of [
      [2, 2],
      [3, 1],
      [3, 3],
      [1, 1],
    ] as const) {
      const random = seededRandom(11);
      let alarms = 0;
      const pairs = 200;
      for (let pair = 0; pair < pairs; pair++) {
        const days = (n: number) => Array.from({length: n}, () => Math.exp(0.1 * normal(random)));
        const shaky = (day: number) => [0, 1, 2].map(() => 20_000 * day * Math.exp(0.02 * normal(random)));
        const arm = (name: string, n: number) =>
          days(n).map((day, index) => buildMeasured({run_id: `${name}${index}`, tpotUs: shaky(day)}));
        const {comparisons} = compareCells(arm('a', a), arm('b', b));
        if (comparisons.some(({change}) => change === 'faster' || change === 'slower')) alarms++;
      }
      expect(alarms / pairs).toBeLessThanOrEqual(0.05);
    }
  });
});

describe('compareWithin', () => {
  const cell = (build: string, tpotUs: readonly number[], over: CellInput = {}): MeasuredCell =>
    buildMeasured({run_id: 'one', cell_id: `${build}-${over.format ?? ''}`, engine_build: build, tpotUs, ...over});
  const sides = ({engine_build: build}: MeasuredCell['row']) =>
    build === 'old' ? ('base' as const) : build === 'new' ? ('now' as const) : null;
  /** The host is twice as fast in the second round, for all. */
  const drift = [20_000, 10_000, 14_000, 19_000];

  it('finds 5 % between cells of one run, although the host drifts by half', () => {
    const slower = drift.map((us, round) => us * (1.05 + (round % 2) * 0.002));
    const one = decode(compareWithin([cell('old', drift), cell('new', slower)], sides, []));
    expect(one).toMatchObject({change: 'slower', changed: ['engine_build old → new'], runs: [1, 1]});
    expect(one?.ratio.how).toBe('paired-rounds');
    expect(one?.ratio.ratio).toBeCloseTo(1 / 1.051, 3);
    expect(decode(compareWithin([cell('old', drift), cell('new', drift)], sides, []))?.change).toBe('same');
  });

  it('finds 5 % in spite of a round that a neighbour spoiled, from ten rounds on', () => {
    const random = seededRandom(3);
    const rounds = Array.from({length: 12}, () => 20_000 * Math.exp(0.01 * normal(random)));
    const slower = rounds.map((us, round) => us * 1.05 * Math.exp(0.01 * normal(random)) * (round === 4 ? 1.6 : 1));
    const one = decode(compareWithin([cell('old', rounds), cell('new', slower)], sides, []));
    expect(one).toMatchObject({change: 'slower', roundsWanted: null});
    expect(one?.ratio.ratio).toBeGreaterThan(1 / 1.07);
    expect(one?.ratio.high).toBeLessThan(1);
  });

  it('tells how many rounds would be enough, where rounds can settle it', () => {
    const [a, b] = [
      [0.02, -0.02, 0.03, -0.03, 0.01],
      [-0.02, 0.02, -0.02, 0.03, 0],
    ].map((noise) => noise.map((log) => 20_000 * Math.exp(log)));
    const report = (effect: number) =>
      decode(compareWithin([cell('old', a ?? []), cell('new', b ?? [])], sides, [], {smallestEffect: effect}));
    const [two, three] = [report(0.02)?.roundsWanted ?? 0, report(0.03)?.roundsWanted ?? 0];
    expect(report(0.02)?.change).toBe('ambiguous');
    expect(three).toBeGreaterThan(5);
    // The width falls with the root of the rounds, and a little more by Student's t.
    expect(two / three).toBeGreaterThan(1.8);
    expect(two / three).toBeLessThan(2.4);
    expect(report(0.0001)?.roundsWanted).toBeNull();
  });

  it('puts the rounds of several runs together', () => {
    const again = {run_id: 'two', started_at: '2026-11-02T00:00:00.000Z'};
    const cells = [cell('old', drift), cell('new', drift), cell('old', drift, again), cell('new', drift, again)];
    const one = decode(compareWithin(cells, sides, []));
    expect(one?.runs).toEqual([2, 2]);
    expect(one?.ratio.rounds).toEqual([8, 8]);
  });

  it('names what has no base, or more than one, and never crosses runs', () => {
    const apart = [cell('old', drift), cell('new', drift, {run_id: 'two'})];
    expect(() => compareWithin(apart, sides, [])).toThrow(/its run has no such base/);
    expect(() => compareWithin([cell('new', drift)], sides, [])).toThrow(/the base has no cells/);
    const twice = [cell('old', drift), cell('old', drift, {cell_id: 'other'}), cell('new', drift)];
    expect(() => compareWithin(twice, sides, [])).toThrow(/2 cells of its run would be its base: old-, other/);
    const capped = [cell('old', drift), cell('new', drift, {caveats: 'isa-capped=avx2'})];
    expect(() => compareWithin(capped, sides, [])).toThrow(/its run has no such base/);
    expect(decode(compareWithin(capped, sides, ['isa']))?.change).toBe('same');
    const format = [cell('old', drift), cell('new', drift, {format: 'gguf-q8_0'})];
    expect(() => compareWithin(format, sides, [])).toThrow(/format \(gguf-q4_k_m → gguf-q8_0\)/);
    expect(decode(compareWithin(format, sides, ['format']))?.change).toBe('same');
  });
});
