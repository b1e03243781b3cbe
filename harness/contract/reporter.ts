import type {RequestRow, ResultRow} from './columns.ts';
import type {Manifest} from './journal.ts';
import type {
  ReportAttribution,
  ReportClaim,
  ReportDecision,
  ReportDevice,
  ReportPrice,
  ReportTelemetry,
} from './report-data.ts';

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
  /** How many requests there are where `requests` is a sample. */
  readonly requestsTotal?: number;
  /** Absent: not worked out. */
  readonly attributions?: readonly ReportAttribution[];
  readonly claims?: readonly ReportClaim[];
  /** Absent or empty: no need was given. */
  readonly decisions?: readonly ReportDecision[];
  readonly telemetry?: ReportTelemetry;
  readonly devices?: readonly ReportDevice[];
  /** Of devices; a row that was priced when it was measured keeps its own. */
  readonly prices?: readonly ReportPrice[];
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
