import type {RequestRow} from '../contract/columns.ts';
import type {Need} from '../contract/need.ts';
import {formatSignificant} from '../contract/units.ts';
import {quantileInterval} from '../derive/quantile-interval.ts';
import {MIN_REQUESTS_P90} from '../derive/thresholds.ts';
import {timingOfRow, ttftUs} from '../derive/timing.ts';
import {wilsonInterval} from '../derive/wilson.ts';
import {type Deployment, deployApi, deployMachines, type ReplicaSpeed} from './deployment-cost.ts';
import {type MachineOffer, type Offer, usdPerBusyHour} from './offer.ts';
import {divideRanges, mapRange, pointRange, type Range, scaleRange} from './range.ts';
import {cellName, type DecisionRow} from './screen.ts';

/** A cell, or an API, with the offer by which it is paid for. */
export interface Priced {
  /** Of run, cell and offer: the same whatever the order of rows. */
  readonly id: string;
  readonly name: string;
  readonly offer: Offer;
  /** null: an API that was not measured. */
  readonly row: DecisionRow | null;
  readonly requestsPerS: Range | null;
  /** Tokens of an answer; null where neither the need nor the workload says. */
  readonly generatedTokens: number | null;
  /** At the nominal speed. */
  readonly deployment: Deployment;
  /** Over the interval of the speed. */
  readonly replicas: Range;
  readonly usdPerMonth: Range;
  readonly usdPer1kRequests: Range;
  /** What another demand would cost a month at the nominal speed; null where it cannot be done. */
  readonly usdPerMonthAt: (demand: number) => number | null;
}

/** What the requests of a cell say about a need. */
export interface RequestFacts {
  readonly requests: number;
  /** Requests that met every bound on time. */
  readonly met: number;
  /** Upper end of the 95 % interval of the p90 of the first token, ms; null without a bound or below 29 requests. */
  readonly ttftMsP90High: number | null;
}

export interface Candidate extends Priced {
  /** Share of requests that met the bounds on time; null where requests.csv is not at hand. */
  readonly metShare: Range | null;
  /** Requests that the share was counted on. */
  readonly metOf: number | null;
  readonly usdPer1kMet: Range | null;
  readonly usdPer1mMetTokens: Range | null;
  /** What candidates are ranked by: usdPer1kMet, or its widest possible range where the share is not known. */
  readonly rank: Range;
  readonly p90Ms: Range | null;
  readonly notes: readonly string[];
}

/** Counts the requests that met the bounds on time of a need. */
export function requestFacts(rows: readonly RequestRow[], need: Need): RequestFacts {
  let met = 0;
  let requests = 0;
  const ttft = new Map<number, number[]>();
  for (const row of rows) {
    if (row.latency_us === null) continue;
    requests++;
    const inTime = need.p90_ms === undefined || row.latency_us / 1000 <= need.p90_ms;
    const begun = need.ttft_ms === undefined || (row.ttft_us !== null && row.ttft_us / 1000 <= need.ttft_ms);
    if (inTime && begun) met++;
    const timing = need.ttft_ms === undefined ? null : timingOfRow(row);
    const first = timing === null ? null : ttftUs(timing);
    if (first === null || row.round === null) continue;
    const known = ttft.get(row.round);
    if (known === undefined) ttft.set(row.round, [first / 1000]);
    else known.push(first / 1000);
  }
  const rounds = [...ttft.values()];
  const enough = rounds.reduce((sum, values) => sum + values.length, 0) >= MIN_REQUESTS_P90;
  return {requests, met, ttftMsP90High: enough ? (quantileInterval(rounds, 0.9)?.high ?? null) : null};
}

/** The demand as a number that a break-even can be sought for: requests of an hour, or of a run. */
function withDemand(need: Need, demand: number): Need {
  return need.requests_per_run === undefined
    ? {...need, requests_per_hour: demand}
    : {...need, requests_per_run: demand};
}

/** The offer by which a cell is paid for most cheaply, and the least that a request can then cost. */
export interface Quote {
  readonly row: DecisionRow;
  readonly offer: Offer;
  /** At the upper end of the interval of its speed. */
  readonly usdPer1kLow: number;
}

/** Why a cell has no cost, or one that is above the budget. */
export interface Refusal {
  readonly reason: string;
  /** It meets the need as far as it was measured: what is missing is a price. */
  readonly unpriced: boolean;
}

/**
 * The cheapest way to pay for a cell: what is needed to sort very many of them.
 *
 * @param offers Of its device, those allowed.
 */
