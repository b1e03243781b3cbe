import type {DeviceEntry} from '../contract/device.ts';
import type {Need} from '../contract/need.ts';
import type {PricesFile} from '../contract/prices.ts';
import {formatSignificant} from '../contract/units.ts';
import {matchesAny} from '../plan/glob.ts';
import {type BreakEven, breakEven} from './break-even.ts';
import {
  atPrice,
  budgetReason,
  type Candidate,
  candidateOf,
  type Priced,
  priceApi,
  priceQuote,
  type Quote,
  quoteRow,
  type RequestFacts,
  tokensOf,
} from './candidate.ts';
import {type Ceiling, ceilings} from './ceiling.ts';
import {type MachineOffer, type Offer, offersByDevice} from './offer.ts';
import {overlap} from './range.ts';
import {cellName, type DecisionRow, type Excluded, type Screened, screenRows} from './screen.ts';

/** Prices are taken to move by this much either way. Ours: see prices.yaml on how much they do. */
export const PRICE_SWING = 0.3;

/** Cells whose requests are read and that are ranked: the cheapest, and the best of every device. */
const SHORTLIST = 64;

/** How many places are set against the best one. */
const MOST_BREAK_EVENS = 8;

/** An API that cannot be judged: its price is known, its speed or quality was not measured. */
export interface Unverified {
  readonly candidate: Candidate;
  /** Bounds of the need that nothing is known about. */
  readonly missing: readonly string[];
}

/** A device where cells meet the need, and nothing says what it costs. */
export interface Unpriced {
  readonly device: string;
  /** How many cells there meet every bound but that of cost. */
  readonly cells: number;
  /** The one that serves most requests a second: on one device the fastest is the cheapest. */
  readonly best: DecisionRow;
}

/** The first half of a decision, from rows alone: what requests must be read for the second. */
export interface Shortlist {
  readonly need: Need;
  readonly screened: Screened;
  readonly priced: readonly Priced[];
  /** All that were priced; `priced` are those ranked. */
  readonly pricedTotal: number;
  /** Screened out, or without a price, or above the budget. */
  readonly excluded: readonly Excluded[];
  readonly unpriced: readonly Unpriced[];
  readonly apis: readonly Priced[];
}

export interface PriceFlip {
  readonly name: string;
  /** It becomes the cheapest when its own price falls by 30 %. */
  readonly byItsFall: boolean;
  /** … or when that of the recommended one rises by 30 %. */
  readonly byOurRise: boolean;
}

export interface Decision {
  readonly need: Need;
  /** `no-price`: cells meet the need, and none of them has a price. */
  readonly verdict: 'recommended' | 'undecided' | 'no-price' | 'nothing-fits';
  readonly recommended: Candidate | null;
  readonly runnerUp: Candidate | null;
  /** Candidates that the measurement cannot tell from the recommended one, by cost. */
  readonly tied: readonly Candidate[];
  /** Ranked, the cheapest per met request first. */
  readonly candidates: readonly Candidate[];
  readonly pricedTotal: number;
  readonly excluded: readonly Excluded[];
  readonly unpriced: readonly Unpriced[];
  /** Cells with too few requests for the p90 that the need bounds, the fastest first. */
  readonly fewRequests: readonly DecisionRow[];
  readonly unverified: readonly Unverified[];
  readonly breakEvens: readonly BreakEven[];
  readonly priceFlips: readonly PriceFlip[];
  readonly ceilings: readonly Ceiling[];
  /** Cells that wait for their device. */
  readonly waiting: readonly string[];
  /** One of them for each device. */
  readonly waitsFor: readonly DecisionRow[];
  readonly models: readonly string[];
  readonly workload: Screened['workload'];
}

export interface DecideInput {
  readonly rows: readonly DecisionRow[];
  readonly need: Need;
  readonly prices: PricesFile;
}

/** A row's name among the facts about requests. */
export function factsKey(row: {readonly run_id: string | null; readonly cell_id: string | null}): string {
  return `${row.run_id ?? ''}/${row.cell_id ?? ''}`;
}

/**
 * Filters rows by a need and prices what is left.
 *
 * @throws {BenchError} NEED_INVALID, see {@link screenRows}.
 */
