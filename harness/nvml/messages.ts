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
/** Rows as they lie in memory, in base64: writing numbers as words would cost as much as reading them. */
const RowsSchema = z.base64();

/** @param values In a row, with its time. */
export function packRows(cells: Float64Array, rows: number, values: number): string {
  return Buffer.from(cells.buffer, cells.byteOffset, rows * values * cells.BYTES_PER_ELEMENT).toString('base64');
}

/** Time, then values; null for what could not be read. */
export function unpackRows(text: string, values: number): (number | null)[][] {
  const bytes = Uint8Array.from(Buffer.from(text, 'base64'));
  const cells = new Float64Array(bytes.buffer, 0, Math.floor(bytes.length / 8));
  return Array.from({length: Math.floor(cells.length / values)}, (_, row) =>
    Array.from(cells.subarray(row * values, (row + 1) * values), (value) => (Number.isNaN(value) ? null : value)),
  );
}

/**
 * From the child, one JSON object a line. Times are milliseconds of the system's monotonic clock, which all processes
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
  /** Readings since the last message: of what is read every period, and of what is read more seldom. */
  z.object({type: z.literal('samples'), rows: RowsSchema, slow: RowsSchema}),
  z.object({
    type: z.literal('processes'),
    /** The question that is answered. */
    id: z.int(),
    tMs: z.number(),
    list: z.array(z.object({pid: z.int(), usedBytes: z.number().nullable(), name: z.string()})).nullable(),
  }),
  /** The end, by our own wish. `cpuUs`: CPU time of the child for that many samples, from the first hand-over on. */
  z.object({type: z.literal('end'), samples: z.int(), cpuUs: z.number()}),
  /** The end because NVML does not work, or no longer. */
  z.object({type: z.literal('failed'), code: z.int().nullable(), reason: z.string(), fix: z.string().nullable()}),
]);
export type NvmlMessage = z.infer<typeof NvmlMessageSchema>;
