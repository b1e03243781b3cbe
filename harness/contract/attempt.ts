import {z} from 'zod';
import {type JournalRecord, ManifestSchema} from './journal.ts';

export const ATTEMPT_SCHEMA_VERSION = 1;

/** `<engine>-<job>_<task>-r<restart>-<nonce>`, or `local-<nonce>`: engine ids alone do not tell two attempts apart. */
export const AttemptIdSchema = z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{8,127}$/);

/**
 * First line of an attempt file: which cell of which plan, by whom, where. The lines after it are the journal of that
 * one cell, as they were written; the last one is the {@link AttemptEndSchema}.
 */
export const AttemptHeadSchema = z.object({
  type: z.literal('attempt'),
  schema: z.literal(ATTEMPT_SCHEMA_VERSION),
  attempt: AttemptIdSchema,
  planId: z.string(),
  cellId: z.string(),
  /** `slurm`, `skypilot`, … or `local`. */
  engine: z.string(),
  /** As the engine calls it; information only. */
  engineJob: z.string().nullable(),
  /** Name that the engine has for the node; information only. */
  engineNode: z.string().nullable(),
  /** /proc/sys/kernel/random/boot_id; null where there is none. */
  bootId: z.string().nullable(),
  manifest: ManifestSchema,
});
export type AttemptHead = z.infer<typeof AttemptHeadSchema>;

/** Last line: what makes an attempt whole. Everything before it, line feeds included, is hashed. */
export const AttemptEndSchema = z.strictObject({
  type: z.literal('end'),
  /** Lines before this one. */
  lines: z.int().positive(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

export interface Attempt {
  /** Where it was read, for messages. */
  readonly path: string;
  readonly head: AttemptHead;
  readonly records: readonly JournalRecord[];
  /** Of the whole body: two files with one id and one hash are one attempt, copied. */
  readonly sha256: string;
}

/** Why a file is not merged. */
export const REFUSALS = {
  partial: 'a cell that was under way and did not end: evidence, not a result',
  truncated: 'ends before its trailer: cut off in writing or in copying',
  damaged: 'its content is not what its trailer says',
  foreign: 'does not belong to this plan',
  'mixed-build': 'measured by another build than the other attempts',
  conflict: 'another file has the same attempt id and other content',
} as const;
export type RefusalCode = keyof typeof REFUSALS;

export interface Refusal {
  readonly path: string;
  readonly code: RefusalCode;
  /** What exactly, in words. */
  readonly detail: string;
}
