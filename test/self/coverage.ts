import {ratioOfRounds, ratioOfRuns} from '../../harness/claims/ratio.ts';
import {hierarchicalBootstrap, type Interval} from '../../harness/derive/bootstrap.ts';
import {medianInterval} from '../../harness/derive/median-interval.ts';
import {quantileRanks} from '../../harness/derive/order-statistics.ts';
import {ascending} from '../../harness/derive/quantile.ts';
import {quantileInterval} from '../../harness/derive/quantile-interval.ts';
import {normal, seededRandom} from '../../harness/derive/random.ts';
import {MIN_REQUESTS_P90} from '../../harness/derive/thresholds.ts';
import {
  draw,
  exponentialEffect,
  gamma,
  heavyEffect,
  lognormal,
  normalEffect,
  pareto,
  pauses,
  trueQuantile,
  type Variation,
  weibull,
} from './laws.ts';
import type {Figure, Section} from './section.ts';

/** The constants of the interval of a median were set on these. */
const CHOSEN_ON: readonly Variation[] = [
  {name: 'lognormal, σ 5 %', law: lognormal(0.05)},
  {name: 'lognormal, σ 50 % (skewness 1.8)', law: lognormal(0.5)},
  {name: 'gamma, shape 2', law: gamma(2)},
  {name: 'autocorrelated, ρ 0.3', law: lognormal(0.05), rho: 0.3},
  {name: 'autocorrelated, ρ 0.6', law: lognormal(0.05), rho: 0.6},
  {name: 'rounds differ by 0.3 σ', law: lognormal(0.05), effect: normalEffect(0.015)},
  {name: 'rounds differ by 1 σ', law: lognormal(0.05), effect: normalEffect(0.05)},
  {name: 'rounds differ by 3 σ', law: lognormal(0.02), effect: normalEffect(0.06)},
  {name: 'ρ 0.6 and rounds differ by 0.3 σ', law: lognormal(0.05), rho: 0.6, effect: normalEffect(0.015)},
];

/** Nothing was chosen on these: they say what the others can no longer say. */
const HELD_OUT: readonly Variation[] = [
  {name: 'gamma, shape 5', law: gamma(5)},
  {name: 'Weibull, shape 1.5', law: weibull(1.5)},
  {name: 'Weibull, shape 1.5, ρ 0.3', law: weibull(1.5), rho: 0.3},
  {name: 'Weibull, shape 1.5, ρ 0.6', law: weibull(1.5), rho: 0.6},
  {name: 'Pareto, shape 3', law: pareto(3)},
  {name: 'pauses: every sixth request takes 1.5 times as long', law: pauses(0.05, 1 / 6, 1.5)},
  {name: 'every round slows down by 10 %, σ 5 %', law: lognormal(0.05), drift: 0.1},
  {name: 'Weibull, rounds differ by 20 %', law: weibull(1.5), effect: normalEffect(0.2)},
  {name: 'rounds differ by 2 σ, heavy tails (t, 4 df)', law: lognormal(0.03), effect: heavyEffect(0.06)},
  {
    name: 'rounds are only ever slowed, by 2 σ (exponential)',
    law: lognormal(0.03),
    effect: exponentialEffect(0.06),
    oneSided: true,
  },
];

const SETS = [
  ['chosen on', CHOSEN_ON],
  ['held out', HELD_OUT],
] as const;

/** Rounds and requests of each. Of six rounds on the interval of a median supposes nothing of them, of 29 on that of a p90. */
const SHAPES = [
  [3, 22],
  [5, 13],
  [10, 10],
  [30, 10],
  [1, 64],
] as const;

type Estimate = 'median' | 'p90' | 'ratio of two runs' | 'ratio within a run' | 'ratio of three runs and one';
type Yardstick = 'median, hierarchical bootstrap' | 'p90, whole ranks';

