import {expect, test} from 'vitest';
import {makeVocabulary} from '../../../harness/weights/vocabulary.ts';

test.each([1024, 4096, 32_000])('a vocabulary of %i has so many different tokens', (size) => {
  const {tokens, merges, firstSpecial, beginToken, endToken} = makeVocabulary(size);
  expect(new Set(tokens).size).toBe(size);
  expect(merges).toHaveLength(firstSpecial - 256);
  expect([tokens[beginToken], tokens[endToken]]).toEqual(['<|begin_of_text|>', '<|end_of_text|>']);
});

test('every merge joins two earlier tokens into the next one', () => {
  const {tokens, merges} = makeVocabulary(4096);
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const wrong = merges.filter((merge, index) => {
    const [left = '', right = ''] = merge.split(' ');
    const id = ids.get(left + right) ?? -1;
    return id !== 256 + index || !((ids.get(left) ?? id) < id && (ids.get(right) ?? id) < id);
  });
  expect(wrong).toEqual([]);
});
