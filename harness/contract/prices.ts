import {z} from 'zod';

const name = z.string().regex(/^[a-z0-9][a-z0-9._-]*$/, 'use lower-case letters, digits, ".", "_" and "-"');
const date = z
  .string()
  .regex(/^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/, 'write the day as yyyy-mm-dd')
  .describe('Day on which the price was read');
const source = z.string().min(1).describe('Where it was read');
const title = z.string().min(1).optional();

/** A machine that is paid by the hour. */
export const RentalSchema = z.strictObject({
  name,
  title,
  devices: z.array(name).min(1).describe('Names of devices.yaml that this offer is about'),
  usd_per_hour: z.number().positive().describe('Of one device, on demand'),
  devices_per_machine: z.int().positive().default(1).describe('Rented only in multiples of this'),
  billing: z
    .strictObject({
      minimum_seconds: z.number().nonnegative().describe('Least time paid for after a start'),
      increment_seconds: z.number().positive().describe('Time is rounded up to a multiple of this'),
    })
    .nullable()
    .default(null)
    .describe('null: not known; time is then priced by the second, and said so'),
  date,
  source,
});
export type Rental = z.infer<typeof RentalSchema>;

/** A machine that is owned: it depreciates whether used or not, and draws power while it is on. */
export const OwnedSchema = z.strictObject({
  name,
  title,
  devices: z.array(name).min(1),
  purchase_usd: z
    .number()
    .nonnegative()
    .nullable()
    .describe('null: not known, so the machine cannot be priced; 0: already paid for'),
  years: z.number().positive().describe('Time over which the purchase is written off'),
  residual_usd: z.number().nonnegative().default(0).describe('What it sells for after that'),
  busy_w: z.number().positive().describe('Power of the whole machine while serving'),
  idle_w: z.number().nonnegative().describe('Power of the whole machine while on and waiting'),
  usd_per_kwh: z.number().nonnegative(),
  date,
  source,
});
export type Owned = z.infer<typeof OwnedSchema>;

/** A commercial API: paid by the token. */
export const ApiPriceSchema = z.strictObject({
  name,
  title,
  usd_per_1m_input_tokens: z.number().nonnegative(),
  usd_per_1m_output_tokens: z.number().positive(),
  date,
  source,
});
export type ApiPrice = z.infer<typeof ApiPriceSchema>;

/** prices.yaml. A price without a day and a source is no price. */
export const PricesFileSchema = z.strictObject({
  currency: z.literal('USD'),
  rentals: z.array(RentalSchema).default([]),
  owned: z.array(OwnedSchema).default([]),
  apis: z.array(ApiPriceSchema).default([]),
  /** Of an earlier day, for `bench claims` alone: what a publication reckoned with. Nothing is decided by them. */
  past_apis: z.array(ApiPriceSchema).default([]),
});
export type PricesFile = z.infer<typeof PricesFileSchema>;
