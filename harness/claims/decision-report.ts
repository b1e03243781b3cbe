import type {Need} from '../contract/need.ts';
import type {ReportDecision, ReportTarget} from '../contract/report-data.ts';
import {formatBytes, formatSignificant} from '../contract/units.ts';
import type {Candidate} from './candidate.ts';
import {type Decision, PRICE_SWING, type PriceFlip} from './decide.ts';
import type {Range} from './range.ts';

const LISTED = 3;

/** US dollars with their interval: `$1.23 (1.20 … 1.31)`. */
export function usd({low, value, high}: Range): string {
  const text = `$${formatSignificant(value)}`;
  return low === high ? text : `${text} (${formatSignificant(low)} … ${formatSignificant(high)})`;
}

const glob = (value: string | readonly string[]): string => (typeof value === 'string' ? value : value.join(', '));
const count = (value: number): string => value.toLocaleString('en-US', {maximumFractionDigits: 0}).replaceAll(',', ' ');

/** A demand for people, with a few digits. */
export function demandText(demand: number): string {
  return demand >= 100 ? count(Number(demand.toPrecision(3))) : formatSignificant(demand);
}

/** The need in words: `p90 ≤ 800 ms, 200 requests/h`. */
export function needInWords(need: Need): string {
  const {p90_ms: p90, ttft_ms: ttft, min_quality: quality, memory_bytes: memory, budget_usd_per_month: budget} = need;
  const batch = need.requests_per_run;
  return [
    p90 === undefined ? '' : `p90 ≤ ${formatSignificant(p90)} ms`,
    ttft === undefined ? '' : `first token of 90 % ≤ ${formatSignificant(ttft)} ms`,
    quality === undefined ? '' : `quality ≥ ${quality}`,
    memory === undefined ? '' : `memory ≤ ${formatBytes(memory)}`,
    budget === undefined ? '' : `budget ≤ $${formatSignificant(budget)} a month`,
    need.requests_per_hour === undefined ? '' : `${count(need.requests_per_hour)} requests/h`,
    batch === undefined
      ? ''
      : `${count(batch)} requests a run, ${formatSignificant(need.runs_per_month ?? 0)} runs a month`,
    need.finish_within_hours === undefined ? '' : `each within ${formatSignificant(need.finish_within_hours)} h`,
    need.concurrency === 1 ? '' : `${need.concurrency} at once`,
    batch !== undefined || need.hours_per_month >= 730 ? '' : `${formatSignificant(need.hours_per_month)} h a month`,
    need.devices === undefined ? '' : `devices ${glob(need.devices)}`,
    need.offers === undefined ? '' : `offers ${glob(need.offers)}`,
  ]
    .filter((text) => text !== '')
    .join(', ');
}

/** What a candidate costs, in one line. */
export function costInWords(candidate: Candidate): string {
  const {replicas, usdPerMonth, usdPer1kMet, usdPer1kRequests, deployment, offer} = candidate;
  const machines = offer.kind === 'api' ? '' : `, ${replicas.value} ${replicas.value === 1 ? 'machine' : 'machines'}`;
  const idle =
    deployment.idleShare === null ? '' : `, ${Math.round(deployment.idleShare * 100)} % of the paid time idle`;
  const per =
    usdPer1kMet === null
      ? `${usd(usdPer1kRequests)} per 1 000 requests`
      : `${usd(usdPer1kMet)} per 1 000 requests that met the need`;
  return `${usd(usdPerMonth)} a month${machines}${idle}; ${per}; price of ${offer.date}`;
}

/** Why, in one sentence. */
export function reasonSentence(decision: Decision): string {
  const {recommended: best, runnerUp, tied, excluded, pricedTotal} = decision;
  if (best === null) return nothingFits(decision);
  const cost = `${best.name} serves the need at ${usd(best.rank)} per 1 000 requests that meet it`;
  if (decision.verdict === 'undecided') {
    const names = tied.slice(0, LISTED).map((one) => `${one.name} at ${usd(one.rank)}`);
    const more = tied.length > LISTED ? ` and ${tied.length - LISTED} more` : '';
    return `Undecided: ${cost}, but the measurement cannot tell it from ${names.join(', ')}${more}.`;
  }
  if (runnerUp === null) {
    return `${cost}: the only one of ${pricedTotal + excluded.length} that meets it.`;
  }
  const same =
    best.offer.name === runnerUp.offer.name && best.usdPer1kRequests.value === runnerUp.usdPer1kRequests.value;
  if (same && best.p90Ms !== null && runnerUp.p90Ms !== null) {
    return `${cost}; ${runnerUp.name} costs the same, but has a p90 of ${formatSignificant(runnerUp.p90Ms.value)} ms instead of ${formatSignificant(best.p90Ms.value)} ms.`;
  }
  return `${cost}; the next, ${runnerUp.name}, costs × ${formatSignificant(runnerUp.rank.value / best.rank.value)}.`;
}

