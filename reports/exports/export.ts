import type {RequestRow, ResultRow} from '../../harness/contract/columns.ts';
import type {ReportFile, RunData} from '../../harness/contract/reporter.ts';

/** One run with the requests of its cells, by cell id. */
export interface ExportRun extends RunData {
  readonly requests: ReadonlyMap<string, readonly RequestRow[]>;
}

export interface Exported {
  readonly files: readonly ReportFile[];
  /** What could not be told to the other tool, and why; one line each. */
  readonly notes: readonly string[];
}

/** Name of a cell in a note. */
export function noteName({model, format, device, workload, cell_id}: ResultRow): string {
  return `${model} ${format} on ${device}, ${workload} (${cell_id})`;
}

/** Name of a file or folder out of a text that somebody wrote: it leads nowhere else. */
export function pathSegment(text: string | null): string {
  const name = (text ?? '').replaceAll(/[^\w.-]/g, '_').slice(0, 200);
  return /^\.*$/.test(name) ? '_' : name;
}

export function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Standard deviation; `ddof` 1 of a sample, 0 of a population. 0 of a single value, as both tools have it. */
export function deviation(values: readonly number[], ddof: 0 | 1): number | null {
  const centre = mean(values);
  if (centre === null) return null;
  if (values.length === 1) return 0;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - ddof));
}

/** Times of a request, seconds; null where tokens were not streamed. */
export interface Times {
  readonly prefillS: number | null;
  readonly decodeS: number | null;
  readonly totalS: number;
}

export function timesOf({latency_us: latency, ttft_us: first}: RequestRow): Times | null {
  if (latency === null) return null;
  return {
    prefillS: first === null ? null : first / 1e6,
    decodeS: first === null ? null : (latency - first) / 1e6,
    totalS: latency / 1e6,
  };
}

/** The known ones. */
export function known(values: readonly (number | null)[]): number[] {
  return values.filter((value) => value !== null);
}
