import type {ResultRow} from '../harness/contract/columns.ts';
import type {ReportAttribution, ReportFactor} from '../harness/contract/report-data.ts';
import type {ReportInput} from '../harness/contract/reporter.ts';
import {formatSignificant} from '../harness/contract/units.ts';
import {compareRows, rowKey} from './cell.ts';
import {ahead, type Comparison, comparisons} from './side-by-side.ts';
import {clean, withInterval} from './text.ts';

export interface Finding {
  /** What it is about, in a few words. */
  readonly lead: string;
  readonly text: string;
  /** Row that it is about; empty when it is about several. */
  readonly key: string;
}

const MOST_EFFECTS = 5;
const MOST_FASTEST = 3;
const MOST_DEVICES = 10;

/** What a reader should know before any chart: the fastest cells, the largest effects with what makes them up, and what failed. */
export function findings(input: ReportInput): Finding[] {
  return [
    ...devices(input.rows),
    ...fastest(input.rows),
    ...effects(input),
    ...failures(input.rows),
    ...waits(input.rows),
  ].map(({lead, text, key}) => ({lead: clean(lead, 200), text: clean(text, 400), key}));
}

/** The engine of the publications, which attributions start from. */
const BASELINE_RUNNER = 'transformers';
const TOKENS = 'tokens/s';
const times = (value: number, low: number | null, high: number | null): string => withInterval(value, low, high, '×');
const cellName = ({format, runner, kernel}: ResultRow): string =>
  [format, runner, kernel]
    .filter((part) => part !== null)
    .map((part) => clean(part, 40))
    .join(' ');
const placeOf = ({model, device, workload}: ResultRow): string =>
  `${clean(model, 40)} on ${clean(device, 40)} (${clean(workload, 40)})`;

/** Of each device, model and workload the cell with the fastest decode, and whether the next one can be told from it. */
function fastest(rows: readonly ResultRow[]): Finding[] {
  const groups = new Map<string, ResultRow[]>();
  for (const row of [...rows].sort(compareRows)) {
    if (row.status !== 'ok' || row.decode_tokens_per_s === null || row.decode_tokens_per_s <= 0) continue;
    const group = JSON.stringify([row.device, row.model, row.workload, row.batch, row.concurrency]);
    const known = groups.get(group);
    if (known === undefined) groups.set(group, [row]);
    else known.push(row);
  }
  const found = [...groups.values()].flatMap((group) => {
    const [best, next] = group.toSorted((a, b) => (b.decode_tokens_per_s ?? 0) - (a.decode_tokens_per_s ?? 0));
    // Alone, a cell is the fastest of nothing.
    return best === undefined || next === undefined ? [] : [{best, next, cells: group.length}];
  });
  // Where most was compared, first; the sort is stable.
  const shown = found.toSorted((a, b) => b.cells - a.cells).slice(0, MOST_FASTEST);
  const rest = found.length - shown.length;
  return shown.map(({best, next, cells}, index) => {
    const [speed, low, high] = speedOf(best);
    const [other, , otherHigh] = speedOf(next);
    const apart = low !== null && otherHigh !== null && low > otherHigh;
    const than = apart
      ? `${times(speed / other, null, null)} the next, ${cellName(next)}`
      : `its interval does not set it apart from ${cellName(next)} at ${formatSignificant(other)} ${TOKENS}`;
    const more =
      rest > 0 && index === shown.length - 1
        ? ` (${rest} more ${rest === 1 ? 'group' : 'groups'} of cells ${rest === 1 ? 'is' : 'are'} in the table.)`
        : '';
    return {
      lead: `Fastest decode of ${placeOf(best)}`,
      text: `${cellName(best)} with ${withInterval(speed, low, high)} ${TOKENS}, of ${cells} cells; ${than}.${more}`,
      key: rowKey(best),
    };
  });
}

function speedOf(row: ResultRow): readonly [number, number | null, number | null] {
  return [row.decode_tokens_per_s ?? 0, row.decode_tokens_per_s_ci_low, row.decode_tokens_per_s_ci_high];
}

