import {z} from 'zod';
import {CellSchema} from './cell.ts';

export const PLAN_SCHEMA_VERSION = 1;

/** What becomes of a cell on the machine that made the plan, and why. */
export const PlannedCellSchema = z.strictObject({
  cell: CellSchema,
  verdict: z.enum(['run', 'waiting', 'refused']),
  /** One clause: `runs here on ryzen-7-5800hs`, `waits for a t4`; of a refusal, why: `llama.cpp has no …`. */
  reason: z.string(),
  /** Status that a refused cell gets in results.csv. */
  refusedAs: z.enum(['unsupported', 'does-not-fit']).nullable(),
  /** Refused only for want of software on the machine that made the plan: elsewhere the cell may run. */
  missing: z.literal(true).optional(),
  estimate: z.strictObject({
    /** Upper bound over all rounds, weights made beforehand. */
    seconds: z.number().nonnegative().nullable(),
    weightsBytes: z.number().nonnegative().nullable(),
    /** What the cell cannot do without: weights + KV + buffers. */
    memoryBytes: z.number().nonnegative().nullable(),
    /**
     * Still needed to make the weights, intermediate files included. Counted with the first cell that runs with them, 0
     * for the others, so that a sum is right; null for cells that do not run here.
     */
    diskBytes: z.number().nonnegative().nullable(),
  }),
});
export type PlannedCell = z.infer<typeof PlannedCellSchema>;

/** Refused on whatever machine: the refusal is the result of the cell, and no host need try it. */
export const isRefusedForGood = ({verdict, missing}: PlannedCell): boolean => verdict === 'refused' && missing !== true;

/** The plan file of `bench matrix FILE --plan --json`: all that `bench cell` needs. */
export const PlanSchema = z.strictObject({
  schema: z.literal(PLAN_SCHEMA_VERSION),
  /** First 16 hex digits of the SHA-256 of matrix hash and cell ids. */
  planId: z.string(),
  matrix: z.string(),
  matrixSha256: z.string(),
  /** Folder of the matrix file, for prompts files; absolute. */
  matrixDir: z.string(),
  harness: z.string(),
  samplePeriodMs: z.int(),
  order: z.enum(['interleaved', 'shuffled']),
  seed: z.int(),
  rounds: z.int().positive(),
  canary: z.boolean(),
  cells: z.array(PlannedCellSchema),
  /** What the plan asks of each device, at most; for who has to decide whether to pay for it. */
  perDevice: z
    .array(
      z.strictObject({
        device: z.string(),
        cells: z.int().nonnegative(),
        hours: z.number().nonnegative(),
        /** Cheapest and dearest offer of prices.yaml; null without one. */
        usdLow: z.number().nullable(),
        usdHigh: z.number().nullable(),
      }),
    )
    .optional(),
});
export type Plan = z.infer<typeof PlanSchema>;
