import {type Claim, type ClaimReading, type ClaimsFile, EXACT_MEASURES, HOSTED} from '../contract/claim.ts';
import {COLUMNS} from '../contract/columns.ts';
import type {ApiPrice} from '../contract/prices.ts';
import {SMALLEST_EFFECT} from '../derive/thresholds.ts';
import {matchesAny} from '../plan/glob.ts';
import {atRent, listPriceText, type RequestTokens, rentText, tokensOf, usdAtList} from './dated-price.ts';
import type {MeasuredCell} from './measured-cell.ts';
import {type Ratio, ratioOf, ratioToExact, scaled} from './ratio.ts';
import {controlOf, matchesCell, measureCommand} from './select-cells.ts';

export type Verdict = 'reproduced' | 'direction only' | 'contradicted' | 'inconclusive' | 'not measured';

/** What one reading of one sentence says of one pair of cells. */
export interface LedgerEntry {
  readonly claim: string;
  readonly sentence: string;
  readonly reading: string;
  readonly says: string;
  readonly measure: ClaimReading['measure'];
  /** The ratio, or the figure, that the sentence speaks of. */
  readonly expected: number;
  /** figure: `expected` and `value` are in the unit of `measure`, and `ratio` is measured ÷ expected. */
  readonly kind: 'ratio' | 'figure';
  readonly verdict: Verdict;
  /** One clause: why this verdict. Of another device: that it is one. */
  readonly reason: string;
  /** What was found, on whatever device; empty when not measured. */
  readonly finding: string;
  readonly ratio: Ratio | null;
  /** The two figures. */
  readonly value: number | null;
  readonly againstValue: number | null;
  /** The device it was checked on; null when not measured. */
  readonly device: string | null;
  /** It was checked on another device than the sentence is about. */
  readonly elsewhere: boolean;
  readonly cell: string | null;
  readonly against: string | null;
  readonly workload: string | null;
  /** Of both rows. */
  readonly caveats: readonly string[];
  /** The command that would measure it, where something is missing. */
  readonly command: string | null;
}

/**
 * The ledger: every reading of every sentence with a verdict of its own, per device and workload.
 *
 * reproduced      on the device that the sentence is about, the ratio is the one it says (within `tolerance`), and its
 *                 interval excludes "no effect".
 * direction only  the effect goes the way it says, but is of another size, or was seen on another device.
 * contradicted    on its device, the interval excludes what it says, and there is no effect or the opposite one.
 * inconclusive    the interval holds both; or another device says otherwise, which says nothing about the one it is about.
 * not measured    a cell is missing.
 *
 * What has no noise and no device, the bytes of a file or a ratio of two list prices, is either what the sentence says
 * or contradicts it. A figure (`value`) has no direction either: elsewhere than on its device it decides nothing.
 */
export function claimsLedger({sentences, matrix}: ClaimsFile, cells: readonly MeasuredCell[]): LedgerEntry[] {
  const usable = cells.filter(({row}) => row.status === 'ok');
  return sentences.flatMap((claim) =>
    claim.readings.flatMap((reading) => {
      const priced = usable.map((cell) => atRent(cell, reading));
      return entriesOf(claim, reading, priced, matrix);
    }),
  );
}

function entriesOf(claim: Claim, reading: ClaimReading, cells: readonly MeasuredCell[], matrix: string): LedgerEntry[] {
  if (reading.price !== undefined) return [ofPrices(claim, reading, reading.price)];
  const {measure} = reading;
  const controls = cells.filter(({row}) => matchesCell(reading.against ?? {}, row) && hasFigure(row, measure));
  const entries = cells
    .filter(({row}) => matchesCell(reading.cell ?? {}, row) && hasFigure(row, measure))
    .flatMap((cell) => {
      const found = compared(reading, cell, controls);
      return found === null ? [] : [judged(claim, reading, cell, found)];
    });
  const exact = isExact(reading);
  // A claim that was checked elsewhere still lacks its own device.
  const own = entries.some(({device}) => device !== null && (exact || matchesAny(claim.device, [device])));
  const single = exact ? withoutRepeats(entries) : entries;
  const kept = reading.of === 'each' ? single : extremes(single, reading.of);
  return own ? kept : [...kept, notMeasured(claim, reading, cells, matrix)];
}

