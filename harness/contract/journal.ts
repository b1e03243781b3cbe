import {z} from 'zod';
import {CaveatSchema} from './caveats.ts';
import {CellSchema} from './cell.ts';
import {WireErrorSchema} from './errors.ts';
import {WorkerEventSchema} from './protocol.ts';

export const JOURNAL_SCHEMA_VERSION = 1;

/** Statistics of one channel within one phase of one round: what of the telemetry is kept for good. */
export const PhaseStatSchema = z.object({
  channel: z.string(),
  phase: z.enum(['baseline', 'load', 'warmup', 'measure']),
  n: z.int().nonnegative(),
  gaps: z.int().nonnegative(),
  /** Seconds from the first to the last reading in the phase. */
  spanS: z.number().nonnegative(),
  periodMs: z.number().nonnegative(),
  min: z.number().nullable(),
  max: z.number().nullable(),
  mean: z.number().nullable(),
  median: z.number().nullable(),
  first: z.number().nullable(),
  last: z.number().nullable(),
});
export type PhaseStat = z.infer<typeof PhaseStatSchema>;

/** How one round of one cell ended. `waiting` is no end: it is only in plans and in results.csv of unfinished matrices. */
export const ROUND_STATUSES = ['ok', 'does-not-fit', 'unsupported', 'timeout', 'crashed', 'invalid'] as const;
export type RoundStatus = (typeof ROUND_STATUSES)[number];

export const WeightsRecordSchema = z.object({
  sha256: z.string(),
  weightsBytes: z.int(),
  parameters: z.int(),
  bitsPerWeight: z.number(),
  bytesPerToken: z.number(),
  kvBytesPerToken: z.number(),
  architectureName: z.string(),
  sourceText: z.string(),
  synthetic: z.boolean(),
});
export type WeightsRecord = z.infer<typeof WeightsRecordSchema>;

/**
 * One line of journal.jsonl: the product of the expensive half. Append-only, never rewritten. Wall-clock times (`at`,
 * RFC 3339 UTC) are information; nothing is ordered by them, the order of lines is.
 */
export const JournalRecordSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('run_started'),
    schema: z.literal(JOURNAL_SCHEMA_VERSION),
    runId: z.string(),
    at: z.string(),
  }),
  /** The same command was given again. */
  z.object({type: z.literal('run_continued'), at: z.string()}),
  /** Memory bandwidth measured on this host, per device name. Runs of older versions lack how it was measured. */
  z.object({
    type: z.literal('bandwidth'),
    device: z.string(),
    threads: z.int(),
    bytesPerS: z.number().positive(),
    arrayBytes: z.number().positive().optional(),
    cacheBytes: z.number().positive().nullable().optional(),
    at: z.string(),
  }),
  /** Every cell of the plan appears once, so that results.csv can list the waiting ones, too. */
  z.object({
    type: z.literal('cell_planned'),
    cell: CellSchema,
    verdict: z.enum(['run', 'waiting', 'refused']),
    reason: z.string(),
    refusedAs: z.enum(['unsupported', 'does-not-fit']).nullable(),
  }),
  z.object({type: z.literal('weights'), cellId: z.string(), weights: WeightsRecordSchema}),
  /** `attempt` is a nonce: a round that was cut off and repeated has two. */
  z.object({
    type: z.literal('round_started'),
    cellId: z.string(),
    round: z.int(),
    attempt: z.string(),
    canary: z.boolean(),
    at: z.string(),
  }),
  z.object({
    type: z.literal('event'),
    cellId: z.string(),
    attempt: z.string(),
    tMs: z.number(),
    event: WorkerEventSchema,
  }),
  z.object({
    type: z.literal('round_finished'),
    cellId: z.string(),
    round: z.int(),
    attempt: z.string(),
    canary: z.boolean(),
    status: z.enum(ROUND_STATUSES),
    /** One line, with the engine's own log line where there is one; empty when ok. */
    reason: z.string(),
    error: WireErrorSchema.nullable(),
    stats: z.array(PhaseStatSchema),
    caveats: z.array(CaveatSchema),
    /** Integrated over the measure phase, by source; null where not measured. */
    energyJ: z.number().nullable(),
    energySource: z.string().nullable(),
    /** Harness overhead of this round: everything beside load, warm-up and requests. */
    overheadS: z.number(),
    at: z.string(),
  }),
  z.object({type: z.literal('run_finished'), at: z.string()}),
]);
export type JournalRecord = z.infer<typeof JournalRecordSchema>;

/** manifest.json: what was run, by what, on what. Written once at the start of a run, replaced atomically at its end. */
export const ManifestSchema = z.object({
  schema: z.literal(1),
  runId: z.string(),
  matrix: z.string(),
  matrixSha256: z.string(),
  /** The matrix file as it was, so that the run explains itself without the repository. */
  matrixText: z.string(),
  planId: z.string(),
  command: z.string(),
  harnessVersion: z.string(),
  gitCommit: z.string().nullable(),
  startedAt: z.string(),
  finishedAt: z.string().nullable(),
  host: z.object({
    host: z.string(),
    os: z.string(),
    kernelRelease: z.string(),
    node: z.string(),
    virtualization: z.string().nullable(),
    cpuModel: z.string(),
    /** Maker and model, and memory modules, as the firmware says; null or absent where it does not. */
    machine: z.string().nullable().optional(),
    memoryModules: z.string().nullable().optional(),
    cores: z.int(),
    isa: z.string(),
    ramBytes: z.number(),
    cgroupLimitBytes: z.number().nullable(),
    driver: z.string().nullable(),
    cuda: z.string().nullable(),
    devices: z.array(
      z.object({
        name: z.string(),
        title: z.string(),
        kind: z.enum(['cpu', 'cuda']),
        known: z.boolean(),
        forced: z.boolean(),
      }),
    ),
  }),
  /** Caveats of the host that hold for every row. */
  caveats: z.array(CaveatSchema),
  samplers: z.array(z.object({id: z.string(), available: z.boolean(), detail: z.string()})),
});
export type Manifest = z.infer<typeof ManifestSchema>;
