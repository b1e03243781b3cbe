import type {TopLevelSpec} from 'vega-lite';
import type {ReportInput} from '../harness/contract/reporter.ts';

export interface Chart {
  /** File name, without extension. */
  readonly id: string;
  readonly title: string;
  /** How to read it, in one or two sentences. */
  readonly about: string;
  /** Why there may be nothing to show. */
  readonly absent: string;
  /** @returns null when no row has what the chart shows. */
  readonly spec: (input: ReportInput) => TopLevelSpec | null;
}