/** A prompt of one token, as of tg128, is a decode step: its rate says nothing about reading prompts. */
function hasFigure(row: MeasuredCell['row'], measure: ClaimReading['measure']): boolean {
  return row[measure] !== null && !(measure === 'prefill_tokens_per_s' && row.prompt_tokens === 1);
}

/** What a cell is set against. */
interface Compared {
  readonly ratio: Ratio;
  readonly control: MeasuredCell | null;
  readonly againstName: string | null;
  readonly againstValue: number | null;
}

function compared(reading: ClaimReading, cell: MeasuredCell, controls: readonly MeasuredCell[]): Compared | null {
  const {measure, across, scale} = reading;
  const price = reading.against_price;
  const exact = price === undefined ? reading.value : costAtList(price, tokensOf(cell));
  if (exact !== undefined) {
    const ratio = exact === null ? null : ratioToExact(measure, cell, exact);
    if (ratio === null) return null;
    const name = price === undefined ? null : listPriceText(price);
    return {
      ratio: scaled(ratio, scale),
      control: null,
      againstName: name,
      againstValue: price === undefined ? null : exact,
    };
  }
  const control = controlOf(cell, controls, across);
  const ratio = control === null ? null : ratioOf(measure, cell, control);
  if (control === null || ratio === null) return null;
  const againstValue = numberOrNull(control.row[measure]);
  return {ratio: scaled(ratio, scale), control, againstName: nameOf(control, across), againstValue};
}

/** Two list prices for the same tokens: nothing to measure, and no noise. */
function ofPrices(claim: Claim, reading: ClaimReading, price: ApiPrice): LedgerEntry {
  const other = reading.against_price ?? price;
  const tokens = reading.tokens ?? null;
  const [value, againstValue] = [costAtList(price, tokens), costAtList(other, tokens)];
  const ratio: Ratio | null =
    value === null || againstValue === null
      ? null
      : {ratio: (value / againstValue) * reading.scale, low: null, high: null, p: null, how: 'point', rounds: [0, 0]};
  const [verdict, reason] =
    ratio === null ? (['not measured', 'no tokens'] as const) : exactVerdict(reading, ratio.ratio);
  return {
    ...head(claim, reading),
    verdict,
    reason,
    finding: ratio === null ? '' : reason,
    ratio,
    value,
    againstValue,
    device: null,
    elsewhere: false,
    cell: listPriceText(price),
    against: listPriceText(other),
    workload: tokens === null ? null : `${tokens.prompt} + ${tokens.generated} tokens`,
    caveats: [],
    command: null,
  };
}

function costAtList(price: ApiPrice, tokens: RequestTokens | null): number | null {
  return tokens === null ? null : usdAtList(price, tokens);
}

/** Counts without noise: of bytes, or of dollars of a price list. */
function isExact({measure, price}: ClaimReading): boolean {
  return price !== undefined || EXACT_MEASURES.some((name) => name === measure);
}

/** The same weights, run on several devices and workloads, are one finding. */
function withoutRepeats(entries: readonly LedgerEntry[]): LedgerEntry[] {
  const key = (entry: LedgerEntry): string => [entry.cell, entry.against, entry.value, entry.againstValue].join(' ');
  return [...new Map(entries.map((entry) => [key(entry), entry])).values()];
}

/**
 * Per device and workload the entry that "up to" speaks of, with how many it was picked from: its interval is that of one
 * cell and knows nothing of the choice, and the best of many is a little luckier than it will be again.
 */
function extremes(entries: readonly LedgerEntry[], of: 'highest' | 'lowest'): LedgerEntry[] {
  const places = new Map<string, LedgerEntry[]>();
  for (const entry of entries) {
    const key = `${entry.device} ${entry.workload}`;
    const known = places.get(key);
    if (known === undefined) places.set(key, [entry]);
    else known.push(entry);
  }
  const sign = of === 'highest' ? 1 : -1;
  const height = ({ratio}: LedgerEntry): number => sign * (ratio?.ratio ?? Number.NaN);
  return [...places.values()].flatMap((here) => {
    const best = here.reduce((a, b) => (height(b) > height(a) ? b : a));
    return here.length === 1 ? [best] : [{...best, finding: `${best.finding}, the ${of} of ${here.length}`}];
  });
}

