import type {ResultRow} from '../harness/contract/columns.ts';
import {type Cell, cellData} from './cell.ts';
import {isaCap} from './controls.ts';
import {clean} from './text.ts';

export type Measure = 'prefill_tokens_per_s' | 'decode_tokens_per_s';

/** One way to run a model, on every device that ran it. */
export interface Comparison {
  /** Model and workload. */
  readonly panel: string;
  /** Format and engine, and what else sets this way apart. */
  readonly label: string;
  /** In the order of the report; some device may have several, from several hosts. */
  readonly cells: readonly Cell[];
}

const parts = (...texts: readonly (string | null)[]): string =>
  texts
    .filter((text) => text !== null && text !== '')
    .map((text) => clean(text, 60))
    .join(' · ');

/**
 * Cells that differ in nothing but the device, where at least two devices ran one of them. Kernels have other names on
 * other devices (`cpu-zen4`, `cuda`): one is part of the comparison only where a device has the choice between several.
 */
export function comparisons(rows: readonly ResultRow[], measure: Measure): Comparison[] {
  const measured = cellData(rows).filter(({row}) => row.status === 'ok' && (row[measure] ?? 0) > 0);
  const wayOf = (row: ResultRow): string =>
    JSON.stringify([row.model, row.workload, row.batch, row.concurrency, row.format, row.runner, isaCap(row)]);
  const kernels = new Map<string, Set<string>>();
  const kernelsAt = ({row}: Cell): string => JSON.stringify([wayOf(row), row.device]);
  for (const cell of measured) {
    const known = kernels.get(kernelsAt(cell)) ?? new Set();
    kernels.set(kernelsAt(cell), known.add(cell.kernel));
  }
  const choice = new Set(
    measured.filter((cell) => (kernels.get(kernelsAt(cell))?.size ?? 0) > 1).map(({row}) => wayOf(row)),
  );
  const groups = new Map<string, {panel: string; label: string; cap: string; place: number; cells: Cell[]}>();
  // What differs in its cap alone stands together, the whole machine first.
  const places = new Map<string, number>();
  const placeOf = (key: string): number => {
    const place = places.get(key) ?? places.size;
    places.set(key, place);
    return place;
  };
  for (const cell of measured) {
    const {row} = cell;
    const kernel = choice.has(wayOf(row)) ? row.kernel : null;
    const key = JSON.stringify([wayOf(row), kernel]);
    const known = groups.get(key);
    if (known === undefined) {
      const cap = isaCap(row);
      const label = parts(row.format, row.runner, kernel, cap === '' ? null : `${cap} only`);
      const panel = parts(row.model, row.workload);
      const place = placeOf(
        JSON.stringify([row.model, row.workload, row.batch, row.concurrency, row.format, row.runner, kernel]),
      );
      groups.set(key, {panel, label, cap, place, cells: [cell]});
    } else known.cells.push(cell);
  }
  const devices = (cells: readonly Cell[]): number => new Set(cells.map(({device}) => device)).size;
  return [...groups.values()]
    .filter(({cells}) => devices(cells) > 1)
    .sort((a, b) => a.place - b.place || (a.cap < b.cap ? -1 : 1))
    .map(({panel, label, cells}) => ({panel, label, cells}));
}

/** The device that is ahead of all others, by how much, or null where intervals do not tell the first two apart. */
export function ahead(
  {cells}: Comparison,
  measure: Measure,
): {readonly first: Cell; readonly next: Cell; readonly times: number; readonly apart: boolean} | null {
  const ordered = cells.toSorted((a, b) => (b.row[measure] ?? 0) - (a.row[measure] ?? 0));
  const [first] = ordered;
  const next = ordered.find(({device}) => device !== first?.device);
  if (first === undefined || next === undefined) return null;
  const [low, high] = [first.row[`${measure}_ci_low`], next.row[`${measure}_ci_high`]];
  const times = (first.row[measure] ?? 0) / (next.row[measure] ?? 1);
  return {first, next, times, apart: low !== null && high !== null && low > high};
}
