import {expect, test} from 'vitest';
import {interleaveRows} from '../../../harness/weights/interleave-rows.ts';

test('the two halves of each head take turns', () => {
  // Two heads of four rows, two values a row; a row is named by its number.
  const rows = Uint16Array.from({length: 16}, (_, index) => index >> 1);
  expect([...interleaveRows(rows, 2, 2)].filter((_, index) => index % 2 === 0)).toEqual([0, 2, 1, 3, 4, 6, 5, 7]);
});

test('rows stay whole', () => {
  expect([...interleaveRows(Uint16Array.of(1, 2, 3, 4, 5, 6, 7, 8), 2, 1)]).toEqual([1, 2, 5, 6, 3, 4, 7, 8]);
});