const MOST_PLACES = 3;

/** Where the same formats ran on several devices: which device is ahead in how many of them, and by how much at most. */
function devices(rows: readonly ResultRow[]): Finding[] {
  const panels = new Map<string, Comparison[]>();
  for (const one of comparisons(rows, 'decode_tokens_per_s')) {
    const known = panels.get(one.panel);
    if (known === undefined) panels.set(one.panel, [one]);
    else known.push(one);
  }
  const shown = [...panels].toSorted(([, a], [, b]) => b.length - a.length).slice(0, MOST_PLACES);
  return shown.flatMap(([panel, lines]): Finding[] => {
    const wins = new Map<string, number>();
    let largest: {line: Comparison; key: string; device: string; next: string; times: number} | null = null;
    for (const line of lines) {
      const found = ahead(line, 'decode_tokens_per_s');
      if (found?.apart !== true) continue;
      const {first, next, times: ratio} = found;
      wins.set(first.device, (wins.get(first.device) ?? 0) + 1);
      if (largest === null || ratio > largest.times) {
        largest = {line, key: first.key, device: first.device, next: next.device, times: ratio};
      }
    }
    const ranked = [...wins].toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
    const told = ranked.reduce((sum, [, count]) => sum + count, 0);
    const who = ranked.slice(0, 4).map(([device, count]) => `${clean(device, 40)} in ${count}`);
    const rest = lines.length - told;
    const most =
      largest === null
        ? ''
        : `; the largest difference: ${largest.line.label}, ${clean(largest.device, 40)} ${times(largest.times, null, null)} as fast as ${clean(largest.next, 40)}`;
    const undecided = rest === 0 ? '' : `${who.length === 0 ? '' : ', '}not told apart in ${rest}`;
    return [
      {
        lead: `Device by device, decode of ${panel}`,
        text: `of ${lines.length} formats and engines ${who.length === 0 ? '' : `faster on ${who.join(', on ')}`}${undecided}${most}.`,
        key: largest?.key ?? '',
      },
    ];
  });
}

interface Product {
  readonly ratio: number;
  readonly low: number | null;
  readonly high: number | null;
}

/** Product of factors; its interval from theirs on the log scale. Null where one is missing. */
function product(factors: readonly ReportFactor[]): Product | null {
  let ratio = 1;
  let [below, above] = [0, 0];
  let bounded = true;
  for (const factor of factors) {
    if (factor.ratio === null || factor.ratio <= 0) return null;
    ratio *= factor.ratio;
    if (factor.low === null || factor.high === null || factor.low <= 0) {
      bounded = false;
      continue;
    }
    below = Math.hypot(below, Math.log(factor.ratio / factor.low));
    above = Math.hypot(above, Math.log(factor.high / factor.ratio));
  }
  return {
    ratio,
    low: bounded ? ratio * Math.exp(-below) : null,
    high: bounded ? ratio * Math.exp(above) : null,
  };
}

interface Effect {
  readonly one: ReportAttribution;
  readonly row: ResultRow;
  /** Against 16 bit in the same engine; null without that control. */
  readonly own: Product | null;
  readonly size: number;
}

/** The largest effects of a format with what makes them up; of each device, model and phase the largest first. */
function effects({rows, attributions = []}: ReportInput): Finding[] {
  const byKey = new Map(rows.map((row) => [rowKey(row), row]));
  const all = attributions.flatMap((one): Effect[] => {
    const row = byKey.get(rowKey(one.row));
    if (row === undefined) return [];
    const own = one.own ?? product(one.factors.filter(({name}) => name !== 'runtime'));
    const ratio = one.total?.ratio ?? own?.ratio ?? null;
    return ratio === null || ratio <= 0 ? [] : [{one, row, own, size: Math.abs(Math.log(ratio))}];
  });
  const ordered = all.toSorted(
    (a, b) => b.size - a.size || compareRows(a.row, b.row) || (a.one.phase < b.one.phase ? -1 : 1),
  );
  const seen = new Set<string>();
  const first = ordered.filter(({one, row}) => {
    const group = JSON.stringify([row.device, row.model, one.phase]);
    return !seen.has(group) && seen.add(group) !== undefined;
  });
  return [...first, ...ordered.filter((effect) => !first.includes(effect))].slice(0, MOST_EFFECTS).map((effect) => ({
    lead: `${effect.one.phase === 'decode' ? 'Decode' : 'Prefill'} of ${placeOf(effect.row)} with ${cellName(effect.row)}`,
    text: sentence(effect),
    key: rowKey(effect.row),
  }));
}

