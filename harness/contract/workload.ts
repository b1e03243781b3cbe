import {z} from 'zod';

/**
 * What one request is. Either token counts (fresh random token ids in every request), or a file of prompts with
 * expected answers, whose texts are tokenized by the runner.
 */
export const WorkloadSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]*$/),
  /** Tokens of the prompt. For a prompts file: 0, the prompts decide. */
  promptTokens: z.int().nonnegative(),
  /** Tokens generated in every request; end-of-sequence is ignored. */
  generatedTokens: z.int().positive(),
  /** Sequences decoded together in one step. */
  batch: z.int().positive(),
  /** Requests in flight at once. */
  concurrency: z.int().positive(),
  /** `off`: the KV cache is cleared before every request. `shared:N`: the first N prompt tokens are the same and kept. */
  prefixCache: z.union([z.literal('off'), z.string().regex(/^shared:\d+$/)]),
  /** Path of a JSON-lines file of `{id, language, prompt, answer}`, relative to the matrix file; null for random ids. */
  prompts: z.string().nullable(),
  /** SHA-256 of that file, so that a changed prompt changes the cell id. */
  promptsSha256: z.string().nullable(),
});
export type Workload = z.infer<typeof WorkloadSchema>;

/** Prompt tokens that a request may take from the cache: 0 when every request starts with an empty KV cache. */
export function sharedPrefixTokens(workload: Workload): number {
  return workload.prefixCache === 'off' ? 0 : Number(workload.prefixCache.slice('shared:'.length));
}
