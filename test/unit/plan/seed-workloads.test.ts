import {readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {describe, expect, it, test} from 'vitest';
import {z} from 'zod';
import {PromptSchema} from '../../../harness/plan/prompts-file.ts';
import {attributePrompts, cataloguePrompts, PARTS} from '../../generate/products.ts';
import {loadText} from '../../support/matrix-file.ts';

const folder = fileURLToPath(new URL('../../../matrices/', import.meta.url));
const UNKNOWN = new Set(['not said', 'nije navedeno', 'no consta', '記載なし']);
const answerOf = (answer: string) => z.record(z.string(), z.string()).parse(JSON.parse(answer));
const listingOf = (prompt: string) => prompt.split('\n\n')[1] ?? '';

describe.each([
  ['attributes', attributePrompts, 5, 1],
  ['catalogue', cataloguePrompts, 2, PARTS],
] as const)('the %s prompts', (_name, make, asked, perProduct) => {
  it('ask in four languages for attributes whose values are in the listing, or are said to be missing', () => {
    for (const seed of [1, 2, 3]) {
      const prompts = make({seed, perLanguage: 8});
      expect(prompts).toHaveLength(8 * 4 * perProduct);
      expect(new Set(prompts.map(({language}) => language)).size).toBe(4);
      expect(new Set(prompts.map(({id}) => id)).size).toBe(prompts.length);
      for (const prompt of prompts) {
        PromptSchema.parse(prompt);
        const values = Object.entries(answerOf(prompt.answer));
        expect(values).toHaveLength(asked);
        for (const [name, value] of values) {
          expect(prompt.prompt.split('\n\n')[0]).toContain(name);
          if (!UNKNOWN.has(value)) expect(listingOf(prompt.prompt)).toContain(value);
        }
      }
      // A model that always says "not said", or never, must not look good.
      const missing = prompts.flatMap(({answer}) => Object.values(answerOf(answer))).map((value) => UNKNOWN.has(value));
      const share = missing.filter(Boolean).length / missing.length;
      expect(share).toBeGreaterThan(0.05);
      expect(share).toBeLessThan(0.5);
    }
  });

  it('are the same for the same seed, and others for another', () => {
    expect(make({seed: 5, perLanguage: 2})).toEqual(make({seed: 5, perLanguage: 2}));
    expect(make({seed: 5, perLanguage: 2})).not.toEqual(make({seed: 6, perLanguage: 2}));
  });
});

it('the four prompts of a catalogue product share its listing, and part its attributes among them', () => {
  const prompts = cataloguePrompts({seed: 1, perLanguage: 3});
  for (let first = 0; first < prompts.length; first += PARTS) {
    const parts = prompts.slice(first, first + PARTS);
    expect(new Set(parts.map(({prompt}) => listingOf(prompt))).size).toBe(1);
    const names = parts.flatMap(({answer}) => Object.keys(answerOf(answer)));
    expect(names).toHaveLength(8);
    expect(new Set(names).size).toBe(8);
  }
});

test.each([
  ['mercari-2024', 'attributes', 120],
  ['squadra-2024', 'attributes', 120],
  ['kolasani-2026', 'catalogue', 160],
])('%s is a matrix with a real model, too, when its comment is put in place', async (name, workload, count) => {
  const text = readFileSync(`${folder}${name}.yaml`, 'utf8');
  const commented = text.slice(text.lastIndexOf('# models:')).replaceAll(/^# ?/gm, '');
  const block = (key: string) => new RegExp(`^${key}:\\n(?: .*\\n)+`, 'm');
  // Rules about models and workloads that are gone go with them.
  const active = ['models', 'workloads', 'exclude', 'override'].reduce(
    (rest, key) => rest.replace(block(key), ''),
    text,
  );
  const body = `${active}\n${commented.replace('workloads/', '')}`;
  const prompts = readFileSync(`${folder}workloads/${workload}.jsonl`, 'utf8');
  const loaded = await loadText(body, {[`${workload}.jsonl`]: prompts});
  expect(loaded.matrix.models).toHaveLength(1);
  expect(loaded.prompts.get(`${workload}.jsonl`)).toMatchObject({count});
});
