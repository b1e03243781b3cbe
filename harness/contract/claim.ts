import {z} from 'zod';
import {COLUMN_NAMES, COLUMNS} from './columns.ts';

/** Columns that a claim can be about: figures, not names. */
export const CLAIM_MEASURES = COLUMN_NAMES.filter(
  (name) =>
    COLUMNS[name].kind !== 'text' && ['speed', 'memory', 'power', 'quality', 'cost'].includes(COLUMNS[name].group),
);

/** Keys by which a claim picks cells; values are globs (`*`, `?`) or lists of them. */
export const CLAIM_CELL_KEYS = ['model', 'format', 'runner', 'kernel', 'dtype', 'isa', 'workload'] as const;
const globs = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]);
export const ClaimCellSchema = z
  .strictObject({
    model: globs,
    format: globs,
    runner: globs,
    kernel: globs,
    dtype: globs,
    isa: globs,
    workload: globs,
  })
  .partial();
export type ClaimCell = z.infer<typeof ClaimCellSchema>;

/** One way to read a sentence as a rule over cells: `measure` of `cell` ÷ `measure` of `against` is `ratio`. */
export const ClaimReadingSchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'use lower-case letters, digits and "-"'),
  says: z.string().min(1).describe('The reading in words'),
  measure: z.enum(CLAIM_MEASURES).describe('Column of results.csv that is compared'),
  cell: ClaimCellSchema.describe('The cells the sentence is about'),
  against: ClaimCellSchema.describe('What they are compared with: the same model, device and workload'),
  ratio: z.number().positive().describe('cell ÷ against, as the sentence says it'),
  tolerance: z
    .number()
    .positive()
    .max(1)
    .default(0.1)
    .describe(
      'With `at: about`, a ratio from ratio × (1 − tolerance) to ratio × (1 + tolerance) is the one of the sentence',
    ),
  at: z
    .enum(['about', 'at-least', 'at-most'])
    .default('about')
    .describe('at-most: `more than 90 % less` is a ratio of at most 0.1'),
  of: z
    .enum(['each', 'highest', 'lowest'])
    .default('each')
    .describe('each cell; or only the cell with the highest or lowest ratio: `up to 18x` speaks of the highest'),
});
export type ClaimReading = z.infer<typeof ClaimReadingSchema>;

export const ClaimSchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'use lower-case letters, digits and "-"'),
  sentence: z.string().min(1).describe('The words of the publication'),
  device: globs.describe('The device the sentence is about: only there can it be reproduced'),
  readings: z.array(ClaimReadingSchema).min(1),
});
export type Claim = z.infer<typeof ClaimSchema>;

/** A claims file (YAML): the sentences of one publication. */
export const ClaimsFileSchema = z.strictObject({
  claims: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]*$/)
    .describe('Name of the file'),
  title: z.string().min(1),
  source: z.string().min(1),
  matrix: z.string().min(1).describe('Matrix file that measures what the claims need'),
  sentences: z.array(ClaimSchema).min(1),
});
export type ClaimsFile = z.infer<typeof ClaimsFileSchema>;
