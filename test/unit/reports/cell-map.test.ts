import {expect, test} from 'vitest';
import {cellData} from '../../../reports/cell.ts';
import {isWrapped, squares} from '../../../reports/cell-map.ts';
import {simulatedInput} from '../../support/report-rows.ts';

const {rows} = simulatedInput(60);
const [row] = rows;
if (row === undefined) throw new Error('the fixture has rows');
/** Cells of one panel that nothing but their kernel tells apart. */
const kinds = (count: number) =>
  cellData(
    Array.from({length: count}, (_, index) => ({
      ...row,
      cell_id: `c${index}`,
      kernel: `k${String(index).padStart(4, '0')}`,
    })),
  );

test('up to sixty kinds of cells have a column each, with its name', () => {
  const placed = squares(kinds(60));
  expect(isWrapped(placed)).toBe(false);
  expect(new Set(placed.map(({column}) => column)).size).toBe(60);
  expect(new Set(placed.map(({line}) => line)).size).toBe(1);
});

test('more kinds go on in the next line, in their order, and no two share a square', () => {
  const cells = kinds(130);
  const placed = squares(cells);
  expect(isWrapped(placed)).toBe(true);
  expect(placed.map(({key}) => key)).toEqual(cells.map(({key}) => key));
  expect(new Set(placed.map(({line, column}) => `${line} ${column}`)).size).toBe(130);
  expect([...new Set(placed.map(({line}) => line.slice(6)))]).toEqual([
    cells[0]?.panel,
    ...['21 …', '41 …', '61 …', '81 …', '101 …', '121 …'],
  ]);
});
