import type {Caveat} from './caveats.ts';
import type {Unit} from './units.ts';

/** One counter over time, as recorded: no smoothing, no interpolation. */
export interface Series {
  /** Snake case with the unit as suffix, for example `ram_pss_bytes`. */
  readonly channel: string;
  readonly unit: Unit;
  /** Milliseconds on the clock of {@link SampleContext}. Same length as `values`. */
  readonly tMs: readonly number[];
  /** null: this reading failed or the counter had no value; never 0 in its place. */
  readonly values: readonly (number | null)[];
  /** Planned time between two readings; 0 for readings at phase edges only. */
  readonly periodMs: number;
  /** Readings that failed or came later than two periods. A peak from a series with gaps is a lower bound. */
  readonly gaps: number;
  /** Id of the sampler, where it matters who read the counter. */
  readonly source?: string;
}

export interface SampleContext {
  /** Process whose tree is watched; its process group id is the same number. */
  readonly pid: number;
  readonly periodMs: number;
  /** The one clock of a cell: milliseconds, monotonic. */
  readonly nowMs: () => number;
  /** Index of the GPU that the cell uses; null for a CPU cell. */
  readonly gpuIndex: number | null;
}

export interface SamplerResult {
  readonly series: readonly Series[];
  /** Reasons to trust the row less that this sampler saw. */
  readonly caveats: readonly Caveat[];
}

export interface Recording {
  /** The cell entered a phase: a chance for readings that are too dear to take every period. */
  edge(phase: CellPhase): void;
  /** Ends the recording. Calling it twice returns the same result. Never rejects: what failed is gaps and caveats. */
  stop(): Promise<SamplerResult>;
}

export type CellPhase = 'baseline' | 'load' | 'warmup' | 'measure' | 'end';

export type Availability =
  | {
      readonly ok: true;
      readonly detail: string;
      /** What of the counter this machine lacks, each with its consequence and what would change it. */
      readonly lacks?: readonly string[];
    }
  | {readonly ok: false; readonly reason: string; readonly fix: string | null};

/** Watches machine counters while a cell runs. It never touches the process under test. */
export interface Sampler {
  readonly id: string;
  /** Whether this machine has the counter, and if not why, with the command that would change it. */
  available(): Promise<Availability>;
  /** @throws {BenchError} `SAMPLER_UNAVAILABLE` when this machine lacks the counter. */
  start(context: SampleContext): Promise<Recording>;
}
