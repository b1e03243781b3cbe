import {describe, expect, it} from 'vitest';
import type {Series} from '../../../harness/contract/sampler.ts';
import {phaseStats} from '../../../harness/derive/phase-stats.ts';

const EDGES = [
  {phase: 'baseline', tMs: 0},
  {phase: 'load', tMs: 100},
  {phase: 'warmup', tMs: 200},
  {phase: 'measure', tMs: 300},
  {phase: 'end', tMs: 400},
] as const;

function series(tMs: readonly number[], values: readonly (number | null)[], periodMs = 50): Series {
  return {channel: 'ram_pss_bytes', unit: 'bytes', tMs, values, periodMs, gaps: 0};
}

describe('phaseStats', () => {
  it('gives each reading to the phase that ran at its time, start included', () => {
    const stats = phaseStats([series([0, 50, 100, 150, 200, 250, 300, 350, 400], [1, 2, 3, 4, 5, 6, 7, 8, 9])], EDGES);
    expect(
      stats.map(({phase, n, min, max, mean, median, first, last, spanS}) => [
        phase,
        n,
        min,
        max,
        mean,
        median,
        first,
        last,
        spanS,
      ]),
    ).toEqual([
      ['baseline', 2, 1, 2, 1.5, 1.5, 1, 2, 0.05],
      ['load', 2, 3, 4, 3.5, 3.5, 3, 4, 0.05],
      ['warmup', 2, 5, 6, 5.5, 5.5, 5, 6, 0.05],
      ['measure', 2, 7, 8, 7.5, 7.5, 7, 8, 0.05],
    ]);
  });

  it('counts what failed and what a pause swallowed', () => {
    const stats = phaseStats([series([300, 310, 320, 360, 370], [1, null, 2, 3, 4], 10)], EDGES);
    expect(stats).toHaveLength(1);
    expect(stats[0]).toMatchObject({phase: 'measure', n: 4, gaps: 4});
  });

  it('lets an edge-only reading close one phase and open the next', () => {
    const stats = phaseStats([series([1, 101, 201, 301, 401], [10, 20, 30, 40, 50], 0)], EDGES);
    expect(stats.map(({phase, n, min, max}) => [phase, n, min, max])).toEqual([
      ['baseline', 2, 10, 20],
      ['load', 2, 20, 30],
      ['warmup', 2, 30, 40],
      ['measure', 2, 40, 50],
    ]);
  });

  it('has no entry where there is no reading, and null where all of them failed', () => {
    expect(phaseStats([series([], [])], EDGES)).toEqual([]);
    const [only] = phaseStats([series([320, 330], [null, null])], EDGES);
    expect(only).toMatchObject({
      n: 0,
      gaps: 2,
      min: null,
      max: null,
      mean: null,
      median: null,
      first: null,
      last: null,
    });
  });

  it('keeps a phase that has not ended open', () => {
    const stats = phaseStats([series([10, 500], [1, 2])], [{phase: 'load', tMs: 0}]);
    expect(stats[0]).toMatchObject({phase: 'load', n: 2, max: 2});
  });
});