export interface Coverage {
  readonly set: 'chosen on' | 'held out';
  readonly variation: string;
  readonly roundsDiffer: boolean;
  /** Rounds differ in a way that fewer than 29 cannot show. */
  readonly unseen: boolean;
  readonly rounds: number;
  readonly requests: number;
  readonly figure: Estimate | Yardstick;
  /** Share of the data sets whose 95 % interval holds the true value. */
  readonly coverage: number;
  /** Share whose whole interval lies below the true value. */
  readonly tooLow: number;
  /** Mean width of the interval, relative to the true value. */
  readonly width: number;
}

/**
 * How often the 95 % intervals of derive hold the truth, on data whose truth is known: the median and the p90 of a request
 * of any round, not only of those that were drawn. p50 and rates are medians of positive values and share one method: a rate
 * is a constant ÷ a time, and the interval of logarithms is the same.
 *
 * @param sets Data sets per case. Repeated runs get a tenth, and the bootstrap that was not chosen a fiftieth: they are slow.
 */
export function* coverageReport({sets = 10_000, seed = 1} = {}): Generator<Coverage> {
  for (const [rounds, requests] of SHAPES) {
    for (const [set, variations] of SETS) {
      for (const variation of variations) {
        for (const [figure, tally] of simulate(variation, rounds, requests, sets, seed)) {
          yield {
            set,
            variation: variation.name,
            roundsDiffer: variation.effect !== undefined,
            unseen: variation.oneSided === true && figure === 'p90' && rounds < MIN_REQUESTS_P90,
            rounds,
            requests,
            figure,
            ...tally.result(),
          };
        }
      }
    }
  }
}

function simulate(
  variation: Variation,
  rounds: number,
  requests: number,
  sets: number,
  seed: number,
): (readonly [Coverage['figure'], ReturnType<typeof tallyOf>])[] {
  const random = seededRandom(seed);
  const middle = trueQuantile(variation, 0.5, requests);
  const high = trueQuantile(variation, 0.9, requests);
  const median = tallyOf(middle);
  const p90 = tallyOf(high);
  const whole = tallyOf(high);
  const bootstrap = tallyOf(middle);
  const apart = tallyOf(1);
  const within = tallyOf(1);
  const repeated = tallyOf(1);
  for (let set = 0; set < sets; set++) {
    const data = draw(variation, random, rounds, requests);
    median.add(medianInterval(data));
    p90.add(quantileInterval(data, 0.9));
    whole.add(wholeRanks(data));
    if (set % 50 === 0) bootstrap.add(hierarchicalBootstrap(data, {seed: set, resamples: 400}));
    if (rounds < 2) continue;
    const other = draw(variation, random, rounds, requests);
    apart.add(boundsOf(ratioOfRounds(byRound(data), byRound(other), false)));
    if (set % 10 === 0) {
      // Every run has a day of its own: all of its rounds are faster or slower.
      const run = () => byRound(onDay(draw(variation, random, rounds, requests), Math.exp(DAYS * normal(random))));
      repeated.add(boundsOf(ratioOfRuns([run()], [run(), run(), run()])));
    }
    // The same drift for both, on top of what each varies by itself.
    const drift = data.map(() => Math.exp(0.1 * normal(random)));
    const drifting = (times: number[][]): number[][] =>
      times.map((values, round) => values.map((value) => value * (drift[round] ?? 1)));
    within.add(boundsOf(ratioOfRounds(byRound(drifting(data)), byRound(drifting(other)), true, {trimmed: true})));
  }
  return [
    ['median', median],
    ['p90', p90],
    ['p90, whole ranks', whole],
    ['median, hierarchical bootstrap', bootstrap],
    ...(rounds < 2
      ? []
      : ([
          ['ratio of two runs', apart],
          ['ratio within a run', within],
          ['ratio of three runs and one', repeated],
        ] as const)),
  ];
}

/** By how much the host differs from run to run, on the log scale: as much as was seen on a shared one. */
const DAYS = 0.1;

function onDay(rounds: readonly (readonly number[])[], day: number): number[][] {
  return rounds.map((values) => values.map((value) => value * day));
}

