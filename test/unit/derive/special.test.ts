import {describe, expect, it} from 'vitest';
import {
  fisherUpperP,
  incompleteBeta,
  logGamma,
  normalCdf,
  normalQuantile,
  studentCritical,
  studentTwoSidedP,
} from '../../../harness/derive/special.ts';

describe('special functions', () => {
  it('know the Γ function', () => {
    expect(logGamma(5)).toBeCloseTo(Math.log(24), 12);
    expect(logGamma(0.5)).toBeCloseTo(Math.log(Math.sqrt(Math.PI)), 12);
  });

  it('know the incomplete beta function', () => {
    expect(incompleteBeta(0.3, 1, 1)).toBeCloseTo(0.3, 14);
    // I_x(2, 3) = 6x² − 8x³ + 3x⁴
    expect(incompleteBeta(0.4, 2, 3)).toBeCloseTo(6 * 0.16 - 8 * 0.064 + 3 * 0.0256, 12);
    expect(incompleteBeta(0, 2, 3)).toBe(0);
    expect(incompleteBeta(1, 2, 3)).toBe(1);
  });

  it('give the critical values of the t table', () => {
    expect([1, 2, 4, 9, 30].map((df) => studentCritical(df, 0.95).toFixed(3))).toEqual([
      '12.706',
      '4.303',
      '2.776',
      '2.262',
      '2.042',
    ]);
    expect(studentTwoSidedP(2.776, 4)).toBeCloseTo(0.05, 4);
  });

  it('give the critical values of the F table', () => {
    expect(fisherUpperP(3.49, 3, 12)).toBeCloseTo(0.05, 3);
    expect(fisherUpperP(5.39, 2, 30)).toBeCloseTo(0.01, 3);
    expect(fisherUpperP(0, 2, 30)).toBe(1);
  });

  it('give the normal distribution', () => {
    // Tables: Φ(1.96) = 0.9750021, Φ(−3) = 0.0013499; 1.2815516 and 1.9599640 are its 90 % and 97.5 % points.
    expect(normalCdf(1.96)).toBeCloseTo(0.9750021, 7);
    expect(normalCdf(-3)).toBeCloseTo(0.0013499, 7);
    expect([normalCdf(0), normalCdf(-9), normalCdf(9)]).toEqual([0.5, 0, 1]);
    expect(normalQuantile(0.9)).toBeCloseTo(1.2815515655446004, 12);
    expect(normalQuantile(0.025)).toBeCloseTo(-1.959963984540054, 12);
  });
});
