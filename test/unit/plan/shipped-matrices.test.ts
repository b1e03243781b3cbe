import {readdirSync, readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {Ajv} from 'ajv';
import {describe, expect, test} from 'vitest';
import {parse} from 'yaml';
import {z} from 'zod';
import {CellSchema} from '../../../harness/contract/cell.ts';
import {MatrixSchema} from '../../../harness/contract/matrix.ts';
import {matrixJsonSchema} from '../../../harness/plan/json-schema.ts';
import {loadMatrix} from '../../../harness/plan/load-matrix.ts';
import {makePlan} from '../../../harness/plan/plan.ts';
import {GENERATED_FILES} from '../../generate/files.ts';
import {ANSWER_CHARACTERS, characters, intentPrompts, PROMPT_CHARACTERS} from '../../generate/workloads.ts';
import {loadText} from '../../support/matrix-file.ts';
import {PLAN_CATALOGUE, planEstimate, planHost, planRunners} from '../../support/plan-hosts.ts';

const folder = fileURLToPath(new URL('../../../matrices/', import.meta.url));
/** Files of other kinds that lie beside the matrices. */
const OTHERS = new Set(['devices.yaml', 'prices.yaml']);
const matrices = readdirSync(folder).filter((name) => name.endsWith('.yaml') && !OTHERS.has(name));
const hosts = {
  'a CPU': planHost(),
  'a T4': planHost({gpu: 't4'}),
  'an A100 80 GB': planHost({gpu: 'a100-80gb', cores: 12}),
};

async function plan(name: string, host = planHost()) {
  const loaded = await loadMatrix(folder + name);
  const parameters = name.startsWith('quickstart') ? 53_000_000 : 1_235_814_400;
  return makePlan({
    loaded,
    host,
    catalogue: PLAN_CATALOGUE,
    runners: planRunners(),
    estimate: planEstimate(parameters),
    harness: '0.1.0',
  });
}

describe.each(matrices)('matrices/%s', (name) => {
  test.each(Object.entries(hosts))('makes a plan of valid cells on %s', async (_host, host) => {
    const {cells} = await plan(name, host);
    for (const {cell} of cells) CellSchema.parse(cell);
    expect(new Set(cells.map(({cell}) => cell.id)).size).toBe(cells.length);
  });

  test('has something to run on one of these hosts', async () => {
    const plans = await Promise.all(Object.values(hosts).map((host) => plan(name, host)));
    expect(plans.some(({cells}) => cells.some(({verdict}) => verdict === 'run'))).toBe(true);
  });

  test('is valid by the schema for editors, which it names', () => {
    const text = readFileSync(folder + name, 'utf8');
    expect(text.split('\n', 1)[0]).toBe('# yaml-language-server: $schema=./matrix.schema.json');
    const check = new Ajv({strict: false}).compile(matrixJsonSchema());
    expect(check(parse(text)), JSON.stringify(check.errors)).toBe(true);
  });
});

describe('quickstart.yaml', () => {
  test('is three formats on this CPU, whose rounds end within a minute', async () => {
    const {cells, ...head} = await plan('quickstart.yaml');
    const text = cells.map(({cell, verdict, reason, estimate}) =>
      [cell.id, cell.format, cell.runner.id, cell.workload.name, verdict, reason, estimate.seconds].join(' | '),
    );
    expect({...head, matrixDir: '', matrixSha256: '', planId: ''}).toMatchInlineSnapshot(`
      {
        "canary": false,
        "harness": "0.1.0",
        "matrix": "quickstart",
        "matrixDir": "",
        "matrixSha256": "",
        "order": "interleaved",
        "planId": "",
        "rounds": 3,
        "samplePeriodMs": 50,
        "schema": 1,
        "seed": 1,
      }
    `);
    expect(text).toMatchInlineSnapshot(`
      [
        "5468cb0c52fa | gguf-f16 | llama-cpp | p64-g16 | run | runs here on amd-epyc-9r14 | 22",
        "95059016885d | gguf-q8_0 | llama-cpp | p64-g16 | run | runs here on amd-epyc-9r14 | 20",
        "a27ca3bb7cd9 | gguf-q4_k_m | llama-cpp | p64-g16 | run | runs here on amd-epyc-9r14 | 20",
      ]
    `);
    const budgets = cells.reduce((sum, {cell}) => sum + cell.rounds * cell.stop.budgetSeconds, 0);
    expect(budgets).toBeLessThanOrEqual(45);
  });
});

describe('licardo-2025.yaml', () => {
  test('covers the formats, kernels and devices of the paper and their controls', async () => {
    const {cells} = await plan('licardo-2025.yaml', planHost({gpu: 't4'}));
    const intent = cells.map(({cell}) => cell).filter(({workload}) => workload.name === 'intent');
    const on = (device: string, isa = 'native') =>
      intent
        .filter((cell) => cell.device === device && cell.isa === isa)
        .map((cell) => (cell.kernel === 'auto' ? cell.format : cell.kernel));
    expect(on('t4')).toMatchInlineSnapshot(`
      [
        "fp16",
        "dequant-eager",
        "dequant-triton",
        "torch",
        "triton",
        "exllama-v2",
        "marlin",
        "gguf-f16",
        "gguf-q8_0",
        "gguf-q6_k",
        "gguf-q5_k_m",
        "gguf-q4_k_m",
        "gguf-q3_k_m",
      ]
    `);
    expect(on('ryzen-7-5800hs')).toMatchInlineSnapshot(`
      [
        "fp16",
        "fp32",
        "bf16",
        "dequant-eager",
        "int4pack-cpu",
        "gguf-f16",
        "gguf-q8_0",
        "gguf-q6_k",
        "gguf-q5_k_m",
        "gguf-q4_k_m",
        "gguf-q3_k_m",
      ]
    `);
    expect(on('amd-epyc-9r14', 'avx2')).toMatchInlineSnapshot(`
      [
        "fp16",
        "fp32",
        "bf16",
        "dequant-eager",
        "int4pack-cpu",
        "gguf-f16",
        "gguf-q8_0",
        "gguf-q4_k_m",
      ]
    `);
    // Hopper has a kernel more.
    expect(on('h200').filter((name) => name !== 'machete')).toEqual(on('t4'));
    expect(on('h200')).toContain('machete');
    expect(on('amd-epyc-9r14')).toEqual(on('ryzen-7-5800hs'));
  });

  test('shows the GPUs as waiting on a machine without one', async () => {
    const {cells} = await plan('licardo-2025.yaml');
    const waiting = new Set(cells.filter(({verdict}) => verdict === 'waiting').map(({cell}) => cell.device));
    expect([...waiting].sort()).toEqual([
      'a100-40gb',
      'a100-40gb-pcie',
      'a100-80gb',
      'a100-80gb-pcie',
      'h200',
      'ryzen-7-5800hs',
      't4',
    ]);
  });

  test('spends at most an hour, loading included, on the GGUF part of a CPU', async () => {
    const {cells} = await plan('licardo-2025.yaml', planHost({availableBytes: 20 * 2 ** 30}));
    const gguf = cells.filter(({cell, verdict}) => verdict === 'run' && cell.runner.id === 'llama-cpp');
    const seconds = gguf.reduce((sum, {estimate}) => sum + (estimate.seconds ?? 0), 0);
    expect(gguf.length).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(3600);
  });

  test('is a matrix with the real model, too, when its comment is put in place', async () => {
    const text = readFileSync(`${folder}licardo-2025.yaml`, 'utf8');
    const commented = text.slice(text.lastIndexOf('# models:')).replaceAll(/^# ?/gm, '');
    const active = text.replace(/^models:\n(?: .*\n)+/m, '').replace(/^workloads:\n(?: .*\n)+/m, '');
    const withTexts = active.replaceAll(/, workload: (pp512|tg128|intent) ?}/g, ', workload: intent-texts}');
    const prompts = readFileSync(`${folder}workloads/intent.jsonl`, 'utf8');
    const body = `${withTexts}\n${commented.replace('workloads/intent.jsonl', 'intent.jsonl')}`;
    const loaded = await loadText(body, {'intent.jsonl': prompts});
    expect(loaded.matrix.models.map(({name}) => name)).toEqual(['llama-3.2-1b-intent']);
    expect(loaded.prompts.get('intent.jsonl')).toMatchObject({count: 120});
  });
});

describe('generated files', () => {
  test.each(GENERATED_FILES)('$path is what `npm run generate` makes', async ({path, make}) => {
    const current = readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
    expect((await make(current)) === current, `${path} differs: run npm run generate`).toBe(true);
  });

  test('the schema for editors knows every key of a matrix, and no others', () => {
    const schema = matrixJsonSchema();
    const properties = schema['properties'];
    if (typeof properties !== 'object' || properties === null) throw new Error('the schema has no properties');
    expect(Object.keys(properties).sort()).toEqual(Object.keys(MatrixSchema.shape).sort());
    expect(schema['additionalProperties']).toBe(false);
  });

  test('the intent prompts keep the lengths of the paper in four languages, and the answer is about the catalogue', () => {
    for (const seed of [1, 2, 3]) {
      const prompts = intentPrompts({seed, perLanguage: 30});
      expect(new Set(prompts.map(({language}) => language)).size).toBe(4);
      expect(new Set(prompts.map(({prompt}) => prompt)).size).toBe(prompts.length);
      for (const {prompt, answer} of prompts) {
        expect(characters(prompt)).toBeGreaterThanOrEqual(PROMPT_CHARACTERS.least);
        expect(characters(prompt)).toBeLessThanOrEqual(PROMPT_CHARACTERS.most);
        expect(characters(answer)).toBeGreaterThanOrEqual(ANSWER_CHARACTERS.least);
        expect(characters(answer)).toBeLessThanOrEqual(ANSWER_CHARACTERS.most);
        const {product, quantity} = z.object({product: z.string(), quantity: z.number()}).parse(JSON.parse(answer));
        const [catalogue = '', wish = ''] = prompt.split('\n\n');
        expect(catalogue.split('\n')).toContain(product);
        expect(wish).toContain(product);
        expect(wish).toContain(String(quantity));
      }
    }
  });
});