function judged(claim: Claim, reading: ClaimReading, cell: MeasuredCell, found: Compared): LedgerEntry {
  const {ratio, control, againstName, againstValue} = found;
  const {measure, across, scale} = reading;
  const device = cell.row.device ?? '';
  const elsewhere = !isExact(reading) && !matchesAny(claim.device, [device]);
  const [judgement, finding] = isExact(reading) ? exactVerdict(reading, ratio.ratio) : verdictOf(reading, ratio);
  const abroad = reading.ratio === undefined ? 'inconclusive' : ELSEWHERE[judgement];
  const verdict = elsewhere ? abroad : judgement;
  const twoRuns = control !== null && ratio.low !== null && control.row.run_id !== cell.row.run_id ? TWO_RUNS : '';
  const value = numberOrNull(cell.row[measure]);
  return {
    ...head(claim, reading),
    verdict,
    reason: elsewhere
      ? `checked on ${device}; the sentence is about ${aboutText(claim.device)}`
      : `${finding}${twoRuns}`,
    finding: `${finding}${twoRuns}`,
    ratio,
    value: value === null ? null : value * scale,
    againstValue,
    device,
    elsewhere,
    cell: `${nameOf(cell, across)}${reading.against_price === undefined ? '' : rentText(cell)}`,
    against: againstName,
    workload: cell.row.workload,
    caveats: [
      ...new Set([cell, ...(control === null ? [] : [control])].flatMap(({row}) => row.caveats?.split(' ') ?? [])),
    ].sort(),
    command: null,
  };
}

/** Ratios that the sentence allows. */
function bandOf({ratio: expected = 1, tolerance, at}: ClaimReading): {low: number; high: number} {
  return {
    low: at === 'at-most' ? 0 : at === 'at-least' ? expected : expected * (1 - tolerance),
    high: at === 'at-least' ? Number.POSITIVE_INFINITY : at === 'at-most' ? expected : expected * (1 + tolerance),
  };
}

function exactVerdict(reading: ClaimReading, ratio: number): [Verdict, string] {
  const {low, high} = bandOf(reading);
  const is = ratio >= low && ratio <= high;
  if (reading.price !== undefined) {
    return is ? ['reproduced', 'the two price lists say so'] : ['contradicted', 'the two price lists say otherwise'];
  }
  return is
    ? ['reproduced', 'bytes are counted, not timed: the same on every device']
    : ['contradicted', 'another count, and bytes are the same on every device'];
}

/** What a ratio on another device is worth: at most the direction, and nothing against the sentence. */
const ELSEWHERE: Readonly<Record<Verdict, Verdict>> = {
  reproduced: 'direction only',
  'direction only': 'direction only',
  contradicted: 'inconclusive',
  inconclusive: 'inconclusive',
  'not measured': 'not measured',
};

/** The interval speaks of rounds of two runs; what the host differs between runs is not in it. */
const TWO_RUNS = ', of two runs at different times';

/** Groups of columns that vary from round to round: a peak of memory does not. */
const TIMED: readonly string[] = ['speed', 'cost', 'power'];

/** As on the device that the sentence is about. */
function verdictOf(reading: ClaimReading, {ratio, low, high}: Ratio): [Verdict, string] {
  const band = bandOf(reading);
  if ((low === null || high === null) && TIMED.includes(COLUMNS[reading.measure].group)) {
    return ['inconclusive', 'no interval: one round, or no requests at hand'];
  }
  // A peak without an interval is taken at its word, but an effect must then exceed the smallest that matters.
  const [from, to] =
    low === null || high === null ? [ratio / (1 + SMALLEST_EFFECT), ratio * (1 + SMALLEST_EFFECT)] : [low, high];
  const inBand = ratio >= band.low && ratio <= band.high;
  const excludesBand = to < band.low || from > band.high;
  const {ratio: expected} = reading;
  if (expected === undefined) {
    if (inBand) return ['reproduced', 'the figure is the one it says'];
    return excludesBand
      ? ['contradicted', 'another figure']
      : ['inconclusive', 'the interval holds the figure, and others'];
  }
  const less = expected < 1;
  const direction = less ? to < 1 : from > 1;
  if (direction && inBand) return ['reproduced', 'the ratio is the one it says'];
  if (direction) return ['direction only', excludesBand ? 'of another size' : 'the size is not settled'];
  if (!excludesBand) return ['inconclusive', 'the interval holds what it says, and no effect'];
  const opposite = less ? from > 1 : to < 1;
  return ['contradicted', opposite ? 'the opposite effect' : 'no clear effect'];
}