/** What a factor is, for people. */
const FACTORS: Readonly<Record<string, string>> = {
  runtime: 'the engine',
  format: 'fewer bytes',
  kernel: 'the choice of the kernel',
  rest: 'unpacking and the rest',
};
const factorWords = (name: string): string =>
  Object.hasOwn(FACTORS, name) ? (FACTORS[name] ?? name) : clean(name, 40);

function sentence({one, row, own}: Effect): string {
  const {total, factors} = one;
  // Of a cell in transformers the two controls are one.
  const isOwnBaseline = row.runner === BASELINE_RUNNER;
  const against = [
    ...(own === null || (isOwnBaseline && total !== null)
      ? []
      : [`${times(own.ratio, own.low, own.high)} the speed of 16 bit in the same engine`]),
    ...(total === null
      ? []
      : [
          `${times(total.ratio, total.low, total.high)} ${own === null || isOwnBaseline ? 'the speed' : 'that'} of 16 bit in transformers`,
        ]),
  ].join(', ');
  const parts = factors
    .filter(({ratio}) => ratio !== null && formatSignificant(ratio) !== '1.00')
    .map(({name, ratio, low, high}) => `${factorWords(name)} ${times(ratio ?? 1, low, high)}`);
  const missing = factors.filter(({ratio}) => ratio === null).map(({name}) => factorWords(name));
  const made = parts.length === 0 ? '' : `; made of: ${parts.join(', ')}`;
  const unknown = missing.length === 0 ? '' : `; not measured: ${missing.join(', ')}`;
  return `${against}${made}${unknown}.`;
}

/** What ran and has no figures, by how it ended. */
function failures(rows: readonly ResultRow[]): Finding[] {
  const byStatus = new Map<string, ResultRow[]>();
  for (const row of [...rows].sort(compareRows)) {
    const status = row.status ?? 'no status';
    if (status === 'ok' || status === 'waiting') continue;
    const known = byStatus.get(status);
    if (known === undefined) byStatus.set(status, [row]);
    else known.push(row);
  }
  if (byStatus.size === 0) return [];
  const failed = [...byStatus.values()].reduce((sum, group) => sum + group.length, 0);
  const parts = [...byStatus]
    .toSorted(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1))
    .map(([status, group]) => {
      const [row] = group;
      if (row === undefined) return '';
      const reason = row.status_reason === null ? '' : ` (${clean(row.status_reason, 60)})`;
      return `${group.length} ${clean(status, 30)}, as ${cellName(row)} of ${clean(row.model, 40)} on ${clean(row.device, 40)}${reason}`;
    });
  return [{lead: `${failed} of ${rows.length} cells have no result to trust`, text: `${parts.join('; ')}.`, key: ''}];
}

/** What was planned for devices that nobody has measured yet. */
function waits(rows: readonly ResultRow[]): Finding[] {
  const devices = new Map<string, number>();
  for (const {status, device} of rows) {
    if (status === 'waiting') devices.set(device ?? '', (devices.get(device ?? '') ?? 0) + 1);
  }
  if (devices.size === 0) return [];
  const count = [...devices.values()].reduce((sum, cells) => sum + cells, 0);
  const names = [...devices]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([device, cells]) => `${clean(device, 40)} (${cells})`);
  const more = names.length > MOST_DEVICES ? ` and ${names.length - MOST_DEVICES} more` : '';
  return [
    {
      lead: `${count} of ${rows.length} cells wait for their device`,
      text: `${names.slice(0, MOST_DEVICES).join(', ')}${more}.`,
      key: '',
    },
  ];
}
