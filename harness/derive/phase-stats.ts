import type {PhaseStat} from '../contract/journal.ts';
import type {CellPhase, Series} from '../contract/sampler.ts';
import {median} from './quantile.ts';

/** The cell entered `phase` at `tMs`; it left it at the next edge. */
export interface PhaseEdge {
  readonly phase: CellPhase;
  readonly tMs: number;
}

type KeptPhase = PhaseStat['phase'];
interface Segment {
  readonly phase: KeptPhase;
  readonly fromMs: number;
  readonly toMs: number;
}
interface Reading {
  readonly tMs: number;
  readonly value: number | null;
}

/**
 * Statistics of every channel within every phase: what of the telemetry is kept for good.
 *
 * A reading belongs to the phase that was running at its time (start included, end excluded). A series without a
 * period is read only at phase edges: there, each reading closes one phase and opens the next, and counts for both.
 * A channel that no reading of a phase exists of has no entry for it.
 */
export function phaseStats(series: readonly Series[], edges: readonly PhaseEdge[]): PhaseStat[] {
  const segments = segmentsOf(edges);
  return series.flatMap((one) =>
    [...new Set(segments.map(({phase}) => phase))].flatMap((phase) => {
      const stat = statOf(
        one,
        phase,
        segments.map((segment, index) => ({...segment, index})).filter((segment) => segment.phase === phase),
        segments,
      );
      return stat === null ? [] : [stat];
    }),
  );
}

function segmentsOf(edges: readonly PhaseEdge[]): Segment[] {
  return edges.flatMap(({phase, tMs}, index) =>
    phase === 'end' ? [] : [{phase, fromMs: tMs, toMs: edges[index + 1]?.tMs ?? Number.POSITIVE_INFINITY}],
  );
}

function statOf(
  {channel, tMs, values, periodMs}: Series,
  phase: KeptPhase,
  parts: readonly (Segment & {readonly index: number})[],
  all: readonly Segment[],
): PhaseStat | null {
  const readings: Reading[] = [];
  let gaps = 0;
  let spanMs = 0;
  for (const {fromMs, toMs, index} of parts) {
    // A reading at the edge that ends this segment lies in the next one: of an edge-only series it is the closing one.
    const closeMs = periodMs === 0 ? (all[index + 1]?.toMs ?? Number.POSITIVE_INFINITY) : toMs;
    let closed = false;
    const inside: Reading[] = [];
    for (const [at, t] of tMs.entries()) {
      if (t < fromMs || t >= closeMs || closed) continue;
      inside.push({tMs: t, value: values[at] ?? null});
      closed = t >= toMs;
    }
    gaps += missedReadings(inside, periodMs);
    const good = inside.filter(({value}) => value !== null);
    spanMs += (good.at(-1)?.tMs ?? 0) - (good[0]?.tMs ?? 0);
    readings.push(...inside);
  }
  if (readings.length === 0) return null;
  const known = readings.flatMap(({value}) => (value === null ? [] : [value]));
  return {
    channel,
    phase,
    n: known.length,
    gaps,
    spanS: spanMs / 1000,
    periodMs,
    min: known.length === 0 ? null : known.reduce((a, b) => Math.min(a, b)),
    max: known.length === 0 ? null : known.reduce((a, b) => Math.max(a, b)),
    mean: known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length,
    median: median(known),
    first: known[0] ?? null,
    last: known.at(-1) ?? null,
  };
}

/** Readings that failed, plus those that a pause of more than two periods swallowed. */
function missedReadings(readings: readonly Reading[], periodMs: number): number {
  let missed = readings.filter(({value}) => value === null).length;
  if (periodMs <= 0) return missed;
  for (const [index, {tMs}] of readings.entries()) {
    const before = readings[index - 1];
    if (before !== undefined && tMs - before.tMs > 2 * periodMs) {
      missed += Math.floor((tMs - before.tMs) / periodMs) - 1;
    }
  }
  return missed;
}
