import {describe, expect, test} from 'vitest';
import type {JournalRecord, RoundStatus} from '../../../harness/contract/journal.ts';
import {progressOf, remainingRounds} from '../../../harness/plan/resume.ts';

const finished = (cellId: string, round: number, status: RoundStatus = 'ok', canary = false): JournalRecord => ({
  type: 'round_finished',
  cellId,
  round,
  attempt: 'x',
  canary,
  status,
  reason: '',
  error: null,
  stats: [],
  caveats: [],
  energyJ: null,
  energySource: null,
  overheadS: 0,
  at: '2026-01-01T00:00:00Z',
});
const cells = [
  {id: 'a', rounds: 2},
  {id: 'b', rounds: 3},
];
const left = (records: readonly JournalRecord[]) =>
  remainingRounds(cells, progressOf(records)).map(
    ({round, cells: rest}) => `${round}:${rest.map(({id}) => id).join('')}`,
  );

describe('remainingRounds', () => {
  test('is every round of every cell at first, as many as each wants', () => {
    expect(left([])).toEqual(['0:ab', '1:ab', '2:b']);
  });

  test('leaves out finished rounds, but neither started nor canary ones', () => {
    const started: JournalRecord = {type: 'round_started', cellId: 'b', round: 1, attempt: 'y', canary: false, at: ''};
    expect(left([finished('a', 0), finished('b', 0), finished('a', 1, 'ok', true), started])).toEqual(['1:ab', '2:b']);
  });

  test('gives no more rounds to a cell that failed', () => {
    expect(left([finished('b', 0, 'crashed')])).toEqual(['0:a', '1:a']);
  });

  test('is nothing when all is done', () => {
    expect(left([finished('a', 0), finished('a', 1), finished('b', 0), finished('b', 1), finished('b', 2)])).toEqual(
      [],
    );
  });
});
