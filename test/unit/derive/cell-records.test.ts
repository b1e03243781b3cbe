import {describe, expect, it} from 'vitest';
import {cellRecords} from '../../../harness/derive/cell-records.ts';
import {buildCell, buildRequest, buildRound, planned, WEIGHTS} from './build.ts';

const cell = buildCell();

describe('cellRecords', () => {
  it('takes the last attempt that ended, and nothing of one that was cut off', () => {
    const cutOff = buildRound(cell.id, 0, [buildRequest(0, {ttftUs: 1})], {attempt: 'cut'}).slice(0, -1);
    const first = buildRound(cell.id, 0, [buildRequest(0, {ttftUs: 2})], {
      attempt: 'first',
      status: 'timeout',
      reason: 'slow',
    });
    const second = buildRound(cell.id, 0, [buildRequest(0, {ttftUs: 3})], {attempt: 'second'});
    const [record] = cellRecords([planned(cell), ...cutOff, ...first, ...second]);
    expect(record?.rounds).toHaveLength(1);
    expect(record?.rounds[0]?.requests.map(({tokenNs}) => tokenNs[0])).toEqual([3000]);
    expect(record?.rounds[0]?.status).toBe('ok');
  });

  it('keeps the canary apart, rounds in order, warm-up out', () => {
    const [record] = cellRecords([
      planned(cell),
      {type: 'weights', cellId: cell.id, weights: WEIGHTS},
      ...buildRound(cell.id, 1, [buildRequest(1), buildRequest(0)]),
      ...buildRound(cell.id, 0, [buildRequest(0)]),
      ...buildRound(cell.id, 0, [buildRequest(0)], {canary: true}),
    ]);
    expect(record?.rounds.map(({index}) => index)).toEqual([0, 1]);
    expect(record?.canaryRounds).toHaveLength(1);
    expect(record?.rounds[1]?.requests.map(({index, phase}) => [index, phase])).toEqual([
      [0, 'measure'],
      [1, 'measure'],
    ]);
    expect(record?.weights).toEqual(WEIGHTS);
    expect(record?.rounds[0]?.stopped).toBe('enough');
  });

  it('lists every planned cell, also those without a round, and no other', () => {
    const other = buildCell({id: 'ba9876543210'});
    const records = cellRecords([
      planned(cell, {verdict: 'waiting', reason: 'waits for a t4'}),
      planned(other),
      ...buildRound('ffffffffffff', 0, [buildRequest(0)]),
    ]);
    expect(records.map((record) => [record.cell.id, record.verdict, record.rounds.length])).toEqual([
      [cell.id, 'waiting', 0],
      [other.id, 'run', 0],
    ]);
  });
});
