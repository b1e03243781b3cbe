import {z} from 'zod';

/**
 * What `settings.simulate` may hold. Times are made on a clock of the worker's own, so a simulated hour takes no time,
 * unless `realtime` is 1: then they are slept.
 */
export const SimulationSchema = z.strictObject({
  load_ms: z.number().nonnegative().default(100),
  prefill_us_per_token: z.number().positive().default(500),
  decode_us_per_token: z.number().positive().default(10_000),
  /** Every time is multiplied by a seeded factor from 1 − jitter to 1 + jitter. */
  jitter_ratio: z.number().min(0).max(0.9).default(0),
  /** Every request is slower than the one before by this ratio: a machine that heats up. */
  drift_ratio: z.number().min(-0.5).max(0.5).default(0),
  /** 1: decode time is multiplied by the nominal bits of the format ÷ 16, as on a machine bound by its memory. */
  scale_by_bits: z.number().min(0).max(1).default(0),
  weights_bytes: z.int().positive().default(1_000_000),
  parameters: z.int().positive().default(500_000),
  vocab_size: z.int().positive().default(32_000),
  /** Memory really allocated and touched, so that a sampler has something to see. */
  allocate_bytes: z.int().nonnegative().default(0),
  realtime: z.number().min(0).max(1).default(0),
  /** 1: loading ends as DOES_NOT_FIT. */
  does_not_fit: z.number().min(0).max(1).default(0),
  /** Measured request (0-based) in which the failure happens; absent: never. */
  fail_at: z.int().nonnegative().optional(),
  /** How it fails: with this signal, else with this exit status, else with a `failed` event. */
  signal: z.int().positive().max(31).optional(),
  exit_code: z.int().min(0).max(255).optional(),
  /** Measured request (0-based) that never ends. */
  hang_at: z.int().nonnegative().optional(),
  /** Measured request (0-based) that claims one evaluated token too few. */
  cache_at: z.int().nonnegative().optional(),
});
export type Simulation = z.infer<typeof SimulationSchema>;

export const SIMULATE_KEYS: readonly string[] = Object.keys(SimulationSchema.shape);
