import {cp, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {execa} from 'execa';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {z} from 'zod';
import type {Format} from '../../harness/contract/format.ts';
import {prebuiltLibraryDir} from '../../harness/weights/llama-library.ts';
import {LocalWeightsStore} from '../../harness/weights/local-weights-store.ts';
import {meanDivergence} from '../support/divergence.ts';
import {find} from '../support/needs.ts';
import {workOrder} from '../support/work-order.ts';

const fixture = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const python = find('python') ?? '';
const libraryDir = prebuiltLibraryDir() ?? '';
const SLOW_MS = 240_000;

/**
 * Beyond Gemma 3's window of 64, and long enough for llama3's stretched waves to turn. The beginning is looked at
 * closely, for there a wrong rotation or mask shows first.
 */
const PROMPT = Array.from({length: 512}, (_, index) => (index * 61 + 7 * (index >> 4)) % 1000);
const POSITIONS = [
  ...Array.from({length: 16}, (_, index) => index),
  ...Array.from({length: 31}, (_, i) => 31 + 16 * i),
];

/**
 * Divergence from FP16 that each format may have, as a share of the divergence between two models of the same shape with
 * other weights (0.1 nats where embeddings are tied, 1 nat where not). Measured in the six families below: fp32 up to
 * 1.8e-6, bf16 1.8e-4, gptq-4bit 0.115, gguf-f16 2.1e-6, gguf-q8_0 7.7e-4, gguf-q4_k_m 0.065. The bounds leave room for
 * processors that round otherwise; the mistakes below exceed that of gguf-f16 by far.
 */
const BOUNDS = {
  fp32: 2e-5,
  bf16: 1e-3,
  'gptq-4bit': 0.25,
  'gguf-f16': 2e-5,
  'gguf-q8_0': 3e-3,
  'gguf-q4_k_m': 0.15,
} as const satisfies Partial<Record<Format, number>>;
type Bounded = keyof typeof BOUNDS;

const TORCH = ['fp32', 'bf16', 'gptq-4bit'] as const satisfies readonly Bounded[];
const GGUF = ['gguf-f16', 'gguf-q8_0', 'gguf-q4_k_m'] as const satisfies readonly Bounded[];

/** Each family, with a mistake in reading its config.json that the comparison must see. */
const MODELS = {
  'bench-tiny': {of: 'rotation without llama3 scaling', config: {rope_scaling: null}},
  'bench-tiny-untied': {of: 'another base of the rotation', config: {rope_theta: 20_000}},
  'bench-tiny-gemma': {
    of: 'norms without the added one',
    config: {model_type: 'llama', architectures: ['LlamaForCausalLM']},
  },
  'bench-tiny-gemma3': {of: 'a window that is one wider', config: {sliding_window: 65}},
  'bench-tiny-phi2': {of: 'another part of a head rotated', config: {partial_rotary_factor: 0.25}},
  'bench-tiny-qwen2': {
    of: 'projections without their biases',
    config: {model_type: 'llama', architectures: ['LlamaForCausalLM'], attention_bias: false},
  },
} as const;
type Model = keyof typeof MODELS;
const NAMES = [
  'bench-tiny',
  'bench-tiny-untied',
  'bench-tiny-gemma',
  'bench-tiny-gemma3',
  'bench-tiny-phi2',
  'bench-tiny-qwen2',
] as const satisfies readonly Model[];

type Rows = readonly number[][];
interface Answers {
  readonly fp16: Rows;
  /** The same shape with other weights. */
  readonly stranger: Rows;
  readonly mistaken: Rows;
  readonly formats: ReadonlyMap<Bounded, Rows>;
}

describe.skipIf(python === '' || libraryDir === '')('one model in all formats', () => {
  let cache: string;
  let answers: ReadonlyMap<Model, Answers>;
  beforeAll(async () => {
    cache = await mkdtemp(join(tmpdir(), 'bench-agreement-'));
    answers = await answersOf(cache);
  }, SLOW_MS);
  afterAll(async () => await rm(cache, {recursive: true, force: true}));

  it.each(NAMES)('computes nearly the same distribution: %s', (model) => {
    const {fp16, stranger, formats} = answersFor(model);
    const shares = [...formats].map(
      ([format, rows]) => [format, meanDivergence(fp16, rows) / meanDivergence(fp16, stranger)] as const,
    );
    expect(shares).toHaveLength(Object.keys(BOUNDS).length);
    for (const [format, share] of shares) expect(share, format).toBeLessThan(BOUNDS[format]);
    // Fewer bits are seen: less would mean that other weights ran than those that the format holds.
    const share = new Map(shares);
    const exact = share.get('gguf-f16') ?? 0;
    for (const format of ['gguf-q8_0', 'gguf-q4_k_m', 'gptq-4bit'] as const) {
      expect(share.get(format), format).toBeGreaterThan(20 * exact);
    }
    expect(share.get('gguf-q4_k_m')).toBeGreaterThan(10 * (share.get('gguf-q8_0') ?? 0));
  });

  it.each(NAMES.map((model) => [MODELS[model].of, model] as const))('would tell %s: %s', (_, model) => {
    const {fp16, stranger, mistaken} = answersFor(model);
    expect(meanDivergence(fp16, mistaken) / meanDivergence(fp16, stranger)).toBeGreaterThan(5 * BOUNDS['gguf-f16']);
  });

  function answersFor(model: Model): Answers {
    const found = answers.get(model);
    if (found === undefined) throw new Error(model);
    return found;
  }
});

async function answersOf(cache: string): Promise<ReadonlyMap<Model, Answers>> {
  const store = new LocalWeightsStore({cacheDir: cache, env: {}});
  const make = async (model: Model, format: Format, seed = 1): Promise<string> => {
    const request = {source: `synthetic:${model}`, format, seed};
    const progress = {signal: new AbortController().signal, onProgress: () => undefined};
    return (await store.ensure(request, progress)).path;
  };
  const torch: (readonly [Format, string])[] = [];
  for (const model of NAMES) {
    const folder = await make(model, 'fp16');
    torch.push(['fp16', folder], ['fp16', await make(model, 'fp16', 2)]);
    torch.push(['fp16', await misread(folder, join(cache, `mistaken-${model}`), MODELS[model].config)]);
    for (const format of TORCH) torch.push([format, await make(model, format)]);
  }
  // PyTorch works while llama.cpp does.
  const [rows, gguf] = await Promise.all([torchLogits(torch), ggufLogits(make)]);
  const answers = new Map<Model, Answers>();
  for (const [index, model] of NAMES.entries()) {
    const [fp16 = [], stranger = [], mistaken = [], ...others] = rows.slice(index * (3 + TORCH.length));
    const formats = new Map<Bounded, Rows>(TORCH.map((format, place) => [format, others[place] ?? []]));
    for (const [format, logits] of gguf.get(model) ?? []) formats.set(format, logits);
    answers.set(model, {fp16, stranger, mistaken, formats});
  }
  return answers;
}

async function ggufLogits(
  make: (model: Model, format: Format) => Promise<string>,
): Promise<ReadonlyMap<Model, readonly (readonly [Bounded, Rows])[]>> {
  const found = new Map<Model, (readonly [Bounded, Rows])[]>();
  for (const model of NAMES) {
    const rows: (readonly [Bounded, Rows])[] = [];
    for (const format of GGUF) rows.push([format, await llamaLogits(await make(model, format))]);
    found.set(model, rows);
  }
  return found;
}

/** A copy of a checkpoint whose config.json says something else. */
async function misread(folder: string, copy: string, config: Readonly<Record<string, unknown>>): Promise<string> {
  await cp(folder, copy, {recursive: true});
  const path = join(copy, 'config.json');
  const read: unknown = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify({...z.looseObject({}).parse(read), ...config}));
  return copy;
}

