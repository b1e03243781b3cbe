import {z} from 'zod';
import {CellSchema} from './cell.ts';
import {WireErrorSchema} from './errors.ts';

export const PROTOCOL_VERSION = 1;

/** What a worker reads as one JSON document from its standard input. */
export const WorkOrderSchema = z.object({
  protocol: z.literal(PROTOCOL_VERSION),
  cell: CellSchema,
  /** 0-based; part of the prompt seed, so that rounds see different prompts. */
  round: z.int().nonnegative(),
  /** Absolute path: a GGUF file, or a folder in Hugging Face layout. Empty for runners without weights. */
  weightsPath: z.string(),
  /** Absolute path of the prompts file, or null for random token ids. */
  promptsPath: z.string().nullable(),
});
export type WorkOrder = z.infer<typeof WorkOrderSchema>;

/**
 * What a worker may say: one JSON object a line, on file descriptor 3.
 *
 * Times are integer nanoseconds of the worker's own monotonic clock; only differences between two events of one worker
 * mean anything. A worker reports times, never rates.
 */
export const WorkerEventSchema = z.discriminatedUnion('type', [
  /** The process runs and its engine is imported. */
  z.object({
    type: z.literal('ready'),
    tNs: z.int(),
    protocol: z.literal(PROTOCOL_VERSION),
    /** Version of the engine package, for example `3.22.1` or `torch 2.15.0, transformers 5.17.0`. */
    runnerVersion: z.string(),
  }),
  /** The model is loaded and can take a request. */
  z.object({
    type: z.literal('loaded'),
    tNs: z.int(),
    /** Kernel that will really run: `cpu-zen4`, `cuda`, `marlin`, … */
    kernel: z.string(),
    /** `prebuilt 0.5.0`, `native 0.5.0 <flags hash>`, … */
    engineBuild: z.string(),
    /** Type the activations are computed in. */
    dtype: z.string(),
    /** Instruction set that really ran: `avx512-vnni`, `avx2`, `sm_75`, … */
    isa: z.string(),
    /** Bytes of the weights as the engine counts them; null if it does not say. */
    weightsBytes: z.int().nonnegative().nullable(),
    parameters: z.int().positive().nullable(),
    /** Settings that took effect, as name and value; every one that the cell sets must appear. */
    effective: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    /** Coded caveats the runner itself knows of, see contract/caveats.ts. */
    caveats: z.array(z.string()).default([]),
  }),
  /** A change of phase; samples are attributed to phases by these. */
  z.object({type: z.literal('phase'), tNs: z.int(), name: z.enum(['warmup', 'measure'])}),
  /** One request, or with batch > 1 one group of sequences decoded together. */
  z.object({
    type: z.literal('request'),
    phase: z.enum(['warmup', 'measure']),
    /** 0-based within the phase. */
    index: z.int().nonnegative(),
    /** Lane of a concurrent load, 0 when there is one. */
    lane: z.int().nonnegative().default(0),
    /** Per sequence. */
    promptTokens: z.int().nonnegative(),
    /** Prompt tokens the engine really computed, per sequence. */
    evaluatedTokens: z.int().nonnegative(),
    /** Prompt tokens taken from a cache, per sequence. */
    cachedTokens: z.int().nonnegative(),
    batch: z.int().positive(),
    /** The request is handed to the engine (prefill begins). */
    startNs: z.int(),
    /** Time at which each generated token was available to the caller, per step of the batch. */
    tokenNs: z.array(z.int()).min(1),
    /** Per sequence; only where it is not the number of times: an answer of a length of its own that was not streamed. */
    generatedTokens: z.int().positive().optional(),
    /** Generated text, when the workload has expected answers. */
    text: z.string().optional(),
    /** Whether the text equals the expected answer, when there is one. */
    correct: z.boolean().optional(),
  }),
  /** A framework's own count, for example torch's allocator peak. */
  z.object({
    type: z.literal('memory'),
    tNs: z.int(),
    channel: z.enum(['vram_allocated_peak_bytes', 'vram_reserved_peak_bytes']),
    bytes: z.int().nonnegative(),
    phase: z.enum(['load', 'warmup', 'measure']),
  }),
  z.object({type: z.literal('failed'), error: WireErrorSchema}),
  z.object({
    type: z.literal('done'),
    tNs: z.int(),
    stopped: z.enum(['enough', 'max', 'budget']),
    /** Coded caveats that only showed after loading, for example `unsteady-warmup`. */
    caveats: z.array(z.string()).optional(),
  }),
]);
export type WorkerEvent = z.infer<typeof WorkerEventSchema>;
/** What a worker writes: defaults need not be spelled out. */
export type WorkerEventInput = z.input<typeof WorkerEventSchema>;
export type RequestEvent = Extract<WorkerEvent, {type: 'request'}>;
