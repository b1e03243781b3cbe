import {BenchError} from '../contract/errors.ts';

/**
 * The shortest decimal text that reads back as the same number, without an exponent: spreadsheets and people stumble
 * over `1e-7`.
 *
 * @throws {BenchError} `INTERNAL` for NaN and infinity: null is how "not measured" is said.
 */
export function plainNumber(value: number): string {
  if (!Number.isFinite(value)) throw new BenchError('INTERNAL', `${value} is not a measured number`);
  const text = String(value);
  // Nearly always: tables of requests have millions of numbers.
  if (!text.includes('e')) return text;
  const match = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text);
  if (match === null) return text;
  const [, sign = '', lead = '', fraction = '', exponent = '0'] = match;
  const digits = lead + fraction;
  const shift = Number(exponent);
  if (shift < 0) return `${sign}0.${'0'.repeat(-shift - 1)}${digits}`;
  return `${sign}${digits.padEnd(shift + 1, '0')}`;
}
