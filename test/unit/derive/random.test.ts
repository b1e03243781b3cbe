import {describe, expect, it} from 'vitest';
import {seededRandom, seedOf} from '../../../harness/derive/random.ts';

describe('seededRandom', () => {
  it('gives the same numbers for the same seed, others for another', () => {
    const take = (seed: number): number[] => {
      const random = seededRandom(seed);
      return [random(), random(), random()];
    };
    expect(take(1)).toEqual(take(1));
    expect(take(1)).not.toEqual(take(2));
  });

  it('is uniform: 16 bins of 160 000 draws differ by no more than chance', () => {
    const random = seededRandom(7);
    const bins = new Array<number>(16).fill(0);
    for (let draw = 0; draw < 160_000; draw++) {
      const bin = Math.floor(random() * 16);
      bins[bin] = (bins[bin] ?? 0) + 1;
    }
    const chi2 = bins.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
    // 99.9 % point of χ² with 15 degrees of freedom.
    expect(chi2).toBeLessThan(37.7);
  });

  it('hashes as FNV-1a does', () => {
    expect(seedOf('').toString(16)).toBe('811c9dc5');
    expect(seedOf('foobar').toString(16)).toBe('bf9cf968');
  });
});
