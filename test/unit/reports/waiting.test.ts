import {expect, test} from 'vitest';
import {cellData} from '../../../reports/cell.ts';
import {MarkdownReporter} from '../../../reports/markdown-reporter.ts';
import {WAITING} from '../../../reports/panels.ts';
import {apart, foldedCells} from '../../../reports/waiting.ts';
import {simulatedInput} from '../../support/report-rows.ts';

const input = simulatedInput(60);
const places = new Set(input.rows.map(({device}) => device));
const [first, second] = [...places];
/** Nothing has run on the first device, half of the second device waits. */
const rows = input.rows.map((row, index) =>
  row.device === first || (row.device === second && index % 2 === 0)
    ? {...row, status: 'waiting' as const, status_reason: 'waits for a device'}
    : row,
);

test('a device and model where every cell waits is one line, after the cells that ran', () => {
  const cells = foldedCells(rows);
  const waiting = cells.filter(({panel}) => panel === WAITING);
  const models = new Set(rows.filter(({device}) => device === first).map(({model}) => model));
  expect(waiting.map(({device}) => device)).toEqual([...models].map(() => first));
  expect(cells.slice(-waiting.length)).toEqual(waiting);
  const counted = waiting.reduce((sum, {label}) => sum + Number(/(\d+) cells?$/.exec(label)?.[1]), 0);
  expect(counted).toBe(rows.filter(({device}) => device === first).length);
});

test('a device of which some cells ran keeps the others that wait, each in its place', () => {
  const {ran} = apart(cellData(rows));
  const waits = ran.filter(({device, status}) => device === second && status === 'waiting');
  expect(waits).toHaveLength(rows.filter(({device, status}) => device === second && status === 'waiting').length);
  expect(waits.every(({panel}) => panel !== WAITING)).toBe(true);
});

test('many devices that wait are one line together, which names them', () => {
  const waits = input.rows.map((row, index) =>
    index % 12 < 2 ? row : {...row, device: `device-${index % 12}`, status: 'waiting' as const},
  );
  const [line, ...others] = foldedCells(waits).filter(({panel}) => panel === WAITING);
  expect(others).toEqual([]);
  const count = waits.filter(({device}) => device?.startsWith('device-')).length;
  expect(line?.label).toBe(`10 devices · ${count} cells`);
  for (let index = 2; index < 12; index++) expect(line?.ended).toContain(`device-${index}`);
});

test('no cell is lost: those that ran and those that are counted are all rows', () => {
  const {ran, waiting} = apart(cellData(rows));
  const counted = waiting.reduce((sum, {label}) => sum + Number(/(\d+) cells?$/.exec(label)?.[1]), 0);
  expect(ran.length + counted).toBe(rows.length);
});

test('report.md names a waiting device once', async () => {
  const [file] = await new MarkdownReporter().render({...input, rows});
  const text = String(file?.content).split('## Cells')[1]?.split('## ')[0] ?? '';
  expect(text).toContain(`${WAITING}:\n\n- `);
  expect(text.split('\n').filter((line) => line.startsWith(`| ${first}`))).toEqual([]);
});
