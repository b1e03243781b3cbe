import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {roundOrder} from '../../../harness/plan/order.ts';

const cells = (ids: string) => [...ids].map((id) => ({id, source: id, weightsSeed: 1, format: 'fp16'}));
const ids = (ordered: readonly {readonly id: string}[]) => ordered.map(({id}) => id).join('');

describe('roundOrder', () => {
  test('goes there and back, and begins each pair of rounds elsewhere', () => {
    const rounds = Array.from({length: 6}, (_, round) => ids(roundOrder(cells('abcd'), round, 'interleaved', 1)));
    expect(rounds).toEqual(['abcd', 'dcba', 'cdab', 'badc', 'bcda', 'adcb']);
  });

  test('keeps cells of the same weights side by side', () => {
    const mixed = [
      {id: 'a1', source: 'a', weightsSeed: 1, format: 'fp16'},
      {id: 'b1', source: 'b', weightsSeed: 1, format: 'fp16'},
      {id: 'a2', source: 'a', weightsSeed: 1, format: 'fp16'},
    ];
    expect(ids(roundOrder(mixed, 0, 'interleaved', 1))).toBe('a1a2b1');
  });

  test('gives every cell the same mean position over a pair of rounds, so that even drift hits all alike', () => {
    fc.assert(
      fc.property(fc.integer({min: 1, max: 40}), fc.integer({min: 0, max: 20}), (count, pair) => {
        const all = Array.from({length: count}, (_, id) => ({
          id: String(id),
          source: String(id),
          weightsSeed: 1,
          format: 'f',
        }));
        const there = roundOrder(all, 2 * pair, 'interleaved', 1);
        const back = roundOrder(all, 2 * pair + 1, 'interleaved', 1);
        for (const cell of all) expect(there.indexOf(cell) + back.indexOf(cell)).toBe(count - 1);
      }),
    );
  });

  test('shuffles by seed and round, whatever the order before, and loses nothing', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...'abcdefgh'], {minLength: 8}), fc.nat(9), fc.nat(), (letters, round, seed) => {
        const once = ids(roundOrder(cells(letters.join('')), round, 'shuffled', seed));
        expect(once).toBe(ids(roundOrder(cells('abcdefgh'), round, 'shuffled', seed)));
        expect([...once].sort().join('')).toBe('abcdefgh');
      }),
    );
    const first = [0, 1, 2].map((round) => ids(roundOrder(cells('abcdefgh'), round, 'shuffled', 1)));
    expect(new Set(first).size).toBe(3);
  });
});
