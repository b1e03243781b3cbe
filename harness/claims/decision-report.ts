import type {Need} from '../contract/need.ts';
import type {ReportDecision, ReportTarget} from '../contract/report-data.ts';
import {formatBytes, formatSignificant} from '../contract/units.ts';
import type {Candidate} from './candidate.ts';
import type {Ceiling} from './ceiling.ts';
import {type Decision, PRICE_SWING, type PriceFlip, type Unpriced} from './decide.ts';
import type {Range} from './range.ts';
import {cellName, type DecisionRow} from './screen.ts';
import {measureCommand} from './select-cells.ts';

const LISTED = 3;

/** US dollars with their interval: `$1.23 (1.20 … 1.31)`. */
export function usd({low, value, high}: Range): string {
  const text = `$${formatSignificant(value)}`;
  return low === high ? text : `${text} (${formatSignificant(low)} … ${formatSignificant(high)})`;
}

const glob = (value: string | readonly string[]): string => (typeof value === 'string' ? value : value.join(', '));
/** As somebody wrote it: `800`, `0.5`, `100 000`. */
const given = (value: number): string => value.toLocaleString('en-US', {maximumFractionDigits: 6}).replaceAll(',', ' ');
const count = (value: number): string => value.toLocaleString('en-US', {maximumFractionDigits: 0}).replaceAll(',', ' ');

/** A demand for people, with a few digits. */
export function demandText(demand: number): string {
  return demand >= 100 ? count(Number(demand.toPrecision(3))) : formatSignificant(demand);
}

/** What the cells are of: `llama-3.2-1b, intent (200 + 24 tokens)`; empty where there are none. */
export function aboutInWords({models, workload}: Decision): string {
  if (workload === null) return '';
  const {name, prompt, generated} = workload;
  return `${models.length === 1 ? (models[0] ?? '') : `${models.length} models`}, ${name} (${prompt ?? '?'} + ${generated ?? '?'} tokens)`;
}

