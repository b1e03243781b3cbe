import type {ResultRow} from '../harness/contract/columns.ts';
import {type Cell, cellData, compareWays} from './cell.ts';
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
  const measured = cellData(rows)
    .filter(({row}) => row.status === 'ok' && (row[measure] ?? 0) > 0)
    .map((cell) => ({cell, way: wayOf(cell.row)}));
  const kernels = new Map<string, string>();
  const choice = new Set<string>();
  for (const {cell, way} of measured) {
    const place = `${way} ${cell.device}`;
    const known = kernels.get(place);
    if (known === undefined) kernels.set(place, cell.kernel);
    else if (known !== cell.kernel) choice.add(way);
  }
  const groups = new Map<string, {first: ResultRow; kernel: string | null; devices: Set<string>; cells: Cell[]}>();
  for (const {cell, way} of measured) {
    const kernel = choice.has(way) ? cell.row.kernel : null;
    const key = `${way} ${kernel ?? ''}`;
    const known = groups.get(key);
    if (known === undefined) {
      groups.set(key, {first: cell.row, kernel, devices: new Set([cell.device]), cells: [cell]});
    } else {
      known.devices.add(cell.device);
      known.cells.push(cell);
    }
  }
  return (
    [...groups.values()]
      .filter(({devices}) => devices.size > 1)
      .map(({first, kernel, cells}) => ({way: {...first, kernel}, cap: isaCap(first), cells}))
      // What differs in its cap alone stands together, the whole machine first.
      .sort((a, b) => compareWays(a.way, b.way) || (a.cap < b.cap ? -1 : 1))
      .map(({way: first, cap, cells}) => {
        const label = parts(first.format, first.runner, first.kernel, cap === '' ? null : `${cap} only`);
        return {panel: parts(first.model, first.workload), label, cells};
      })
  );
}

/** All but the device that cells must share to stand on one line, as one text. */
function wayOf(row: ResultRow): string {
  return JSON.stringify([row.model, row.workload, row.batch, row.concurrency, row.format, row.runner, isaCap(row)]);
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
