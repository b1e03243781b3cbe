import type {RequestRow, ResultRow} from './columns.ts';
import type {Manifest} from './journal.ts';

/** One run as read back from its committed files. */
export interface RunData {
  readonly manifest: Manifest;
  readonly rows: readonly ResultRow[];
}

export interface ReportInput {
  readonly title: string;
  readonly runs: readonly RunData[];
  /** All rows of all runs. */
  readonly rows: readonly ResultRow[];
  /** Requests of the cells, where a chart needs them; may be sampled. */
  readonly requests: readonly RequestRow[];
}

/** A file to be written below the report folder. */
export interface ReportFile {
  readonly path: string;
  readonly content: string | Uint8Array;
}

/**
 * Turns result rows into files, and nothing else: no clock, no disk, no network. The same rows give the same bytes, so
 * that a report can be a golden file and a diff of two reports is a diff of two results.
 */
export interface Reporter {
  readonly id: string;
  render(input: ReportInput): Promise<readonly ReportFile[]>;
}