export function shortlist({rows, need, prices}: DecideInput): Shortlist {
  const screened = screenRows(rows, need);
  const offers = offersByDevice(prices);
  const apis = new Map(prices.apis.map((api) => [api.name, {kind: 'api', ...api} as const]));
  const excluded = [...screened.excluded];
  const allowed = (name: string): boolean => need.offers === undefined || matchesAny(need.offers, [name]);
  for (const [device, all] of offers)
    offers.set(
      device,
      all.filter(({name}) => allowed(name)),
    );
  const quotes: Quote[] = [];
  const unpriced: DecisionRow[] = [];
  for (const row of screened.kept) {
    const device = row.device ?? '';
    const quote = quoteRow(row, need, offers.get(device) ?? [], apis.get(device) ?? null);
    if ('offer' in quote) quotes.push(quote);
    else {
      if (quote.unpriced) unpriced.push(row);
      excluded.push({
        name: `${cellName(row, screened.models.length)} on ${device}`,
        reason: quote.reason,
        row: {run_id: row.run_id, cell_id: row.cell_id},
      });
    }
  }
  const measured = new Set(quotes.map(({offer}) => offer.name));
  return {
    need,
    screened,
    priced: cheapest(quotes).flatMap(({row, offer}) => {
      const priced = priceQuote(row, need, offer, screened.models.length);
      return typeof priced === 'string' ? [] : [priced];
    }),
    pricedTotal: quotes.length,
    excluded: excluded.sort(byName),
    unpriced: byDevice(unpriced),
    apis: [...apis.values()].filter((api) => !measured.has(api.name)).flatMap((api) => apiOf(api, need, screened)),
  };
}

function byDevice(rows: readonly DecisionRow[]): Unpriced[] {
  const found = new Map<string, {cells: number; best: DecisionRow}>();
  const speed = (row: DecisionRow): number => row.requests_per_s ?? 0;
  for (const row of rows) {
    const known = found.get(row.device ?? '');
    if (known === undefined) found.set(row.device ?? '', {cells: 1, best: row});
    else {
      known.cells++;
      const faster = speed(row) - speed(known.best);
      if (faster > 0 || (faster === 0 && factsKey(row) < factsKey(known.best))) known.best = row;
    }
  }
  return [...found].map(([device, one]) => ({device, ...one})).sort((a, b) => (a.device < b.device ? -1 : 1));
}

function byName(a: Excluded, b: Excluded): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return a.reason < b.reason ? -1 : a.reason > b.reason ? 1 : 0;
}

function apiOf(api: Extract<Offer, {kind: 'api'}>, need: Need, {workload}: Screened): Priced[] {
  const allowed = (patterns: Need['devices']) => patterns === undefined || matchesAny(patterns, [api.name]);
  if (!allowed(need.devices) || !allowed(need.offers)) return [];
  const tokens = tokensOf(
    workload === null ? null : {prompt_tokens: workload.prompt, generated_tokens: workload.generated},
    need,
  );
  const priced = priceApi(api, need, tokens, null);
  return typeof priced === 'string' || budgetReason(priced, need) !== null ? [] : [priced];
}

/** The cheapest of all, and the cheapest of every device. */
function cheapest(quotes: readonly Quote[]): Quote[] {
  const p90 = ({row}: Quote): number => row.latency_ms_p90 ?? Number.MAX_VALUE;
  const id = ({row, offer}: Quote): string => `${factsKey(row)}@${offer.name}`;
  const order = [...quotes].sort(
    (a, b) => a.usdPer1kLow - b.usdPer1kLow || p90(a) - p90(b) || (id(a) < id(b) ? -1 : 1),
  );
  const devices = new Set<string>();
  return order.filter(({row}, index) => {
    const first = !devices.has(row.device ?? '');
    devices.add(row.device ?? '');
    return first || index < SHORTLIST;
  });
}

/**
 * Which of two is the better: the cheaper per request that met the need, when their intervals do not touch. Two that are
 * paid alike (the same offer, as many machines) differ in nothing but speed: then the one that answers sooner.
 */
export function judgePair(a: Candidate, b: Candidate): 'first' | 'second' | 'undecided' {
  if (!overlap(a.rank, b.rank)) return a.rank.high < b.rank.low ? 'first' : 'second';
  if (!paidAlike(a, b) || a.p90Ms === null || b.p90Ms === null || overlap(a.p90Ms, b.p90Ms)) return 'undecided';
  return a.p90Ms.high < b.p90Ms.low ? 'first' : 'second';
}

function paidAlike(a: Candidate, b: Candidate): boolean {
  return (
    a.offer.name === b.offer.name &&
    a.usdPer1kRequests.low === b.usdPer1kRequests.low &&
    a.usdPer1kRequests.high === b.usdPer1kRequests.high
  );
}

/**
 * Decides: ranks what was priced by the cost of a request that met the need.
 *
 * @param facts Of the shortlisted rows, by {@link factsKey}; those without are ranked by their widest possible cost.
 */
