import {z} from 'zod';

/**
 * Every failure the harness can name.
 *
 * A code is a stable string: it is written to the journal and shown in `status_reason`, so renaming one is a schema
 * change. A hint is shown to a person and may be reworded freely. `exit` is the exit status of the command when the
 * error ends it (DESIGN: 2 bad input, 3 a bug of ours, 4 a gate said no), 0 when it only fails one cell.
 */
const CATALOG = {
  // --- bad input: one line, the place, what to do
  USAGE: {exit: 2, hint: 'Run `bench --help`.'},
  MATRIX_INVALID: {exit: 2, hint: 'Run `bench matrix FILE --plan` after mending the line named above.'},
  FILE_UNREADABLE: {exit: 2, hint: 'Check the path and its permissions.'},
  MODEL_SOURCE_INVALID: {
    exit: 2,
    hint: 'Use synthetic:<architecture>, file:<path> or hf:<org>/<repo>[/<file>][@<revision>].',
  },
  RESULTS_INVALID: {exit: 2, hint: 'Give a run folder, or a folder of run folders, written by `bench matrix`.'},
  CATALOG_INVALID: {exit: 2, hint: 'Mend the line named above; matrices/devices.yaml explains every key.'},
  CLAIMS_INVALID: {exit: 2, hint: 'Mend the line named above; matrices/claims/ holds examples.'},
  NEED_INVALID: {exit: 2, hint: 'Mend the line named above; matrices/needs/ holds examples.'},
  PRICES_INVALID: {exit: 2, hint: 'Mend the line named above; matrices/prices.yaml explains every key.'},
  ENGINES_INVALID: {exit: 2, hint: 'Mend the key named above; the README has an engines.yaml to start from.'},
  PLAN_INVALID: {exit: 2, hint: 'Make the plan again with `bench matrix FILE --plan --json`.'},
  NOT_COMPARABLE: {
    exit: 2,
    hint: 'Compare runs whose cells share model, workload, device and driver; `bench report` sets devices side by side.',
  },
  HOST_BUSY: {exit: 2, hint: 'Wait for the other run, or add --alongside if the disturbance is wanted.'},
  DISK_FULL: {
    exit: 2,
    hint: 'Free disk space, or point BENCH_CACHE to a larger disk; the run continues where it stopped.',
  },
  NETWORK: {exit: 2, hint: 'Check the connection and try again: a started download continues where it stopped.'},
  ACCESS_DENIED: {
    exit: 2,
    hint: 'Accept the terms on the page of the model, and set HF_TOKEN to a token of the account that did.',
  },
  CHECKSUM_MISMATCH: {
    exit: 2,
    hint: 'The bytes received are not the bytes announced; the file was removed. Try again or pin another revision.',
  },
  SETUP_FAILED: {
    exit: 2,
    hint: 'Mend what the line above names (its log says more, where it names one), then run the same command again.',
  },
  ENGINE_UNAVAILABLE: {exit: 2, hint: 'Run `bench doctor` to see what this machine can run and why not.'},
  GATE: {exit: 4, hint: 'A gate that you asked for said no.'},
  // --- a cell ends this way, and the sweep goes on
  UNSUPPORTED: {exit: 0, hint: 'Choose another runner, kernel or format for this device.'},
  DOES_NOT_FIT: {exit: 0, hint: 'Use a smaller format, a shorter context, or a device with more memory.'},
  MODEL_CORRUPT: {exit: 0, hint: 'Run `bench weights verify`, then make or pull the model again.'},
  NOT_A_NUMBER: {exit: 0, hint: 'The weights hold NaN or infinity: convert the model again from a clean source.'},
  CELL_TIMEOUT: {exit: 0, hint: 'Raise `limits` in the matrix file if the cell is only slow.'},
  WORKER_HUNG: {exit: 0, hint: 'Read the log of the cell; raise `limits.idle_seconds` if one request takes that long.'},
  WORKER_CRASHED: {exit: 0, hint: 'Read the log of the cell named in `status_reason`.'},
  PROTOCOL_VIOLATION: {
    exit: 0,
    hint: 'The worker and the harness are out of step: check the worker program of this runner.',
  },
  WRONG_TOKEN_COUNT: {exit: 0, hint: 'The engine reused or dropped prompt tokens: its times are not comparable.'},
  SAMPLER_UNAVAILABLE: {exit: 0, hint: 'Run `bench doctor` to see which counters this machine exposes.'},
  PYTHON_MISSING: {exit: 0, hint: 'Run `bench setup python`, or set BENCH_PYTHON to a Python that has PyTorch.'},
  INTERRUPTED: {exit: 130, hint: 'The same command goes on where this one stopped.'},
  INTERNAL: {exit: 3, hint: 'This is a bug of bench: please report it with the lines above.'},
} as const satisfies Record<string, {exit: number; hint: string}>;

export type BenchErrorCode = keyof typeof CATALOG;
export const BENCH_ERROR_CODES = Object.keys(CATALOG) as readonly BenchErrorCode[];

const DetailsSchema = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]));

/** The form of a {@link BenchError} in the journal and between processes. */
export const WireErrorSchema = z.object({
  code: z.enum(BENCH_ERROR_CODES),
  message: z.string(),
  details: DetailsSchema.default({}),
});
export type WireError = z.infer<typeof WireErrorSchema>;

/** The only error class thrown on purpose; whatever else escapes is a bug (exit 3). */
export class BenchError extends Error {
  override readonly name = 'BenchError';
  readonly code: BenchErrorCode;
  readonly details: WireError['details'];

  /** @param message What happened, to what, where: one line, without the hint. */
  constructor(
    code: BenchErrorCode,
    message: string,
    {cause, details = {}}: {cause?: unknown; details?: WireError['details']} = {},
  ) {
    super(message, cause === undefined ? undefined : {cause});
    this.code = code;
    this.details = details;
  }

  /** What to try next, as one sentence. */
  get hint(): string {
    return CATALOG[this.code].hint;
  }

  get exitCode(): number {
    return CATALOG[this.code].exit;
  }

  toJSON(): WireError {
    return {code: this.code, message: this.message, details: this.details};
  }

  static fromWire({code, message, details}: WireError): BenchError {
    return new BenchError(code, message, {details});
  }
}
