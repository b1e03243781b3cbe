import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {CAVEAT_CODES, CaveatSchema, formatCaveats} from '../../../harness/contract/caveats.ts';

function sources(folder: string): string[] {
  return readdirSync(folder, {recursive: true, encoding: 'utf8'})
    .filter((name) => /\.(ts|py)$/.test(name) && !name.endsWith(join('contract', 'caveats.ts')))
    .map((name) => readFileSync(join(folder, name), 'utf8'));
}

test('every caveat code is given by something', () => {
  const text = [...sources('harness'), ...sources('runners')].join('\n');
  const given = (code: string) => text.includes(`'${code}'`) || text.includes(`"${code}"`);
  expect(CAVEAT_CODES.filter((code) => !given(code))).toEqual([]);
});

test('the text of a cell holds each code once, sorted, with its value', () => {
  expect(
    formatCaveats([{code: 'throttled', value: '0.50'}, {code: 'battery'}, {code: 'throttled', value: '0.10'}]),
  ).toBe('battery throttled=0.50');
  expect(CaveatSchema.safeParse({code: 'throttled', value: 'two words'}).success).toBe(false);
  expect(CaveatSchema.safeParse({code: 'no-such-code'}).success).toBe(false);
});
