import {z} from 'zod';
import {FormatSchema} from './format.ts';
import {SERVER_SOURCE, type ServerRef, ServerRefSchema, tellsServer} from './server.ts';
import {WorkloadSchema} from './workload.ts';

/**
 * Everything about the engine that would otherwise be chosen automatically. `null` only where a setting does not exist
 * for the runner; a worker reports what really took effect in its `loaded` event.
 */
export const CellSettingsSchema = z.strictObject({
  /** Threads for decode and prefill. Never above the cores this process may use. */
  threads: z.int().positive(),
  /** Layers on the GPU: 0 = CPU only, 999 = all. */
  gpuLayers: z.int().nonnegative(),
  /** Tokens submitted at once (llama.cpp n_batch). */
  batchTokens: z.int().positive(),
  /** Tokens computed at once (llama.cpp n_ubatch). */
  ubatchTokens: z.int().positive(),
  /** KV cache positions; at least prompt + generated + 1, per sequence. */
  contextTokens: z.int().positive(),
  mmap: z.boolean(),
  flashAttention: z.boolean(),
  kvType: z.enum(['f16', 'bf16', 'f32', 'q8_0', 'q4_0']),
  /** Which build of llama.cpp: the one in the npm package, or one built on this host by `bench setup llama-cpp --native`. */
  engineBuild: z.enum(['prebuilt', 'native']),
  /** transformers: a hand-written decode loop, or `generate()`. */
  loop: z.enum(['hand', 'generate']),
  /** simulated: seconds a token, and the like; ignored by every real runner. */
  simulate: z.record(z.string(), z.number()).optional(),
});
export type CellSettings = z.infer<typeof CellSettingsSchema>;

/** When the measuring of one round ends: both minima and the width are reached, or a maximum is. */
export const StopRuleSchema = z.strictObject({
  warmupMinRequests: z.int().nonnegative(),
  warmupMaxRequests: z.int().nonnegative(),
  /** Least requests in one round (the matrix gives the total, divided by its rounds). */
  minRequests: z.int().positive(),
  maxRequests: z.int().positive(),
  minSeconds: z.number().nonnegative(),
  /** Wanted half width of the 95 % interval of the median request latency, relative to the median. */
  relativeHalfWidth: z.number().positive(),
  /** Seconds of warm-up and measuring in one round, after loading. */
  budgetSeconds: z.number().positive(),
});
export type StopRule = z.infer<typeof StopRuleSchema>;

export const CellLimitsSchema = z.strictObject({
  /** Loading may take this long. */
  loadSeconds: z.number().positive(),
  /** No event for this long means the worker hangs. */
  idleSeconds: z.number().positive(),
});

/** The runner: one of ours by name, a user's own worker program, or a server under a name of the user's. */
export const RunnerRefSchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9-]*$/),
  /** Only for a user's own worker: program and arguments. */
  command: z.array(z.string().min(1)).min(1).optional(),
  /** Only for a server: the runner `openai-http` measures it. */
  server: ServerRefSchema.optional(),
});
export type RunnerRef = z.infer<typeof RunnerRefSchema>;

/** One point of model × format × runner × kernel × device × workload. */
export const CellSchema = z.strictObject({
  /** First 12 hex digits of the SHA-256 of `cellIdentity`: equal ids are comparable. */
  id: z.string().regex(/^[0-9a-f]{12}$/),
  matrix: z.string(),
  model: z.string().min(1),
  /** `synthetic:<architecture>`, `file:<path>`, `hf:<org>/<repo>[/<file>][@<revision>]` or `server:<name>`. */
  source: z.string().min(1),
  /** Seed of synthetic weights. */
  weightsSeed: z.int().nonnegative(),
  format: FormatSchema,
  runner: RunnerRefSchema,
  /** The kernel asked for; `auto` lets the runner choose. What really ran is reported by the worker. */
  kernel: z.string().min(1),
  /** Slug of the device: `t4`, `a100-80gb`, `ryzen-7-5800hs`, or a name made from what the machine reports. */
  device: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/),
  deviceKind: z.enum(['cpu', 'cuda']),
  /** Instruction set cap: `native` for none, `avx2` for the AVX2 code path on a wider machine. */
  isa: z.enum(['native', 'avx2', 'avx512']),
  workload: WorkloadSchema,
  settings: CellSettingsSchema,
  /**
   * Threads as the matrix asks for them, when that is not the number in `settings.threads`: `cores` is resolved on the
   * machine that runs the cell, and the id must be known before. Absent: as in `settings`.
   */
  threadsAsked: z.literal('cores').optional(),
  stop: StopRuleSchema,
  limits: CellLimitsSchema,
  rounds: z.int().positive(),
  /** Seed of the prompts: request k of round r has the same token ids in every format. */
  promptSeed: z.int().nonnegative(),
});
export type Cell = z.infer<typeof CellSchema>;

const byKey = ([a]: readonly unknown[], [b]: readonly unknown[]) => (String(a) < String(b) ? -1 : 1);
const sortedEntries = (record: Readonly<Record<string, number>>) => Object.entries(record).sort(byKey);

/**
 * What must be equal for two cells to be comparable, in a fixed order: the input of the id. How long to measure
 * (`stop`, `limits`, `rounds`) is left out on purpose: measuring longer does not make another cell. Threads count as
 * they were asked for (`cores` stays `cores`), so that a cell that waits for another machine has the same id there; the
 * number that ran is in the row, and comparing rows of one device with unequal `threads` is for a caveat.
 */
export function cellIdentity(cell: Omit<Cell, 'id'>): unknown {
  return [
    'bench-cell-1',
    cell.model,
    cell.source,
    cell.weightsSeed,
    cell.format,
    cell.runner.id,
    cell.runner.command ?? null,
    cell.kernel,
    cell.device,
    cell.isa,
    [
      cell.workload.name,
      cell.workload.promptTokens,
      cell.workload.generatedTokens,
      cell.workload.batch,
      cell.workload.concurrency,
      cell.workload.prefixCache,
      cell.workload.promptsSha256,
    ],
    Object.entries({...cell.settings, threads: cell.threadsAsked ?? cell.settings.threads})
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => (key === 'simulate' ? [key, sortedEntries(cell.settings.simulate ?? {})] : [key, value]))
      .sort(byKey),
    ...(cell.runner.server === undefined ? [] : [serverIdentity(cell.runner.server)]),
  ];
}

/**
 * Where a server is does not make another cell, lest the same deployment on the next rented host could not be compared;
 * how it is started and asked does.
 */
function serverIdentity(server: ServerRef): unknown {
  const {url: _, apiKeyEnv: __, env, body, ...rest} = server;
  const sorted = (record: Readonly<Record<string, unknown>>) => Object.entries(record).sort(byKey);
  return [...sorted(rest), ['env', sorted(env)], ['body', sorted(body)]];
}

/** Whether a server is started with weights of ours: else it has its own, which nobody here has seen. */
export function serverTakesWeights({source, runner}: Pick<Cell, 'source' | 'runner'>): boolean {
  return runner.server !== undefined && !source.startsWith(SERVER_SOURCE) && tellsServer(runner.server, 'model');
}
