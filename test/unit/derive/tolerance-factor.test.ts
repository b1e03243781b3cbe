import {describe, expect, it} from 'vitest';
import {studentCritical} from '../../../harness/derive/special.ts';
import {toleranceFactors} from '../../../harness/derive/tolerance-factor.ts';

describe('toleranceFactors', () => {
  it('gives the published one-sided factors: 90 % of a normal distribution with confidence 95 %', () => {
    // Tables of one-sided tolerance factors (Lieberman 1958; Odeh & Owen 1980): 6.155, 3.407, 2.355, 1.926, 1.777.
    const high = [3, 5, 10, 20, 30].map((n) => toleranceFactors(n, 0.9, 0.9).high.toFixed(2));
    expect(high).toEqual(['6.16', '3.41', '2.35', '1.93', '1.78']);
  });

  it('is Student’s t for the median', () => {
    const {low, high} = toleranceFactors(3, 0.5, 0.95);
    expect(high).toBeCloseTo(studentCritical(2, 0.95) / Math.sqrt(3), 3);
    expect(low).toBeCloseTo(-high, 3);
  });

  it('leaves p90 wide open with three values, and closes on 1.28 with many', () => {
    const three = toleranceFactors(3, 0.9, 0.95);
    expect(three.low).toBeGreaterThan(0);
    expect(three.low).toBeLessThan(0.3);
    expect(three.high).toBeGreaterThan(8);
    expect(three.high).toBeLessThan(10);
    const many = toleranceFactors(2000, 0.9, 0.95);
    expect(many.low).toBeGreaterThan(1.2);
    expect(many.high).toBeLessThan(1.36);
  });

  it('mirrors: p10 lies as far below as p90 above', () => {
    const [p90, p10] = [toleranceFactors(5, 0.9, 0.95), toleranceFactors(5, 0.1, 0.95)];
    expect(p10.low).toBeCloseTo(-p90.high, 3);
    expect(p10.high).toBeCloseTo(-p90.low, 3);
  });

  it('stands two values', () => {
    expect(Number.isFinite(toleranceFactors(2, 0.9, 0.95).high)).toBe(true);
  });
});
