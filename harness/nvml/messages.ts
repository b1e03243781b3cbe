import {z} from 'zod';

/** What the child is to do: its only argument, as JSON. */
export const NvmlTaskSchema = z.discriminatedUnion('do', [
  z.object({do: z.literal('inventory')}),
  z.object({do: z.literal('sample'), index: z.int(), uuid: z.string().nullable(), periodMs: z.number().positive()}),
]);
export type NvmlTask = z.infer<typeof NvmlTaskSchema>;

const InventoryGpuSchema = z.object({
  index: z.int(),
  uuid: z.string(),
  name: z.string(),
  memoryBytes: z.number(),
  memoryUsedBytes: z.number().nullable(),
  computeCapability: z.string().nullable(),
  pciId: z.string().nullable(),
  migEnabled: z.boolean().nullable(),
  mig: z.array(z.object({uuid: z.string(), memoryBytes: z.number().nullable()})),
  persistence: z.boolean().nullable(),
  ecc: z.boolean().nullable(),
  eccDefault: z.boolean().nullable(),
  powerLimitW: z.number().nullable(),
  powerDefaultLimitW: z.number().nullable(),
  maxSmClockHz: z.number().nullable(),
  maxMemoryClockHz: z.number().nullable(),
  slowdownC: z.number().nullable(),
});
export type InventoryGpu = z.infer<typeof InventoryGpuSchema>;

/** What is read every period, in this order within a reading. */
export const READING_KEYS = [
  'memoryUsedBytes',
  'powerW',
  'energyJ',
  'smClockHz',
  'utilizationRatio',
  'throttleMask',
] as const;
export type ReadingKey = (typeof READING_KEYS)[number];

/** What changes slowly, and is read every {@link SLOW_PERIOD_MS} at most. */
export const SLOW_KEYS = ['memoryClockHz', 'temperatureC'] as const;
export type SlowKey = (typeof SLOW_KEYS)[number];
export const SLOW_PERIOD_MS = 500;

const ANY_KEY = z.enum([...READING_KEYS, ...SLOW_KEYS]);
/**
 * From the child on standard output, one JSON object a line; readings come on a pipe of their own, as frames. Times are milliseconds of the system's monotonic clock, which all processes
 * share (`process.hrtime`).
 */
export const NvmlMessageSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('inventory'),
    driver: z.string(),
    cuda: z.string().nullable(),
    gpus: z.array(InventoryGpuSchema),
    /** Cards that are there and do not answer, in words. */
    lost: z.array(z.string()),
  }),
  /** Sampling begins. `missing`: what this card does not give, with the reason. */
  z.object({type: z.literal('ready'), missing: z.partialRecord(ANY_KEY, z.string())}),
  z.object({
    type: z.literal('processes'),
    /** The question that is answered. */
    id: z.int(),
    tMs: z.number(),
    list: z.array(z.object({pid: z.int(), usedBytes: z.number().nullable(), name: z.string()})).nullable(),
  }),
  /** The end, by our own wish. `cpuUs`: CPU time of the child for that many samples, from the first hand-over on, all included. */
  z.object({type: z.literal('end'), samples: z.int(), cpuUs: z.number()}),
  /** The end because NVML does not work, or no longer. */
  z.object({type: z.literal('failed'), code: z.int().nullable(), reason: z.string(), fix: z.string().nullable()}),
]);
export type NvmlMessage = z.infer<typeof NvmlMessageSchema>;
