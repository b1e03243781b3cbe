import type {Claim, ClaimReading, ClaimsFile} from '../contract/claim.ts';
import {SMALLEST_EFFECT} from '../derive/thresholds.ts';
import {matchesAny} from '../plan/glob.ts';
import type {MeasuredCell} from './measured-cell.ts';
import {type Ratio, ratioOf} from './ratio.ts';
import {controlOf, matchesCell, measureCommand} from './select-cells.ts';

export type Verdict = 'reproduced' | 'direction only' | 'contradicted' | 'inconclusive' | 'not measured';

/** What one reading of one sentence says of one pair of cells. */
export interface LedgerEntry {
  readonly claim: string;
  readonly sentence: string;
  readonly reading: string;
  readonly says: string;
  readonly measure: string;
  readonly expected: number;
  readonly verdict: Verdict;
  /** One clause: why this verdict. */
  readonly reason: string;
  readonly ratio: Ratio | null;
  /** The two figures. */
  readonly value: number | null;
  readonly againstValue: number | null;
  /** The device it was checked on; null when not measured. */
  readonly device: string | null;
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
 */
export function claimsLedger({sentences, matrix}: ClaimsFile, cells: readonly MeasuredCell[]): LedgerEntry[] {
  const usable = cells.filter(({row}) => row.status === 'ok');
  return sentences.flatMap((claim) => claim.readings.flatMap((reading) => entriesOf(claim, reading, usable, matrix)));
}

function entriesOf(claim: Claim, reading: ClaimReading, cells: readonly MeasuredCell[], matrix: string): LedgerEntry[] {
  const controls = cells.filter(({row}) => matchesCell(reading.against, row) && row[reading.measure] !== null);
  const entries = cells
    .filter(({row}) => matchesCell(reading.cell, row) && row[reading.measure] !== null)
    .flatMap((cell) => {
      const control = controlOf(cell, controls);
      const ratio = control === null ? null : ratioOf(reading.measure, cell, control);
      return control === null || ratio === null ? [] : [judged(claim, reading, cell, control, ratio)];
    });
  // A claim that was checked elsewhere still lacks its own device.
  const own = entries.some(({device}) => device !== null && matchesAny(claim.device, [device]));
  const kept = reading.of === 'each' ? entries : extremes(entries, reading.of);
  return own ? kept : [...kept, notMeasured(claim, reading, cells, matrix)];
}

/** Per device and workload the entry that "up to" speaks of. */
function extremes(entries: readonly LedgerEntry[], of: 'highest' | 'lowest'): LedgerEntry[] {
  const best = new Map<string, LedgerEntry>();
  const sign = of === 'highest' ? 1 : -1;
  for (const entry of entries) {
    const key = `${entry.device} ${entry.workload}`;
    const known = best.get(key);
    const value = sign * (entry.ratio?.ratio ?? Number.NaN);
    if (known === undefined || value > sign * (known.ratio?.ratio ?? Number.NaN)) best.set(key, entry);
  }
  return [...best.values()];
}

function judged(
  claim: Claim,
  reading: ClaimReading,
  cell: MeasuredCell,
  control: MeasuredCell,
  ratio: Ratio,
): LedgerEntry {
  const device = cell.row.device ?? '';
  const [verdict, reason] = verdictOf(reading, ratio, matchesAny(claim.device, [device]), device, claim.device);
  const number = (value: unknown): number | null => (typeof value === 'number' ? value : null);
  return {
    ...head(claim, reading),
    verdict,
    reason,
    ratio,
    value: number(cell.row[reading.measure]),
    againstValue: number(control.row[reading.measure]),
    device,
    cell: nameOf(cell),
    against: nameOf(control),
    workload: cell.row.workload,
    caveats: [...new Set([cell, control].flatMap(({row}) => row.caveats?.split(' ') ?? []))].sort(),
    command: null,
  };
}

function verdictOf(
  {ratio: expected, tolerance, at}: ClaimReading,
  {ratio, low, high}: Ratio,
  ownDevice: boolean,
  device: string,
  meant: Claim['device'],
): [Verdict, string] {
  const band = {
    low: at === 'at-most' ? 0 : at === 'at-least' ? expected : expected * (1 - tolerance),
    high: at === 'at-least' ? Number.POSITIVE_INFINITY : at === 'at-most' ? expected : expected * (1 + tolerance),
  };
  // A figure without an interval is taken at its word, but an effect must then exceed the smallest that matters.
  const [from, to] =
    low === null || high === null ? [ratio / (1 + SMALLEST_EFFECT), ratio * (1 + SMALLEST_EFFECT)] : [low, high];
  const less = expected < 1;
  const direction = less ? to < 1 : from > 1;
  const inBand = ratio >= band.low && ratio <= band.high;
  const excludesBand = to < band.low || from > band.high;
  const elsewhere = `checked on ${device}; the sentence is about ${[meant].flat().join(', ')}`;
  if (!ownDevice) return direction ? ['direction only', elsewhere] : ['inconclusive', elsewhere];
  if (direction && inBand) return ['reproduced', 'the ratio is the one it says'];
  if (direction) return ['direction only', excludesBand ? 'of another size' : 'the size is not settled'];
  if (excludesBand) return ['contradicted', less === ratio < 1 ? 'no clear effect' : 'the opposite effect'];
  return ['inconclusive', 'the interval holds what it says, and no effect'];
}

function notMeasured(claim: Claim, reading: ClaimReading, cells: readonly MeasuredCell[], matrix: string): LedgerEntry {
  const onDevice = cells.filter(({row}) => matchesAny(claim.device, [row.device ?? '']));
  const lacking = (['cell', 'against'] as const).filter(
    (side) => !onDevice.some(({row}) => matchesCell(reading[side], row) && row[reading.measure] !== null),
  );
  const [first] = lacking;
  const {model, format, runner, kernel, workload} = reading[first ?? 'cell'];
  const [device] = [claim.device].flat();
  const keys = {model, format, runner, kernel, workload, device};
  const known = Object.fromEntries(Object.entries(keys).map(([key, value]) => [key, value ?? null]));
  return {
    ...head(claim, reading),
    verdict: 'not measured',
    reason:
      lacking.length === 0
        ? `on ${device}, no two cells share model and workload`
        : `on ${device}, ${lacking.map((side) => (side === 'cell' ? 'the cell' : 'what it is compared with')).join(' and ')} has no ${reading.measure}`,
    ratio: null,
    value: null,
    againstValue: null,
    device: null,
    cell: null,
    against: null,
    workload: null,
    caveats: [],
    command: measureCommand(matrix, known),
  };
}

function head(claim: Claim, reading: ClaimReading) {
  return {
    claim: claim.id,
    sentence: claim.sentence,
    reading: reading.id,
    says: reading.says,
    measure: reading.measure,
    expected: reading.ratio,
  };
}

function nameOf({row}: MeasuredCell): string {
  return [row.format, row.runner, row.kernel, row.dtype].filter((part) => part !== null).join(' ');
}