const TorchSchema = z.array(z.array(z.array(z.number())));
const GgufSchema = z.object({rows: z.array(z.array(z.number()))});

/** In one process: importing PyTorch takes longer than all models together. */
async function torchLogits(models: readonly (readonly [Format, string])[]): Promise<readonly Rows[]> {
  const work = {
    models: models.map(([format, folder]) => [
      workOrder({cell: {format, kernel: format === 'gptq-4bit' ? 'dequant-eager' : 'auto'}}).cell,
      folder,
    ]),
    prompt: PROMPT,
    positions: POSITIONS,
  };
  const worker = [fixture('../../runners/transformers'), fixture('../../runners/worker-kit/python')];
  const {stdout} = await execa(python, [fixture('../fixtures/python/logits.py'), ...worker], {
    input: JSON.stringify(work),
    maxBuffer: 256 << 20,
  });
  return TorchSchema.parse(JSON.parse(stdout));
}

async function llamaLogits(path: string): Promise<Rows> {
  const program = fixture('../unit/weights/support/model-logits.ts');
  const args = ['--import', 'tsx', program, libraryDir, path, PROMPT.join(','), POSITIONS.join(',')];
  const {stdout} = await execa(process.execPath, args, {maxBuffer: 256 << 20});
  return GgufSchema.parse(JSON.parse(stdout)).rows;
}
