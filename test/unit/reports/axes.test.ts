import fc from 'fast-check';
import {expect, test} from 'vitest';
import {linearAxis, logAxis, ratioAxis, scaleTitle, shareOf, timesAxis} from '../../../reports/axes.ts';
import {toSvg, toVega} from '../../../reports/render.ts';

const figure = fc.double({min: 1e-9, max: 1e12, noNaN: true});

test('an axis holds all figures, has few ticks, and all of them lie on it', () => {
  fc.assert(
    fc.property(fc.array(figure, {minLength: 1, maxLength: 20}), (values) => {
      for (const {scale, axis} of [ratioAxis(values), timesAxis(values)]) {
        const [from, to] = scale.domain;
        expect(from).toBeLessThan(to);
        for (const value of values) {
          expect(shareOf(value, scale)).toBeGreaterThanOrEqual(-1e-9);
          expect(shareOf(value, scale)).toBeLessThanOrEqual(1 + 1e-9);
        }
        const ticks = axis.values ?? [];
        expect(ticks.length).toBeLessThanOrEqual(13);
        for (const tick of ticks) {
          expect(tick).toBeGreaterThanOrEqual(from);
          expect(tick).toBeLessThanOrEqual(to);
        }
      }
    }),
  );
});

test('ticks of a logarithmic axis are round and not dense', () => {
  expect(logAxis([1, 1000]).axis.values).toEqual([1, 10, 100, 1000]);
  expect(logAxis([3, 90]).axis.values).toEqual([5, 10, 20, 50]);
  expect(logAxis([0.02, 0.09]).axis.values).toEqual([0.02, 0.03, 0.05, 0.07]);
  expect(logAxis([0.9, 1.1]).axis.values).toEqual([0.9, 1]);
});

test('factors are told in powers of two, with halves between where there is room', () => {
  expect(timesAxis([]).axis.values).toEqual([0.5, 0.75, 1, 1.5, 2]);
  expect(timesAxis([0.3, 30]).axis.values).toEqual([0.25, 0.5, 1, 2, 4, 8, 16, 32]);
  expect(timesAxis([1 / 4000, 4000]).axis.values).toContain(1);
});

test('a logarithmic axis says so in its title', () => {
  expect(scaleTitle('decode (tokens/s)', ratioAxis([1, 93]))).toBe('decode (tokens/s), logarithmic');
  expect(scaleTitle('decode (tokens/s)', ratioAxis([80, 93]))).toBe('decode (tokens/s)');
});

test('factors below 1 are labelled as fractions', async () => {
  const {scale, axis} = timesAxis([0.01, 30]);
  const svg = await toSvg(
    'axis',
    toVega('axis', {
      data: {values: [{x: 1}]},
      mark: 'point',
      encoding: {x: {field: 'x', type: 'quantitative', scale, axis}},
    }),
  );
  const labels = [...svg.matchAll(/>([^<>]*×)</g)].map(([, label]) => label);
  expect(labels).toEqual(['1/64×', '1/16×', '1/4×', '1×', '4×', '16×']);
});

test('figures of one decade stand on a linear axis from zero with a round end', () => {
  expect(ratioAxis([80, 93]).scale).toEqual({type: 'linear', domain: [0, 100], nice: false});
  expect(ratioAxis([1, 93]).scale.type).toBe('log');
  expect(ratioAxis([null, 0, -1]).scale.type).toBe('linear');
  expect(linearAxis([0.81, 0.97], 1).scale.domain).toEqual([0.8, 1]);
});