function byRound(data: readonly (readonly number[])[]): Map<number, readonly number[]> {
  return new Map(data.entries());
}

function boundsOf(ratio: ReturnType<typeof ratioOfRounds>): Interval | null {
  return ratio === null || ratio.low === null || ratio.high === null ? null : {low: ratio.low, high: ratio.high};
}

/** What textbooks give: as if all requests were independent, and with ranks that are whole. */
function wholeRanks(data: readonly (readonly number[])[]): Interval | null {
  const sorted = ascending(data.flat());
  const ranks = quantileRanks(sorted.length, 0.9);
  const [low, high] = ranks === null ? [] : [sorted[ranks.low - 1], sorted[ranks.high - 1]];
  return low === undefined || high === undefined ? null : {low, high};
}

function tallyOf(truth: number) {
  let n = 0;
  let hits = 0;
  let low = 0;
  let width = 0;
  return {
    /** No interval is no answer, not a wrong one. */
    add(interval: Interval | null): void {
      if (interval === null) return;
      n++;
      if (interval.low <= truth && truth <= interval.high) hits++;
      if (interval.high < truth) low++;
      width += (interval.high - interval.low) / truth;
    },
    result: () => ({coverage: hits / n, tooLow: low / n, width: width / n}),
  };
}

/** The section of `npm run bench:self`. */
export const coverageSection: Section = {
  name: 'coverage',
  doc: 'How often the 95 % intervals hold the truth, on simulated requests whose truth is known.',
  run({quick, log}) {
    const results: Coverage[] = [];
    for (const result of coverageReport({sets: quick ? 1000 : 10_000})) {
      log(`${groupOf(result)}; ${result.variation}: ${textOf(result)}`);
      results.push(result);
    }
    const names = [...new Set(results.map(groupOf))];
    return Promise.resolve(
      names.flatMap((what) =>
        figuresOf(
          what,
          results.filter((result) => groupOf(result) === what),
        ),
      ),
    );
  },
};

function groupOf({set, figure, rounds, requests, roundsDiffer, unseen}: Coverage): string {
  const blind =
    rounds === 1 && roundsDiffer ? ', where rounds differ' : unseen ? ', where rounds are only ever slowed' : '';
  return `${set}: ${figure}; ${rounds} × ${requests} requests${blind}`;
}

function textOf({coverage, tooLow, width}: Coverage): string {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  return `${percent(coverage)}, too low ${percent(tooLow)}, too high ${percent(1 - coverage - tooLow)}; width ${percent(width)}`;
}

/** One line for a figure over all distributions of its set, and one for each that lies outside of the goal. */
function figuresOf(what: string, group: readonly Coverage[]): Figure[] {
  const shares = group.map(({coverage}) => 100 * coverage);
  const value = `${Math.min(...shares).toFixed(1)}–${Math.max(...shares).toFixed(1)} % in ${group.length} distributions`;
  const without = noGoal(group);
  if (without !== null) return [{what, value, goal: `none: ${without}`, met: null}];
  const outside = group.filter(({coverage}) => coverage < 0.93 || coverage > 0.97);
  return [
    {what, value, goal: '93–97 % in each', met: outside.length === 0},
    ...outside.map(
      (result): Figure => ({what: `  outside: ${result.variation}`, value: textOf(result), goal: '', met: null}),
    ),
  ];
}

/** Where no goal is set, the reason is: nothing is left out of the table. */
function noGoal([first]: readonly Coverage[]): string | null {
  if (first === undefined) return null;
  if (first.figure === 'median, hierarchical bootstrap' || first.figure === 'p90, whole ranks') {
    return 'the method that was not chosen';
  }
  if (first.rounds === 1 && first.roundsDiffer) return 'one round cannot see what rounds differ (caveat one-round)';
  return first.unseen ? 'fewer than 29 rounds cannot show how slow their slowest tenth is' : null;
}