function nothingFits({excluded, waiting}: Decision): string {
  const [first] = excluded;
  if (first === undefined) {
    return waiting.length === 0
      ? 'Nothing fits: the results hold no cell that the need is about.'
      : `Nothing fits: all ${waiting.length} cells wait for a device that was not measured.`;
  }
  const reasons = new Map<string, number>();
  for (const {reason} of excluded) {
    // Figures differ from cell to cell, what is wrong does not.
    const kind = reason.replace(/\d[\d.]*/g, '…');
    reasons.set(kind, (reasons.get(kind) ?? 0) + 1);
  }
  const [common = ['', 0]] = [...reasons].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  const figure = (reason: string): number => Number(/\d[\d.]*/.exec(reason)?.[0] ?? 0);
  // The one that misses by least says most.
  const [example = first] = excluded
    .filter(({reason}) => reason.replace(/\d[\d.]*/g, '…') === common[0])
    .sort((a, b) => figure(a.reason) - figure(b.reason) || (a.name < b.name ? -1 : 1));
  return `Nothing fits: none of ${excluded.length} cells; most often (${common[1]}) because, as for ${example.name}, ${example.reason}.`;
}

/** How far the answer holds: what the measurement, prices and demand would have to do to change it. */
export function surety(decision: Decision): string {
  const {recommended: best, tied, priceFlips} = decision;
  if (best === null) return 'Every bound was judged by the unfavourable end of its interval.';
  const measured =
    tied.length === 0
      ? 'The intervals of the measurement do not touch those of any other candidate.'
      : `The intervals of ${tied.length} other ${tied.length === 1 ? 'candidate' : 'candidates'} reach into its own.`;
  const swing = Math.round(PRICE_SWING * 100);
  const prices =
    priceFlips.length === 0
      ? `Prices ${swing} % higher or lower do not change the answer.`
      : `A price that moves by ${swing} % can change it: ${priceFlips
          .slice(0, LISTED)
          .map((flip) => `${flip.name} ${flipWords(flip)}`)
          .join('; ')}.`;
  return `${measured} ${prices}`;
}

function flipWords(flip: PriceFlip): string {
  return flip.byItsFall ? 'falling' : 'staying while ours rises';
}

/** Break-even demands as sentences: `below 312 requests/h X is cheaper than Y`. */
export function breakEvenSentences({breakEvens, need}: Decision): string[] {
  const unit = need.requests_per_run === undefined ? 'requests/h' : 'requests a run';
  return breakEvens.map(({a, b, cheaperBelow, demand}) => {
    const other = cheaperBelow === a ? b : a;
    return demand === null
      ? `at every demand, ${cheaperBelow} is cheaper than ${other}`
      : `below ${demandText(demand)} ${unit}, ${cheaperBelow} is cheaper than ${other}`;
  });
}

/** What nobody measured, marked as such: of every device the cell with the highest ceiling, and how many there are. */
export function notMeasured({ceilings, waiting, unverified}: Decision): string[] {
  const counts = new Map<string, number>();
  for (const {device} of ceilings) counts.set(device, (counts.get(device) ?? 0) + 1);
  const withCeiling = ceilings.flatMap(({name, device, tokensPerS, usdPer1mTokensAtLeast, impossible}) => {
    const count = counts.get(device);
    // Ceilings are sorted, the highest first.
    if (count === undefined) return [];
    counts.delete(device);
    const others = count === 1 ? '' : `; the ceilings of ${count - 1} more cells there are no higher`;
    return [
      `${name}: not measured; ceiling (not a measurement) ${formatSignificant(tokensPerS)} tokens/s${
        usdPer1mTokensAtLeast === null
          ? ''
          : `, so at least $${formatSignificant(usdPer1mTokensAtLeast)} per 1M output tokens`
      }${impossible ? '; even that is too slow for the need' : ''}${others}`,
    ];
  });
  const apis = unverified.map(
    ({candidate, missing}) =>
      `${candidate.name}: ${usd(candidate.usdPer1kRequests)} per 1 000 requests, ${usd(candidate.usdPerMonth)} a month by list price of ${candidate.offer.date}; ${missing.join(' and ')} not measured`,
  );
  return [...withCeiling, ...apis, ...(waiting.length > 0 ? [`${waiting.length} cells wait for their device`] : [])];
}

/** The decision as a report shows it. */
export function reportDecision(decision: Decision): ReportDecision {
  const {need, recommended, runnerUp, verdict, excluded} = decision;
  return {
    need: need.title ?? need.need,
    wants: needInWords(need),
    verdict,
    reason: reasonSentence(decision),
    recommended: recommended === null ? null : target(recommended),
    runnerUp: runnerUp === null ? null : target(runnerUp),
    sure: [
      surety(decision),
      ...breakEvenSentences(decision).map((text) => `${text[0]?.toUpperCase()}${text.slice(1)}.`),
    ].join(' '),
    notMeasured: notMeasured(decision),
    excluded: excluded.map(({name, reason}) => ({name, reason})),
  };
}

function target(candidate: Candidate): ReportTarget {
  const {row} = candidate;
  return {
    name: candidate.name,
    cost: costInWords(candidate),
    row: row === null ? null : {run_id: row.run_id, cell_id: row.cell_id},
  };
}
