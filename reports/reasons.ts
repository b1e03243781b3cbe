import type {ReportDecision} from '../harness/contract/report-data.ts';

/** Reasons of this many cells are told one by one; of more, by kind. */
const FEW = 4;
/** `p90` is none. */
const FIGURES = /(?<![a-z\d.])\d[\d.]*/g;
const firstFigure = (reason: string): number => Number(reason.match(FIGURES)?.[0] ?? 0);

/**
 * Why candidates were left out. Figures differ from cell to cell, what is wrong does not: of many cells, each kind of
 * reason is told once, by the cell with the least figure, which misses a bound by least.
 */
export function reasons(excluded: ReportDecision['excluded']): string[] {
  if (excluded.length <= FEW) return excluded.map(({name, reason}) => `${name}: ${reason}`);
  const kinds = new Map<string, {name: string; reason: string; count: number}>();
  for (const {name, reason} of excluded) {
    const kind = reason.replace(FIGURES, '…');
    const known = kinds.get(kind);
    if (known === undefined) {
      kinds.set(kind, {name, reason, count: 1});
      continue;
    }
    known.count++;
    if (firstFigure(reason) < firstFigure(known.reason)) Object.assign(known, {name, reason});
  }
  return [...kinds.values()]
    .sort((a, b) => b.count - a.count || (a.reason < b.reason ? -1 : 1))
    .map(({name, reason, count}) =>
      count === 1 ? `${name}: ${reason}` : `${count} cells, such as ${name}: ${reason}`,
    );
}