/** The need in words: `p90 ≤ 800 ms, 200 requests/h`. */
export function needInWords(need: Need): string {
  const {p90_ms: p90, ttft_ms: ttft, min_quality: quality, memory_bytes: memory, budget_usd_per_month: budget} = need;
  const batch = need.requests_per_run;
  return [
    p90 === undefined ? '' : `p90 ≤ ${given(p90)} ms`,
    ttft === undefined ? '' : `first token of 90 % ≤ ${given(ttft)} ms`,
    quality === undefined ? '' : `quality ≥ ${quality}`,
    memory === undefined ? '' : `memory ≤ ${formatBytes(memory)}`,
    budget === undefined ? '' : `budget ≤ $${given(budget)} a month`,
    need.requests_per_hour === undefined ? '' : `${given(need.requests_per_hour)} requests/h`,
    batch === undefined ? '' : `${given(batch)} requests a run, ${given(need.runs_per_month ?? 0)} runs a month`,
    need.finish_within_hours === undefined ? '' : `each within ${given(need.finish_within_hours)} h`,
    need.concurrency === 1 ? '' : `${need.concurrency} at once`,
    batch !== undefined || need.hours_per_month >= 730 ? '' : `${given(need.hours_per_month)} h a month`,
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
  const {recommended: best, runnerUp, tied, excluded, pricedTotal, verdict} = decision;
  if (verdict === 'no-price') return noPrice(decision);
  if (best === null) return nothingFits(decision);
  const price = `${usd(best.rank)} per 1 000 requests that meet the need`;
  if (verdict === 'undecided') {
    const names = tied.slice(0, LISTED).map((one) => `${one.name} at ${usd(one.rank)}`);
    const more = tied.length > LISTED ? ` and ${tied.length - LISTED} more` : '';
    return `Undecided: ${best.name} costs ${price}, and the measurement cannot tell it from ${names.join(', ')}${more}.`;
  }
  const cost = `Deploy ${best.name}, at ${price}`;
  if (runnerUp === null) {
    return `${cost}: the only one of ${pricedTotal + excluded.length} that meets it.`;
  }
  const same =
    best.offer.name === runnerUp.offer.name && best.usdPer1kRequests.value === runnerUp.usdPer1kRequests.value;
  if (same && best.p90Ms !== null && runnerUp.p90Ms !== null) {
    return `${cost}; ${runnerUp.name} costs the same, but has a p90 of ${formatSignificant(runnerUp.p90Ms.value)} ms instead of ${formatSignificant(best.p90Ms.value)} ms.`;
  }
  return `${cost}; the next, ${runnerUp.name}, costs ${formatSignificant(runnerUp.rank.value / best.rank.value)} times as much.`;
}

/** Meets the need as far as it was measured, and has no price: what one device can do, and what to give. */
function noPrice({unpriced, models}: Decision): string {
  const found = unpriced
    .slice(0, LISTED)
    .map((one) => `${cells(one.cells)} on ${one.device}, the fastest ${fastest(one, models.length)}`);
  const more = unpriced.length > LISTED ? ` and ${unpriced.length - LISTED} more devices` : '';
  return `Not priced: the need is met by ${found.join('; ')}${more}, and nothing says what an hour of ${unpriced.length === 1 ? 'it' : 'them'} costs.`;
}

const cells = (count: number): string => `${count} ${count === 1 ? 'cell' : 'cells'}`;

function fastest({best}: Unpriced, models: number): string {
  const p90 = best.latency_ms_p90 === null ? '' : ` with a p90 of ${formatSignificant(best.latency_ms_p90)} ms`;
  return `${cellName(best, models)}${p90}`;
}

/** Figures of a reason; `p90` is none. */
const FIGURES = /(?<![a-z\d.])\d[\d.]*/g;

function nothingFits({excluded, waiting}: Decision): string {
  const [first] = excluded;
  if (first === undefined) {
    return waiting.length === 0
      ? 'Nothing fits: the results hold no cell that the need is about.'
      : `Nothing fits: all ${waiting.length} cells wait for a device that was not measured.`;
  }
  // What was measured and missed a bound is nearer than what crashed or was not allowed.
  const missed = excluded.filter(({reason}) => /\b(?:above|below|more than)\b/.test(reason));
  const judged = missed.length > 0 ? missed : excluded;
  const reasons = new Map<string, number>();
  for (const {reason} of judged) {
    // Figures differ from cell to cell, what is wrong does not.
    const kind = reason.replace(FIGURES, '…');
    reasons.set(kind, (reasons.get(kind) ?? 0) + 1);
  }
  const [common = ['', 0]] = [...reasons].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  const figure = (reason: string): number => Number(reason.match(FIGURES)?.[0] ?? 0);
  // The one that misses by least says most.
  const [example = first] = judged
    .filter(({reason}) => reason.replace(FIGURES, '…') === common[0])
    .sort((a, b) => figure(a.reason) - figure(b.reason) || (a.name < b.name ? -1 : 1));
  const alike = common[1] === 1 ? '' : ` (${common[1] === excluded.length ? 'all' : common[1]} fail alike)`;
  return `Nothing fits: none of ${excluded.length} cells meets the need; nearest is ${example.name}: ${example.reason}${alike}.`;
}

/** How far the answer holds: what the measurement, prices and demand would have to do to change it. */
export function surety(decision: Decision): string {
  const {recommended: best, tied, priceFlips, verdict} = decision;
  if (verdict === 'no-price') return 'On one device the fastest is the cheapest; between devices a price decides.';
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

/** Of every device the cell with the highest ceiling, and how many have one. */
function highest(ceilings: readonly Ceiling[]): {readonly ceiling: Ceiling; readonly count: number}[] {
  const byDevice = new Map<string, {ceiling: Ceiling; count: number}>();
  // Ceilings are sorted, the highest first.
  for (const ceiling of ceilings) {
    const known = byDevice.get(ceiling.device);
    if (known === undefined) byDevice.set(ceiling.device, {ceiling, count: 1});
    else known.count++;
  }
  return [...byDevice.values()];
}

const atLeast = ({usdPer1mTokensAtLeast: least}: Ceiling): string =>
  least === null ? '' : `, so at least $${formatSignificant(least)} per 1M output tokens`;

/** What nobody measured, marked as such: of every device the cell with the highest ceiling, and how many there are. */
export function notMeasured({ceilings, waiting, unverified}: Decision): string[] {
  const withCeiling = highest(ceilings).map(({ceiling, count}) => {
    const {device, row, tokensPerS, impossible} = ceiling;
    const others = count === 1 ? '' : `, the highest of ${count} there`;
    const slow = impossible ? '; even that is too slow for the need' : '';
    return `${device}: ceiling (not a measurement) of ${row.format ?? '?'}${others}: ${formatSignificant(tokensPerS)} tokens/s${atLeast(ceiling)}${slow}`;
  });
  const apis = unverified.map(
    ({candidate, missing}) =>
      `${candidate.name}: ${usd(candidate.usdPer1kRequests)} per 1 000 requests, ${usd(candidate.usdPerMonth)} a month by list price of ${candidate.offer.date}; ${missing.join(' and ')} not measured`,
  );
  return [
    ...withCeiling,
    ...apis,
    ...(waiting.length > 0
      ? [waiting.length === 1 ? '1 cell waits for its device' : `${waiting.length} cells wait for their device`]
      : []),
  ];
}

/** The file and the keys by which `bench matrix` measures a cell. */
function commandFor(row: DecisionRow, wide: boolean): string {
  const {model, format, runner, device, workload} = row;
  const keys = wide ? {device, workload} : {model, format, runner, device, workload};
  return measureCommand(`matrices/${row.matrix ?? 'FILE'}.yaml`, keys);
}

/**
 * What would settle an answer that is none, or could change one: a price, more requests, more rounds, a device that nobody
 * measured and whose ceiling does not rule it out. Each with what to type.
 */
export function nextSteps(decision: Decision): string[] {
  const {verdict, recommended: best, tied, unpriced, fewRequests, ceilings, waitsFor, models} = decision;
  const prices = unpriced.map(
    (one) =>
      `${cells(one.cells)} on ${one.device} would do and have no price: add --price ${one.device}=USD (an hour), or an entry in prices.yaml`,
  );
  const [few] = fewRequests;
  const requests =
    few === undefined
      ? []
      : [
          `${cells(fewRequests.length)} had too few requests for a p90, the fastest is ${cellName(few, models.length)} on ${few.device ?? '?'}: ${commandFor(few, false)} --fresh --budget 300`,
        ];
  const row = best?.row ?? null;
  const rounds =
    tied.length === 0 || row === null
      ? []
      : [`more rounds narrow the intervals: ${commandFor(row, true)} --fresh --rounds 10`];
  const limit = best?.usdPer1mMetTokens?.value ?? null;
  const devices = highest(ceilings)
    .map(({ceiling}) => ceiling)
    .filter(({impossible, usdPer1mTokensAtLeast: least}) => {
      if (impossible) return false;
      return best === null || (limit !== null && least !== null && least < limit);
    })
    .sort((a, b) => (a.usdPer1mTokensAtLeast ?? Number.MAX_VALUE) - (b.usdPer1mTokensAtLeast ?? Number.MAX_VALUE));
  const measure = devices
    .slice(0, LISTED)
    .map((one) => `its ceiling does not rule out ${one.device}; there: ${commandFor(one.row, true)}`);
  // Of a device without a data sheet, or of a format that ran nowhere, there is no ceiling.
  const unknown = new Set(ceilings.map(({device}) => device));
  const blank =
    verdict === 'nothing-fits'
      ? waitsFor
          .filter(({device}) => !unknown.has(device ?? ''))
          .slice(0, LISTED)
          .map((one) => `nothing is known of ${String(one.device)}; there: ${commandFor(one, true)}`)
      : [];
  return [...prices, ...requests, ...rounds, ...measure, ...blank];
}

/** The decision as a report shows it. */
export function reportDecision(decision: Decision): ReportDecision {
  const {need, recommended, runnerUp, verdict, excluded} = decision;
  return {
    need: need.title ?? need.need,
    wants: [aboutInWords(decision), needInWords(need)].filter((text) => text !== '').join('; '),
    verdict,
    reason: reasonSentence(decision),
    recommended: recommended === null ? null : target(recommended),
    runnerUp: runnerUp === null ? null : target(runnerUp),
    sure: [
      surety(decision),
      ...breakEvenSentences(decision).map((text) => `${text[0]?.toUpperCase()}${text.slice(1)}.`),
    ].join(' '),
    notMeasured: notMeasured(decision),
    next: nextSteps(decision),
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
