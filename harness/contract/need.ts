import {z} from 'zod';

const globs = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]);

/** Hours of a month, 365 × 24 ÷ 12: what providers multiply by, too. */
export const HOURS_PER_MONTH = 730;

/** The keys by which a need picks cells; values are globs (`*`, `?`) or lists of them. */
export const NEED_CELL_KEYS = ['model', 'workload', 'format', 'runner'] as const;

/** What a deployment must do: one file of matrices/needs/, or the options of `bench decide`. */
export const NeedSchema = z
  .strictObject({
    need: z.string().regex(/^[a-z0-9][a-z0-9._-]*$/, 'use lower-case letters, digits, ".", "_" and "-"'),
    title: z.string().min(1).optional(),
    model: globs.optional(),
    workload: globs.optional(),
    format: globs.optional(),
    runner: globs.optional(),
    devices: globs.optional().describe('Devices that may be used'),
    offers: globs.optional().describe('Offers of prices.yaml that may be used'),
    p90_ms: z.number().positive().optional().describe('90 % of requests are answered within; ms'),
    ttft_ms: z.number().positive().optional().describe('90 % of requests have their first token within; ms'),
    min_quality: z.number().min(0).max(1).optional().describe('Least share of right answers'),
    memory_bytes: z.int().positive().optional().describe('Most memory of one replica: of the GPU, or of the host'),
    budget_usd_per_month: z.number().positive().optional(),
    requests_per_hour: z.number().positive().optional().describe('Demand in the hours of service'),
    concurrency: z.int().positive().default(1).describe('Requests that must be served at the same time'),
    hours_per_month: z.number().positive().max(HOURS_PER_MONTH).default(HOURS_PER_MONTH).describe('Hours of service'),
    starts_per_month: z
      .number()
      .positive()
      .optional()
      .describe('How often it is started; by default once a day where service is not around the clock'),
    max_utilization: z
      .number()
      .positive()
      .max(1)
      .default(0.7)
      .describe('Share of a replica’s measured capacity that is planned for: the rest absorbs uneven arrival'),
    requests_per_run: z.number().positive().optional().describe('Batch work: requests of one run'),
    runs_per_month: z.number().positive().optional(),
    finish_within_hours: z.number().positive().optional(),
    prompt_tokens: z.number().positive().optional().describe('For APIs; by default those of the workload'),
    generated_tokens: z.number().positive().optional(),
  })
  .superRefine((need, context) => {
    const batch = need.requests_per_run !== undefined;
    const complain = (key: string, message: string) => context.addIssue({code: 'custom', path: [key], message});
    if (batch !== (need.runs_per_month !== undefined)) {
      complain(
        batch ? 'requests_per_run' : 'runs_per_month',
        'requests_per_run and runs_per_month go together: give both or none',
      );
    }
    if (batch && need.requests_per_hour !== undefined) {
      complain('requests_per_hour', 'give requests_per_hour, or requests_per_run for batch work, not both');
    }
    if (!batch && need.finish_within_hours !== undefined) {
      complain('finish_within_hours', 'is about batch work: give requests_per_run and runs_per_month, too');
    }
  });
export type Need = z.infer<typeof NeedSchema>;