export function quoteRow(
  row: DecisionRow,
  need: Need,
  offers: readonly MachineOffer[],
  api: Extract<Offer, {kind: 'api'}> | null,
): Quote | Refusal {
  const refused = (reason: string): Refusal => ({reason, unpriced: false});
  if (api !== null && offers.length === 0) {
    const priced = priceApi(api, need, tokensOf(row, need), row);
    const reason = typeof priced === 'string' ? priced : budgetReason(priced, need);
    if (typeof priced === 'string' || reason !== null) return refused(reason ?? '');
    return {row, offer: api, usdPer1kLow: priced.usdPer1kRequests.low};
  }
  const speed = speedOf(row);
  let best: MachineOffer | null = null;
  let leastUsd = Number.POSITIVE_INFINITY;
  let problem = `no price for ${row.device ?? 'this device'}${need.offers === undefined ? '' : ' among the offers allowed'}`;
  let unpriced = need.offers === undefined;
  for (const offer of offers) {
    const at = deployMachines(need, replicaOf(row, speed.value), offer);
    if (typeof at === 'string') {
      problem = `${offer.name}: ${at}`;
      unpriced &&= usdPerBusyHour(offer) === null;
    } else if (per1k(at) < leastUsd) {
      best = offer;
      leastUsd = per1k(at);
    }
  }
  if (best === null) return {reason: problem, unpriced};
  const fastest = deployMachines(need, replicaOf(row, speed.high), best);
  if (typeof fastest === 'string') return refused(fastest);
  const slowest = need.budget_usd_per_month === undefined ? null : priceQuote(row, need, best, 1);
  if (typeof slowest === 'string') return refused(slowest);
  const reason = slowest === null ? null : budgetReason(slowest, need);
  return reason === null ? {row, offer: best, usdPer1kLow: Math.min(leastUsd, per1k(fastest))} : refused(reason);
}

/**
 * All that is known of the cost of a quote.
 *
 * @param models How many models are compared, see {@link cellName}.
 */
export function priceQuote(row: DecisionRow, need: Need, offer: Offer, models: number): Priced | string {
  if (offer.kind === 'api') return priceApi(offer, need, tokensOf(row, need), row);
  return priceMachine(row, need, offer, models);
}

/** Why a cost is above the budget of a need; judged by the upper end of its interval. */
export function budgetReason({usdPerMonth}: Pick<Priced, 'usdPerMonth'>, need: Need): string | null {
  const budget = need.budget_usd_per_month;
  if (budget === undefined || usdPerMonth.high <= budget) return null;
  return usdPerMonth.value > budget
    ? `costs $${formatSignificant(usdPerMonth.value)} a month, above $${formatSignificant(budget)}`
    : `may cost up to $${formatSignificant(usdPerMonth.high)} a month, above $${formatSignificant(budget)}`;
}

function replicaOf(row: DecisionRow, requestsPerS: number): ReplicaSpeed {
  return {
    requestsPerS,
    atOnce: (row.concurrency ?? 1) * (row.batch ?? 1),
    loadS: row.load_ms === null ? null : row.load_ms / 1000,
  };
}

function speedOf(row: DecisionRow): Range {
  const value = row.requests_per_s ?? 0;
  return {low: row.requests_per_s_ci_low ?? value, value, high: row.requests_per_s_ci_high ?? value};
}

function priceMachine(row: DecisionRow, need: Need, offer: MachineOffer, models: number): Priced | string {
  const speed = speedOf(row);
  const deploy = (wanted: Need, requestsPerS: number) => deployMachines(wanted, replicaOf(row, requestsPerS), offer);
  const [low, nominal, high] = [deploy(need, speed.low), deploy(need, speed.value), deploy(need, speed.high)];
  if (typeof nominal === 'string') return nominal;
  if (typeof low === 'string') return low;
  if (typeof high === 'string') return high;
  const over = (of: (deployment: Deployment) => number): Range => {
    const [a, b] = [of(low), of(high)];
    return {low: Math.min(a, b), value: of(nominal), high: Math.max(a, b)};
  };
  return {
    id: `${row.run_id ?? ''}/${row.cell_id ?? ''}@${offer.name}`,
    name: `${cellName(row, models)} on ${row.device ?? ''} (${offer.name})`,
    offer,
    row,
    requestsPerS: speed,
    generatedTokens: need.generated_tokens ?? row.generated_tokens,
    deployment: nominal,
    replicas: over(({replicas}) => replicas),
    usdPerMonth: over(({usdPerMonth}) => usdPerMonth),
    usdPer1kRequests: over(per1k),
    usdPerMonthAt: (demand) => {
      const at = deploy(withDemand(need, demand), speed.value);
      return typeof at === 'string' ? null : at.usdPerMonth;
    },
  };
}

function per1k({usdPerMonth, requestsPerMonth}: Deployment): number {
  return (usdPerMonth / requestsPerMonth) * 1000;
}

interface Tokens {
  readonly prompt: number;
  readonly generated: number;
}

