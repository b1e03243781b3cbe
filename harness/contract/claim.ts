import {z} from 'zod';
import {COLUMN_NAMES, COLUMNS, type ColumnName} from './columns.ts';
import type {ApiPrice, Rental} from './prices.ts';

/** Counts of a weights file: the same wherever it lies, and without noise. */
export const EXACT_MEASURES = ['weights_bytes', 'bits_per_weight'] as const satisfies readonly ColumnName[];

/** Columns that a claim can be about: figures, not names. */
export const CLAIM_MEASURES = COLUMN_NAMES.filter(
  (name) =>
    COLUMNS[name].kind !== 'text' &&
    (['speed', 'memory', 'power', 'quality', 'cost'].includes(COLUMNS[name].group) ||
      EXACT_MEASURES.some((exact) => exact === name)),
);

/** As `device` of a sentence: a service whose hardware its maker does not name. Nothing measured here can be it. */
export const HOSTED = 'hosted';

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

/** Columns in which the two sides of a reading may be told to differ; all others of a control must be equal. */
export const CLAIM_ACROSS = [
  'model',
  'workload',
  'prompt_tokens',
  'generated_tokens',
  'batch',
  'concurrency',
  'prefix_cache',
] as const satisfies readonly ColumnName[];

const priceName = z.string().min(1);

/**
 * One way to read a sentence as a rule over cells. It has one of four forms:
 *
 *     cell, against, ratio          `measure` of `cell` ÷ `measure` of `against` is `ratio`
 *     cell, value                   `measure` of `cell` is `value`
 *     cell, against_price, ratio    cost of a request of `cell` ÷ list price of the same tokens is `ratio`; with `rent`, the
 *                                   cost at that offer, else at the price that its row carries
 *     price, against_price, tokens, ratio    of two list prices; nothing is measured
 *
 * Prices stand in prices.yaml, each with its day and source; a reading only names them.
 */
const ReadingFields = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'use lower-case letters, digits and "-"'),
  says: z.string().min(1).describe('The reading in words'),
  measure: z.enum(CLAIM_MEASURES).describe('Column of results.csv that is compared'),
  cell: ClaimCellSchema.optional().describe('The cells the sentence is about'),
  against: ClaimCellSchema.optional().describe('What they are compared with: the same model, device and workload'),
  across: z
    .array(z.enum(CLAIM_ACROSS))
    .default([])
    .describe('Columns in which `against` may differ from `cell`: it compares two models, or two workloads'),
  scale: z
    .number()
    .positive()
    .default(1)
    .describe('Factor on the figure of `cell`: 4 where four requests do the work of one, 0.2 for one of five features'),
  rent: priceName.optional().describe('With `against_price`: the rental of prices.yaml that `cell` is paid at'),
  price: priceName.optional().describe('Instead of `cell`: the list price of an API of prices.yaml'),
  against_price: priceName
    .optional()
    .describe('Instead of `against`: the API of prices.yaml whose list price the tokens of a request are paid at'),
  tokens: z
    .strictObject({prompt: z.int().positive(), generated: z.int().positive()})
    .optional()
    .describe('With `price`: tokens of a request'),
  ratio: z.number().positive().optional().describe('cell ÷ against, as the sentence says it'),
  value: z
    .number()
    .positive()
    .optional()
    .describe('Instead of `against` and `ratio`: the figure, in the unit of `measure`'),
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

export const ClaimReadingSchema = ReadingFields.superRefine((reading, context) => {
  const problem = mistakeOf(reading);
  if (problem !== null) context.addIssue({code: 'custom', message: problem});
});
export type WrittenReading = z.infer<typeof ClaimReadingSchema>;

function mistakeOf(reading: z.infer<typeof ReadingFields>): string | null {
  const {cell, against, rent, price, against_price: againstPrice, tokens, ratio, value, measure} = reading;
  if ((cell === undefined) === (price === undefined)) return 'give either cell or price';
  if (rent !== undefined && (cell === undefined || againstPrice === undefined)) {
    return 'rent is what a cell costs: give cell and against_price';
  }
  if (value !== undefined) {
    const stranger = ratio !== undefined || against !== undefined || againstPrice !== undefined || price !== undefined;
    return stranger ? 'value stands for itself: leave ratio, against, price and against_price out' : null;
  }
  if (ratio === undefined) return 'give ratio, with what it is a ratio to, or value';
  if ((against === undefined) === (againstPrice === undefined)) return 'give either against or against_price';
  if (againstPrice !== undefined && measure !== 'usd_per_1k_requests') {
    return 'against a list price, measure must be usd_per_1k_requests';
  }
  if (price === undefined) return tokens === undefined ? null : 'tokens are those of the cell: leave them out';
  if (againstPrice === undefined) return 'a price is compared with against_price';
  return tokens === undefined ? 'two prices need tokens: how many a request has' : null;
}

export const ClaimSchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'use lower-case letters, digits and "-"'),
  sentence: z.string().min(1).describe('The words of the publication'),
  device: globs.describe('The device the sentence is about: only there can it be reproduced'),
  readings: z.array(ClaimReadingSchema).min(1),
});
type WrittenClaim = z.infer<typeof ClaimSchema>;

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
export type WrittenClaims = z.infer<typeof ClaimsFileSchema>;

/** A reading with the prices that it names. */
export type ClaimReading = Omit<WrittenReading, 'rent' | 'price' | 'against_price'> & {
  readonly rent?: Rental | undefined;
  readonly price?: ApiPrice | undefined;
  readonly against_price?: ApiPrice | undefined;
};
export type Claim = Omit<WrittenClaim, 'readings'> & {readonly readings: readonly ClaimReading[]};
export type ClaimsFile = Omit<WrittenClaims, 'sentences'> & {readonly sentences: readonly Claim[]};