function aboutText(meant: Claim['device']): string {
  const names = [meant].flat();
  return names.includes(HOSTED) ? 'a hosted service, whose hardware is not known' : names.join(', ');
}

function notMeasured(claim: Claim, reading: ClaimReading, cells: readonly MeasuredCell[], matrix: string): LedgerEntry {
  const hosted = [claim.device].flat().includes(HOSTED);
  const anywhere = isExact(reading);
  const onDevice = anywhere ? cells : cells.filter(({row}) => matchesAny(claim.device, [row.device ?? '']));
  const sides = reading.against === undefined ? (['cell'] as const) : (['cell', 'against'] as const);
  const rowsOf = (side: 'cell' | 'against') => onDevice.filter(({row}) => matchesCell(reading[side] ?? {}, row));
  const lacking = sides.filter((side) => rowsOf(side).every(({row}) => !hasFigure(row, reading.measure)));
  const [device] = [claim.device].flat();
  const where = anywhere ? '' : `on ${device}, `;
  const what = lacking.map((side) => (side === 'cell' ? 'the cell' : 'what it is compared with')).join(' and ');
  return {
    ...head(claim, reading),
    verdict: 'not measured',
    reason: hosted
      ? 'a hosted service: its hardware is not known'
      : lacking.length === 0
        ? `${where}no two cells share model and workload`
        : `${where}${what} ${lackText(lacking.length, lacking.some((side) => rowsOf(side).length === 0) ? null : reading.measure)}`,
    finding: '',
    ratio: null,
    value: null,
    againstValue: null,
    device: null,
    elsewhere: false,
    cell: null,
    against: null,
    workload: null,
    caveats: [],
    // Both sides, also where one was measured: only in one run are their rounds paired.
    command: measureCommand(matrix, {
      ...Object.fromEntries(MEASURED_KEYS.map((key) => [key, globsOf(key, reading, sides)])),
      device: anywhere || hosted ? null : (device ?? null),
    }),
  };
}

/** Keys of `--only` that a reading can name. */
const MEASURED_KEYS = ['model', 'format', 'runner', 'kernel', 'workload'] as const;

/**
 * One glob of each side, which together pick at least the cells of both; null where a side takes any. Of several the first:
 * the matrix may lack the others.
 */
function globsOf(
  key: (typeof MEASURED_KEYS)[number],
  reading: ClaimReading,
  sides: readonly ('cell' | 'against')[],
): readonly string[] | null {
  // What a cell is compared with has its model and workload, unless they are what is compared.
  const shared = (key === 'model' || key === 'workload') && !reading.across.includes(key) ? reading.cell?.[key] : [];
  const globs = sides.map((side) => [reading[side]?.[key] ?? shared ?? []].flat()[0]);
  return globs.every((glob) => glob !== undefined) ? [...new Set(globs)] : null;
}

/** @param measure The column that is empty; null: there are no rows at all. */
function lackText(sides: number, measure: string | null): string {
  if (measure === null) return sides === 1 ? 'was not run' : 'were not run';
  return `${sides === 1 ? 'has' : 'have'} no ${measure}`;
}

function head(claim: Claim, reading: ClaimReading) {
  return {
    claim: claim.id,
    sentence: claim.sentence,
    reading: reading.id,
    says: reading.says,
    measure: reading.measure,
    expected: reading.value ?? reading.ratio ?? 1,
    kind: reading.value === undefined ? ('ratio' as const) : ('figure' as const),
  };
}

/** Format and engine; of what the reading compares, the name of this side, too. */
function nameOf({row}: MeasuredCell, across: ClaimReading['across']): string {
  const {format, runner, kernel, dtype} = row;
  const compares = [across.includes('model') ? row.model : null, across.includes('workload') ? row.workload : null];
  return [...compares, format, runner, kernel, dtype].filter((part) => part !== null).join(' ');
}

function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}