/** Tokens of a request, from the need or else the workload; null where neither says. */
export function tokensOf(
  row: Pick<DecisionRow, 'prompt_tokens' | 'generated_tokens'> | null,
  need: Need,
): Tokens | null {
  const prompt = need.prompt_tokens ?? row?.prompt_tokens ?? null;
  const generated = need.generated_tokens ?? row?.generated_tokens ?? null;
  return prompt === null || generated === null ? null : {prompt, generated};
}

/** An API as a candidate; `row` where bench has measured it. */
export function priceApi(
  offer: Extract<Offer, {kind: 'api'}>,
  need: Need,
  tokens: Tokens | null,
  row: DecisionRow | null,
): Priced | string {
  if (tokens === null) return 'tokens of a request are not known: give prompt_tokens and generated_tokens';
  const deployment = deployApi(need, offer, tokens);
  return {
    id: `${row?.run_id ?? ''}/${row?.cell_id ?? ''}@${offer.name}`,
    name: row === null ? `${offer.name} (API)` : `${cellName(row, 0)} (API ${offer.name})`,
    offer,
    row,
    requestsPerS: row === null ? null : speedOf(row),
    generatedTokens: tokens.generated,
    deployment,
    replicas: pointRange(0),
    usdPerMonth: pointRange(deployment.usdPerMonth),
    usdPer1kRequests: pointRange(per1k(deployment)),
    usdPerMonthAt: (demand) => deployApi(withDemand(need, demand), offer, tokens).usdPerMonth,
  };
}

/** Bounds on time that a need has. */
const timeBounds = (need: Need): number => (need.p90_ms === undefined ? 0 : 1) + (need.ttft_ms === undefined ? 0 : 1);

/** What a priced cell costs per request that met the need. */
export function candidateOf(priced: Priced, need: Need, facts: RequestFacts | null): Candidate {
  const {row, usdPer1kRequests, generatedTokens: generated} = priced;
  const metShare = metShareOf(need, facts);
  const usdPer1kMet = metShare === null ? null : divideRanges(usdPer1kRequests, metShare);
  // Nine of ten requests met each of the bounds, or the cell would not have come this far.
  const least = 1 - 0.1 * timeBounds(need);
  return {
    ...priced,
    metShare,
    metOf: metShare === null ? null : (facts?.requests ?? null),
    usdPer1kMet,
    usdPer1mMetTokens: usdPer1kMet === null || generated === null ? null : scaleRange(usdPer1kMet, 1000 / generated),
    rank: usdPer1kMet ?? {...usdPer1kRequests, high: usdPer1kRequests.high / least},
    p90Ms: p90Of(row),
    notes: notesOn(priced, metShare === null, need),
  };
}

function metShareOf(need: Need, facts: RequestFacts | null): Range | null {
  if (timeBounds(need) === 0) return pointRange(1);
  if (facts === null || facts.requests === 0 || facts.met === 0) return null;
  const interval = wilsonInterval(facts.met, facts.requests);
  const value = facts.met / facts.requests;
  return {low: interval?.low ?? value, value, high: interval?.high ?? value};
}

function p90Of(row: DecisionRow | null): Range | null {
  const value = row?.latency_ms_p90 ?? null;
  return value === null
    ? null
    : {low: row?.latency_ms_p90_ci_low ?? value, value, high: row?.latency_ms_p90_ci_high ?? value};
}

function notesOn({row, offer, deployment, requestsPerS}: Priced, shareUnknown: boolean, need: Need): string[] {
  const notes: string[] = [];
  if (offer.title !== undefined) notes.push(`${offer.name}: ${offer.title}`);
  if (offer.kind === 'rental') {
    if (offer.billing === null) notes.push(`minimum billing of ${offer.name} is not known`);
    const spare =
      offer.devices_per_machine - (deployment.replicas % offer.devices_per_machine || offer.devices_per_machine);
    if (spare > 0) notes.push(`rented by ${offer.devices_per_machine}: ${spare} of them idle, but paid`);
  }
  if (offer.kind === 'owned' && offer.purchase_usd === 0) notes.push('the purchase counts as already paid for');
  if (row === null) return notes;
  if (shareUnknown) notes.push('requests.csv is not at hand: the share of requests that met the need is not known');
  if (requestsPerS !== null && requestsPerS.low === requestsPerS.high) notes.push('its speed has no interval');
  if (row.load_ms === null) notes.push('loading was not measured and is not in the cost');
  if (need.ttft_ms !== undefined && shareUnknown) notes.push('the first token is judged without its interval');
  if (row.caveats !== null) notes.push(`caveats: ${row.caveats.replaceAll(/=\S*/g, '')}`);
  return notes;
}

/** The share of the cost that follows a price: all of it. */
export function atPrice(candidate: Candidate, factor: number): Range {
  return mapRange(candidate.rank, (usd) => usd * factor);
}
