import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {Ajv} from 'ajv';
import {describe, expect, it, test} from 'vitest';
import type {ResultRow} from '../../../harness/contract/columns.ts';
import type {ReportInput} from '../../../harness/contract/reporter.ts';
import {CHARTS} from '../../../reports/all-charts.ts';
import {paretoFront} from '../../../reports/charts/cost.ts';
import {thinned} from '../../../reports/charts/request-times.ts';
import {thinnedPeaks} from '../../../reports/charts/telemetry.ts';
import {toSvg, toVega} from '../../../reports/render.ts';
import {shuffledInput} from '../../support/report-order.ts';
import {simulatedInput, simulatedRow} from '../../support/report-rows.ts';

const schema = createRequire(import.meta.url).resolve('vega-lite/vega-lite-schema.json');
const validate = new Ajv({strict: false, allErrors: false, validateFormats: false}).compile(
  JSON.parse(readFileSync(schema, 'utf8')),
);

function inputOf(rows: readonly ResultRow[]): ReportInput {
  return {title: 'rows', runs: [], rows, requests: []};
}
const whole = simulatedInput(96);
const oneDevice = whole.rows.filter(({device}) => device === 't4');

const INPUTS: Readonly<Record<string, ReportInput>> = {
  '1 cell': simulatedInput(1),
  '3 cells': simulatedInput(3),
  '300 cells': simulatedInput(300),
  'failed cells only': inputOf(whole.rows.filter(({status}) => status !== 'ok')),
  'rows without a figure': inputOf([simulatedRow(), simulatedRow({cell_id: 'b', format: null, device: null})]),
  'one device': {...whole, rows: oneDevice},
  'cells that differ in threads only': inputOf(
    oneDevice.slice(0, 1).flatMap((row) => [row, {...row, cell_id: 'x', threads: 2}]),
  ),
  'no rows': inputOf([]),
};

describe.each(Object.entries(INPUTS))('of %s', (_name, input) => {
  test.each(CHARTS)('the chart $id is valid Vega-Lite and draws without a warning', async ({id, spec}) => {
    const chart = spec(input);
    if (chart === null) return;
    expect(validate(chart) ? [] : validate.errors).toEqual([]);
    // toVega and toSvg throw when Vega-Lite or Vega warns.
    const svg = await toSvg(id, toVega(id, chart));
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });
});

test('every chart is drawn of a sweep with everything', () => {
  const input = simulatedInput(30);
  expect(CHARTS.filter(({spec}) => spec(input) === null).map(({id}) => id)).toEqual([]);
});

test('without any figure only coverage is drawn, and it shows every failed cell', () => {
  const input = INPUTS['failed cells only'] ?? inputOf([]);
  expect(CHARTS.filter(({spec}) => spec(input) !== null).map(({id}) => id)).toEqual(['coverage']);
  const text = JSON.stringify(CHARTS.find(({id}) => id === 'coverage')?.spec(input));
  for (const row of input.rows) expect(text).toContain(`"key":"${row.run_id}/${row.cell_id}"`);
});

test.each(CHARTS)('$id: the order of rows, requests and devices changes no byte', ({spec}) => {
  const input = simulatedInput(96);
  expect(JSON.stringify(spec(shuffledInput(input)))).toBe(JSON.stringify(spec(input)));
});

test.each(['decode-speed', 'latency', 'ram', 'energy'])(
  '%s: a failed cell and one without a figure are on it',
  (id) => {
    const [row] = whole.rows.filter((one) => one.energy_j_per_token !== null);
    if (row === undefined) throw new Error('the fixture has such a row');
    const input = inputOf([
      row,
      simulatedRow({
        ...row,
        cell_id: 'failed',
        format: 'fp32',
        status: 'crashed',
        status_reason: 'out of luck',
        ...none(row),
      }),
      simulatedRow({...row, cell_id: 'empty', format: 'bf16', ...none(row)}),
    ]);
    const text = JSON.stringify(CHARTS.find((chart) => chart.id === id)?.spec(input));
    expect(text).toContain('"ended":"crashed · out of luck"');
    expect(text).toContain('"ended":"ok, but this was not measured"');
  },
);

/** All measures of a row, taken away. */
function none(row: ResultRow): Partial<ResultRow> {
  return Object.fromEntries(
    Object.keys(row)
      .filter((name) => /_(?:per_s|ms|bytes|token|j)(?:_|$)/.test(name))
      .map((name) => [name, null]),
  );
}

it('draws very many cells as a map, one square each', () => {
  const decode = CHARTS.find(({id}) => id === 'decode-speed');
  const text = JSON.stringify(decode?.spec(simulatedInput(300)));
  expect(text.match(/"fill":"#/g)).toHaveLength(300);
  expect(new Set(text.match(/"column":"[^"]*","line":"[^"]*"/g)).size).toBe(300);
});

it('keeps on the Pareto front what no other point beats in both', () => {
  const points = [
    [1, 9],
    [2, 5],
    [2, 4],
    [3, 4],
    [4, 1],
    [5, 2],
  ] as const;
  const front = paretoFront(
    points,
    ([cost]) => cost,
    ([, time]) => time,
  );
  expect(front).toEqual([
    [1, 9],
    [2, 4],
    [4, 1],
  ]);
});

it('keeps the ends of a list that it thins', () => {
  const list = Array.from({length: 1000}, (_, index) => index);
  expect(thinned(list, 3)).toEqual([0, 500, 999]);
});

it('loses no peak when it thins telemetry, and keeps gaps', () => {
  const readings = Array.from({length: 5000}, (_, s) => ({s, value: s === 1234 ? 99 : s > 4000 ? null : 1}));
  const kept = thinnedPeaks(readings, 100);
  expect(kept.length).toBeLessThanOrEqual(100);
  expect(kept).toContainEqual({s: 1234, value: 99});
  expect(kept.at(-1)?.value).toBeNull();
  expect(kept.map(({s}) => s)).toEqual(kept.map(({s}) => s).toSorted((a, b) => a - b));
});
