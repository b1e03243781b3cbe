import type {ReportAttribution} from '../harness/contract/report-data.ts';
import type {ReportInput} from '../harness/contract/reporter.ts';
import {formatSignificant} from '../harness/contract/units.ts';
import {rowKey} from './cell.ts';
import {clean} from './text.ts';

export interface Finding {
  readonly text: string;
  /** Row that it is about. */
  readonly key: string;
}

const MOST = 8;
const times = (ratio: number, low: number | null, high: number | null): string =>
  `${formatSignificant(ratio)}×${low === null || high === null ? ' (no interval)' : ` (${formatSignificant(low)}–${formatSignificant(high)}×)`}`;

/** The largest effects with what makes them up, in sentences. */
export function findings({rows, attributions = []}: ReportInput): Finding[] {
  const byKey = new Map(rows.map((row) => [rowKey(row), row]));
  const size = (one: ReportAttribution): number =>
    Math.max(
      Math.abs(Math.log(one.total?.ratio ?? 1)),
      ...one.factors.map(({ratio}) => (ratio === null || ratio <= 0 ? 0 : Math.abs(Math.log(ratio)))),
    );
  return [...attributions]
    .sort((a, b) => size(b) - size(a) || (rowKey(a.row) < rowKey(b.row) ? -1 : 1))
    .filter((one) => size(one) > 0)
    .slice(0, MOST)
    .flatMap((one) => {
      const row = byKey.get(rowKey(one.row));
      if (row === undefined) return [];
      const factors = one.factors
        .filter(({ratio}) => ratio !== null && ratio !== 1)
        .map(
          ({name, ratio, low, high}) =>
            `${name} ${low === ratio && high === ratio ? `${formatSignificant(ratio ?? 1)}×` : times(ratio ?? 1, low, high)}`,
        )
        .join(', ');
      const unknown = one.factors.filter(({ratio}) => ratio === null).map(({name}) => name);
      const name = [row.format, row.runner, row.kernel].filter((part) => part !== null).join(' ');
      const total =
        one.total === null
          ? ''
          : `: ${times(one.total.ratio, one.total.low, one.total.high)} of 16 bit in transformers`;
      const rest = unknown.length === 0 ? '' : `; not measured: ${unknown.join(', ')}`;
      const text = `${one.phase === 'decode' ? 'Decode' : 'Prefill'} of ${row.model} as ${name} on ${row.device}${total} — ${factors}${rest}.`;
      return [{text: clean(text, 400), key: rowKey(row)}];
    });
}
