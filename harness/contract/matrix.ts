import {z} from 'zod';
import {FORMAT_NAMES, type Format} from './format.ts';
import {MatrixServerSchema} from './server.ts';

/**
 * The matrix file as a person writes it (YAML). Keys are snake_case; every key has a default that is written into the
 * cell, so that nothing is chosen silently at run time. `z.describe` texts become the editor's hover help through
 * matrices/matrix.schema.json.
 */

const slug = z.string().regex(/^[a-z0-9][a-z0-9._-]*$/, 'use lower-case letters, digits, ".", "_" and "-"');
const formatName = z.enum(FORMAT_NAMES as readonly [Format, ...Format[]]);

/** A thousand passes at ten seconds are three hours a cell: more is a slip of the pen. */
export const MOST_ROUNDS = 1000;

export const MatrixSettingsSchema = z
  .strictObject({
    threads: z
      .union([z.int().positive(), z.literal('cores')])
      .describe('Threads; `cores` = physical cores this process may use. Default: cores'),
    gpu_layers: z
      .union([z.int().nonnegative(), z.literal('all')])
      .describe('Layers on the GPU. Default: all on a GPU device, 0 on a CPU'),
    batch_tokens: z.int().positive().describe('Tokens submitted at once (n_batch). Default: 2048'),
    ubatch_tokens: z.int().positive().describe('Tokens computed at once (n_ubatch). Default: 512'),
    context_tokens: z
      .int()
      .positive()
      .describe('KV cache positions per sequence. Default: prompt + generated + 1, rounded up to 256'),
    mmap: z.boolean().describe('Map the weights file instead of reading it. Default: true'),
    flash_attention: z
      .boolean()
      .describe(
        'transformers: sdpa instead of eager attention. Default: true on a GPU and for transformers, else false',
      ),
    kv_type: z.enum(['f16', 'bf16', 'f32', 'q8_0', 'q4_0']).describe('Type of the KV cache. Default: f16'),
    engine_build: z
      .enum(['prebuilt', 'native'])
      .describe('llama.cpp of the npm package, or built on this host. Default: prebuilt'),
    loop: z.enum(['hand', 'generate']).describe('transformers: own decode loop, or generate(). Default: generate'),
    simulate: z.record(z.string(), z.number()).describe('Only for the runner `simulated`'),
  })
  .partial();
export type MatrixSettings = z.infer<typeof MatrixSettingsSchema>;

const ModelSchema = z.strictObject({
  name: slug.describe('Name of the model in every result'),
  source: z
    .string()
    .min(1)
    .describe(
      'synthetic:<architecture>, file:<path>, hf:<org>/<repo>[/<file>][@<revision>], or server:<its name at a server>',
    ),
  seed: z.int().nonnegative().default(1).describe('Seed of synthetic weights'),
  sources: z.partialRecord(formatName, z.string().min(1)).optional().describe('Another source for some formats'),
});

const RunnerSchema = z.union([
  z.string().regex(/^[a-z0-9][a-z0-9-]*$/),
  z
    .strictObject({
      name: z.string().regex(/^[a-z0-9][a-z0-9-]*$/),
      command: z
        .array(z.string().min(1))
        .min(1)
        .optional()
        .describe('Your own worker: program and arguments; speaks the worker protocol on file descriptor 3'),
      server: MatrixServerSchema.optional().describe('An OpenAI-compatible server: vLLM, llama-server, SGLang, TGI, …'),
    })
    .refine((runner) => (runner.command === undefined) !== (runner.server === undefined), {
      error: 'give either command (your own worker) or server (an OpenAI-compatible server)',
      when: ({issues}) => issues.length === 0,
    }),
]);

const WorkloadEntrySchema = z
  .strictObject({
    name: slug,
    prompt_tokens: z.int().positive().optional(),
    generated_tokens: z.int().positive(),
    batch: z.int().positive().default(1),
    concurrency: z.int().positive().default(1),
    prefix_cache: z
      .union([z.literal('off'), z.string({error: 'shared:N with a number of tokens'}).regex(/^shared:\d+$/)])
      .default('off')
      .describe('off, or shared:N: the first N prompt tokens are kept'),
    prompts: z.string().optional().describe('JSON-lines file of prompts with expected answers, relative to this file'),
    settings: MatrixSettingsSchema.optional(),
  })
  .refine((workload) => (workload.prompt_tokens === undefined) !== (workload.prompts === undefined), {
    error: 'give either prompt_tokens or prompts',
  });

