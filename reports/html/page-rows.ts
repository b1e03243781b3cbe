import type {ResultRow} from '../../harness/contract/columns.ts';
import {rowKey} from '../cell.ts';

/**
 * The rows that a page holds, in their order: all, or so many that every device, model and workload has its share, and
 * that none is missing which an answer, a finding or a chart points at.
 *
 * @param named Of {@link rowKey}.
 */
export function pageRows(rows: readonly ResultRow[], named: ReadonlySet<string>, most: number): readonly ResultRow[] {
  if (rows.length <= most) return rows;
  const kept = new Set<ResultRow>();
  const groups = new Map<string, ResultRow[]>();
  for (const row of rows) {
    if (named.has(rowKey(row))) {
      kept.add(row);
      continue;
    }
    const name = JSON.stringify([row.device, row.model, row.workload]);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [row]);
    else group.push(row);
  }
  // One of each group, then another one of each, until the page is full.
  for (let turn = 0; kept.size < most; turn++) {
    const before = kept.size;
    for (const group of groups.values()) {
      const row = group[turn];
      if (row !== undefined && kept.size < most) kept.add(row);
    }
    if (kept.size === before) break;
  }
  return rows.filter((row) => kept.has(row));
}

/** Keys of the rows that a compiled chart draws. */
export function keysOf(vega: {readonly data?: unknown}): string[] {
  const sets: unknown[] = Array.isArray(vega.data) ? vega.data : [];
  return sets.flatMap((set) => {
    const values: unknown[] =
      typeof set === 'object' && set !== null && 'values' in set && Array.isArray(set.values) ? set.values : [];
    return values.flatMap((datum) =>
      typeof datum === 'object' && datum !== null && 'key' in datum && typeof datum.key === 'string' ? [datum.key] : [],
    );
  });
}

/** A name for each row that can be linked to, the same in every report that holds the row: of its cell id. */
export function rowAnchors(rows: readonly ResultRow[]): readonly string[] {
  const seen = new Map<string, number>();
  return rows.map(({cell_id: cell}) => {
    const name =
      (cell ?? '')
        .toLowerCase()
        .replace(/[^a-z0-9]/g, '')
        .slice(0, 32) || 'unnamed';
    const times = (seen.get(name) ?? 0) + 1;
    seen.set(name, times);
    return `row-${name}${times === 1 ? '' : `-${times}`}`;
  });
}
