/**
 * What a report shows beside rows: plain data that the command line works out (claims, decision, telemetry) and hands
 * over, so that reports stay strangers to whoever computes it.
 */

/** A factor of a speed; `null` where it was not measured. > 1 is faster. */
export interface ReportFactor {
  readonly name: string;
  readonly ratio: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly note: string;
}

/** Why one cell is as fast as it is: the factors multiply to the total. */
export interface ReportAttribution {
  readonly row: {readonly run_id: string | null; readonly cell_id: string | null};
  readonly phase: 'prefill' | 'decode';
  readonly total: {readonly ratio: number; readonly low: number | null; readonly high: number | null} | null;
  /** The cell against 16 bit in the same engine, paired by rounds where both ran in one run. */
  readonly own?: {readonly ratio: number; readonly low: number | null; readonly high: number | null} | null;
  readonly factors: readonly ReportFactor[];
  /** Commands that would measure what is missing. */
  readonly missing: readonly string[];
}

/** One reading of one sentence of a publication, checked against one pair of cells. */
export interface ReportClaim {
  readonly claim: string;
  readonly sentence: string;
  readonly says: string;
  readonly expected: number;
  /** Of a `figure`, `ratio` is measured ÷ expected. Absent: ratio. */
  readonly kind?: string;
  readonly verdict: string;
  readonly reason: string;
  readonly ratio: {readonly ratio: number; readonly low: number | null; readonly high: number | null} | null;
  readonly device: string | null;
  readonly cell: string | null;
  readonly against: string | null;
  readonly workload: string | null;
  readonly command: string | null;
}

/** What may be deployed: a measured cell on a device, or a priced alternative. */
export interface ReportTarget {
  readonly name: string;
  /** What it costs, in words with unit and interval; null without a price. */
  readonly cost: string | null;
  /** Its row, where it has one. */
  readonly row: {readonly run_id: string | null; readonly cell_id: string | null} | null;
}

/** The answer to one need. */
export interface ReportDecision {
  readonly need: string;
  /** The need in words: `p90 <= 800 ms, 1 000 requests/h`. */
  readonly wants: string;
  /** `no-price`: cells meet the need, and none of them has a price. */
  readonly verdict: 'recommended' | 'undecided' | 'no-price' | 'nothing-fits';
  /** One sentence. */
  readonly reason: string;
  readonly recommended: ReportTarget | null;
  readonly runnerUp: ReportTarget | null;
  /** How sure, in one sentence. */
  readonly sure: string;
  readonly notMeasured: readonly string[];
  /** What would settle it, or change it, each with what to type; absent: nothing. */
  readonly next?: readonly string[];
  readonly excluded: readonly {readonly name: string; readonly reason: string}[];
}

/** Counters of one round of one cell, as recorded; thinned evenly where there are very many readings. */
export interface ReportTelemetry {
  readonly run_id: string;
  readonly cell_id: string;
  readonly round: number;
  readonly series: readonly {
    readonly channel: string;
    readonly tMs: readonly number[];
    readonly values: readonly (number | null)[];
  }[];
  /** When each phase began, on the same clock. */
  readonly phases: readonly {readonly name: string; readonly tMs: number}[];
}

/** What an hour of a device costs at the prices that the report was given. */
export interface ReportPrice {
  readonly device: string;
  readonly usdPerHour: number;
  /** Day of the price. */
  readonly date: string;
}

/** Limits of a device: from its data sheet, or of a CPU the memory of its host. */
export interface ReportDevice {
  readonly name: string;
  readonly kind: 'cpu' | 'cuda';
  readonly memoryBytes: number | null;
}