/** Glob per key (`*` and `?`); a rule matches when all its keys match. */
export const RuleKeys = ['model', 'format', 'runner', 'kernel', 'device', 'isa', 'workload'] as const;
export type RuleKey = (typeof RuleKeys)[number];
const RuleSchema = z
  .strictObject(
    Object.fromEntries(RuleKeys.map((key) => [key, z.union([z.string(), z.array(z.string()).min(1)])])) as Record<
      RuleKey,
      z.ZodUnion<[z.ZodString, z.ZodArray<z.ZodString>]>
    >,
  )
  .partial();

const list = <Item extends z.ZodType>(item: Item) => z.array(item).min(1);

export const MatrixSchema = z.strictObject({
  matrix: slug.describe('Name of the matrix; part of the run folder'),
  title: z.string().optional(),
  source: z.string().optional().describe('The publication this matrix reproduces'),
  models: list(ModelSchema),
  formats: list(formatName),
  runners: list(RunnerSchema).default(['llama-cpp']),
  kernels: list(slug)
    .default(['auto'])
    .describe('Kernels to ask for; only where the runner knows them. auto = the runner chooses'),
  devices: list(slug)
    .default(['host'])
    .describe('Catalogue names, or host, host-cpu, host-gpu for what this machine is'),
  isa: list(z.enum(['native', 'avx2', 'avx512']))
    .default(['native'])
    .describe('Instruction set caps'),
  workloads: list(WorkloadEntrySchema),
  settings: MatrixSettingsSchema.default({}),
  /** Axes crossed in addition, one cell per value: `{threads: [1, 2]}`. */
  sweep: z
    .partialRecord(
      z.enum(['threads', 'mmap', 'flash_attention', 'kv_type', 'engine_build', 'loop', 'ubatch_tokens']),
      z.array(z.union([z.string(), z.number(), z.boolean()])).min(1),
    )
    .refine((axes) => Object.keys(axes).length > 0, {
      error: 'is empty: give at least one setting, or leave sweep out',
      // A key that is wrong has its own line.
      when: ({issues}) => issues.length === 0,
    })
    .default({}),
  exclude: z
    .array(RuleSchema.extend({reason: z.string().optional()}))
    .default([])
    .describe('Cells that match are left out'),
  include: z
    .array(RuleSchema.extend({settings: MatrixSettingsSchema.optional(), kernels: list(slug).optional()}))
    .default([])
    .describe('When given, only cells that match one of the rules remain; its settings apply to them'),
  override: z
    .array(
      z.strictObject({
        when: RuleSchema,
        settings: MatrixSettingsSchema.optional(),
        rounds: z.int().positive().max(MOST_ROUNDS).optional(),
        requests: z.int().positive().optional().describe('Least requests over all rounds'),
        half_width: z.number().positive().optional(),
        warmup_max: z.int().nonnegative().optional().describe('Most requests of warm-up; the least is lowered to it'),
        budget_seconds: z.number().positive().optional(),
      }),
    )
    .default([])
    .describe('Settings for the cells that match; later entries win'),
  rounds: z.int().positive().max(MOST_ROUNDS).default(3).describe('Passes over all cells'),
  order: z
    .enum(['interleaved', 'shuffled'])
    .default('interleaved')
    .describe('Order within a round; shuffled is seeded'),
  seed: z.int().nonnegative().default(1).describe('Seed of prompts and order'),
  requests: z
    .strictObject({
      min: z.int().positive().default(64).describe('Least requests over all rounds'),
      max: z.int().positive().default(512).describe('Most requests over all rounds'),
      min_seconds: z.number().nonnegative().default(0).describe('Least seconds of measuring in a round'),
      half_width: z
        .number()
        .positive()
        .default(0.02)
        .describe('Wanted half width of the 95 % interval of the median latency, relative'),
      warmup_min: z.int().nonnegative().default(1),
      warmup_max: z.int().nonnegative().default(5),
    })
    .default({min: 64, max: 512, min_seconds: 0, half_width: 0.02, warmup_min: 1, warmup_max: 5}),
  budget_seconds: z.number().positive().default(120).describe('Seconds of warm-up and measuring per cell and round'),
  limits: z
    .strictObject({load_seconds: z.number().positive().default(600), idle_seconds: z.number().positive().default(120)})
    .default({load_seconds: 600, idle_seconds: 120}),
  sample_period_ms: z
    .int()
    .min(10)
    .default(50)
    .describe('Period of the samplers. What the kernel keeps anyway (CPU times, energy, memory peaks): at least 250'),
  canary: z
    .boolean()
    .default(true)
    .describe('Run the first runnable cell once more at the end, to see whether the host drifted'),
});
export type Matrix = z.infer<typeof MatrixSchema>;