export function decide(
  list: Shortlist,
  facts: ReadonlyMap<string, RequestFacts>,
  {prices, devices}: {readonly prices: PricesFile; readonly devices: readonly DeviceEntry[]},
): Decision {
  const {need, screened} = list;
  const excluded = [...list.excluded];
  const candidates: Candidate[] = [];
  for (const priced of list.priced) {
    const known = priced.row === null ? null : (facts.get(factsKey(priced.row)) ?? null);
    const reason = firstTokenReason(need, known);
    if (reason === null) candidates.push(candidateOf(priced, need, known));
    else excluded.push({name: priced.name, reason, row: priced.row});
  }
  const missing = unknownOfApis(need);
  const apis = list.apis.map((priced) => candidateOf(priced, need, null));
  if (missing.length === 0) candidates.push(...apis);
  candidates.sort(byRank);
  const best = bestOf(candidates);
  const others = candidates.filter((one) => one !== best);
  const tied = best === null ? [] : others.filter((one) => judgePair(best, one) === 'undecided');
  const offers: ReadonlyMap<string, readonly MachineOffer[]> = offersByDevice(prices);
  const rivals = best === null ? [] : bestOfPlaces([...others, ...(missing.length === 0 ? [] : apis)], best);
  return {
    need,
    verdict: verdictOf(best, tied, list),
    recommended: best,
    runnerUp: tied[0] ?? others[0] ?? null,
    tied,
    candidates: best === null ? [] : [best, ...others],
    pricedTotal: list.pricedTotal,
    excluded,
    unpriced: list.unpriced,
    fewRequests: screened.fewRequests,
    unverified: missing.length === 0 ? [] : apis.sort(byRank).map((candidate) => ({candidate, missing})),
    breakEvens: best === null ? [] : rivals.flatMap((rival) => breakEven(best, rival) ?? []),
    priceFlips: best === null ? [] : bestOfPlaces(others, best).flatMap((rival) => priceFlip(best, rival)),
    ceilings: ceilings(screened, need, devices, offers),
    waiting: [...new Set(screened.waiting.map((row) => `${cellName(row, 0)} on ${row.device}`))].sort(),
    waitsFor: [...new Map(screened.waiting.map((row) => [row.device, row])).values()].sort((a, b) =>
      (a.device ?? '') < (b.device ?? '') ? -1 : 1,
    ),
    models: screened.models,
    workload: screened.workload,
  };
}

function verdictOf(best: Candidate | null, tied: readonly Candidate[], {unpriced}: Shortlist): Decision['verdict'] {
  if (best === null) return unpriced.length > 0 ? 'no-price' : 'nothing-fits';
  return tied.length > 0 ? 'undecided' : 'recommended';
}

function firstTokenReason(need: Need, facts: RequestFacts | null): string | null {
  const [bound, high] = [need.ttft_ms, facts?.ttftMsP90High ?? null];
  if (bound === undefined || high === null || high <= bound) return null;
  return `p90 of the first token may be up to ${formatSignificant(high)} ms, above ${formatSignificant(bound)} ms`;
}

/** The bounds of a need that a price list says nothing about. */
function unknownOfApis(need: Need): string[] {
  return [
    ...(need.p90_ms === undefined ? [] : ['p90 latency']),
    ...(need.ttft_ms === undefined ? [] : ['time to first token']),
    ...(need.min_quality === undefined ? [] : ['quality']),
  ];
}

function byRank(a: Candidate, b: Candidate): number {
  return a.rank.value - b.rank.value || (a.p90Ms?.value ?? 0) - (b.p90Ms?.value ?? 0) || (a.id < b.id ? -1 : 1);
}

/** The first of the ranking, or one that is paid alike, no dearer as far as can be told, and answers sooner. */
function bestOf(ranked: readonly Candidate[]): Candidate | null {
  const [first] = ranked;
  if (first === undefined) return null;
  const alike = ranked.filter((one) => one === first || (paidAlike(first, one) && overlap(first.rank, one.rank)));
  const p90 = (one: Candidate): number => one.p90Ms?.value ?? Number.MAX_VALUE;
  return alike.reduce((best, one) => (p90(one) < p90(best) ? one : best), first);
}

/** Of each other offer, and of each other device, the best candidate. */
function bestOfPlaces(ranked: readonly Candidate[], best: Candidate): Candidate[] {
  const place = ({row, offer}: Candidate): string => `${row?.device ?? ''} ${offer.name}`;
  const seen = new Set([place(best)]);
  return ranked
    .filter((one) => {
      const isNew = !seen.has(place(one));
      seen.add(place(one));
      return isNew;
    })
    .slice(0, MOST_BREAK_EVENS);
}

function priceFlip(best: Candidate, rival: Candidate): PriceFlip[] {
  // One offer is one price: it moves for both.
  if (best.offer.name === rival.offer.name) return [];
  const byItsFall = atPrice(rival, 1 - PRICE_SWING).value < best.rank.value;
  const byOurRise = rival.rank.value < atPrice(best, 1 + PRICE_SWING).value;
  return byItsFall || byOurRise ? [{name: rival.name, byItsFall, byOurRise}] : [];
}
