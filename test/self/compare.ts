import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {execa} from 'execa';
import {type Comparison, compareCells, compareWithin} from '../../harness/claims/compare.ts';
import type {MeasuredCell} from '../../harness/claims/measured-cell.ts';
import {PACKAGE_ROOT} from '../../harness/cli/package-root.ts';
import {cellsOf, readRuns} from '../../harness/cli/read-runs.ts';
import {RUN_DRIFT} from '../../harness/derive/thresholds.ts';
import {wilsonInterval} from '../../harness/derive/wilson.ts';
import {runnerHost} from '../support/runner-host.ts';
import type {Figure, Section, SelfContext} from './section.ts';

const DIST = join(PACKAGE_ROOT, 'dist');
const WORKER = fileURLToPath(new URL('../fixtures/workers/slowed.mjs', import.meta.url));
const SLOWDOWN = 0.05;
const ROUNDS = 30;
const REQUESTS = 12;
/** The same worker three times, under names of its own; the third decodes slower. */
const ARMS = {base: 0, again: 0, slowed: SLOWDOWN} as const;
type Arm = keyof typeof ARMS;

/**
 * A/A and power of `bench compare --between`, on real runs of this machine: each run measures three engines in turn,
 * round by round. Two are the same, and must not differ; the third decodes 5 % slower, which must be found.
 *
 * What counts as a false alarm is what a gate sees: a pair in which any of its comparisons is called faster or slower
 * (they are corrected for their number within the pair, not beyond it). Ten pairs cannot show that alarms are rarer than
 * 5 %: the interval of the share is printed beside it.
 *
 * The runs follow each other, and each is compared with others, too, as one does that keeps old results: one run against
 * one, which allows for what the host may drift; as if it were steady (`--steady-host`), which shows why; and one run
 * against the three before it.
 */
export const comparing: Section = {
  name: 'compare',
  doc: 'bench compare on this machine: false alarms between equal engines, and a 5 % slowdown that must be found',
  async run(context) {
    const pairs = context.quick ? 10 : 20;
    const folder = mkdtempSync(join(tmpdir(), 'bench-self-'));
    try {
      const matrix = join(folder, 'compare.yaml');
      writeFileSync(matrix, matrixText());
      const runs: MeasuredCell[][] = [];
      for (let pair = 0; pair < pairs; pair++) {
        const run = await measured(matrix, context);
        context.log(
          `pair ${pair + 1} of ${pairs}: equal ${words(within(run, 'again'))}; slowed ${words(within(run, 'slowed'))}`,
        );
        runs.push(run);
      }
      return [...withinRuns(runs), ...acrossRuns(runs)];
    } finally {
      rmSync(folder, {recursive: true, force: true});
    }
  },
};

function withinRuns(runs: readonly MeasuredCell[][]): Figure[] {
  const equal = runs.map((run) => within(run, 'again'));
  const slower = runs.map((run) => within(run, 'slowed'));
  const alarms = equal.filter((pair) => pair.some(isAlarm)).length;
  const of = (metric: Comparison['metric']) => slower.flat().filter((one) => one.metric === metric);
  const decodes = of('decode_tokens_per_s');
  const found = decodes.filter(({change}) => change === 'slower').length;
  const gated = slower.filter((pair) => pair.some(({change}) => change === 'slower')).length;
  // Prefill was left alone: there, a difference is a false alarm as well.
  const prefills = of('prefill_tokens_per_s');
  return [
    {
      what: 'equal engines, in turn: pairs with a false alarm',
      value: share(alarms, equal.length),
      goal: '≤ 5 %, ≥ 10 pairs',
      met: alarms / equal.length <= 0.05,
    },
    {
      what: 'equal engines, in turn: comparisons called faster or slower',
      value: share(equal.flat().filter(isAlarm).length, equal.flat().length),
      goal: '≤ 5 %',
      met: equal.flat().filter(isAlarm).length / equal.flat().length <= 0.05,
    },
    {
      what: 'decoding 5 % slower: prefill, which was left alone, called faster or slower',
      value: share(prefills.filter(isAlarm).length, prefills.length),
      goal: '',
      met: null,
    },
    {
      what: 'decoding 5 % slower: found, per cell of a pair',
      value: share(found, decodes.length),
      goal: '≥ 90 %, ≥ 10 pairs',
      met: found / decodes.length >= 0.9,
    },
    {
      what: 'decoding 5 % slower: pairs that --fail-on slower stops',
      value: share(gated, slower.length),
      goal: '≥ 90 %, ≥ 10 pairs',
      met: gated / slower.length >= 0.9,
    },
    {
      what: 'decoding 5 % slower: ratio that was measured',
      value: range(decodes.map(({ratio}) => ratio.ratio)),
      goal: '0.952',
      met: null,
    },
    {
      what: 'equal engines, in turn: ratio that was measured',
      value: range(equal.flat().map(({ratio}) => ratio.ratio)),
      goal: '1',
      met: null,
    },
    {
      what: 'equal engines, in turn: half width of the 95 % interval',
      value: range(equal.flat().map(({ratio}) => Math.log((ratio.high ?? ratio.ratio) / ratio.ratio))),
      goal: '',
      met: null,
    },
  ];
}

/** The same cells of runs at different times. Pairs of runs have runs in common: their shares tell less than it seems. */
function acrossRuns(runs: readonly MeasuredCell[][]): Figure[] {
  const twos = runs.flatMap((base, index) => runs.slice(index + 1).map((now) => [base, now] as const));
  const single = twos.map(([base, now]) => across(base, now));
  const trusting = twos.map(([base, now]) => across(base, now, 0));
  const replicated = runs.slice(3).map((now, index) => across(runs.slice(index, index + 3).flat(), now));
  const alarms = (family: readonly Comparison[][]): number => family.filter((pair) => pair.some(isAlarm)).length;
  return [
    {
      what: 'runs at different times: ratio of equal engines',
      value: range(single.flat().map(({ratio}) => ratio.ratio)),
      goal: '1',
      met: null,
    },
    {
      what: 'one run against one, allowing for 30 % of drift: pairs with a false alarm',
      value: share(alarms(single), single.length),
      goal: '≤ 5 %',
      met: alarms(single) / single.length <= 0.05,
    },
    {
      what: 'one run against one, --steady-host: pairs with a false alarm',
      value: share(alarms(trusting), trusting.length),
      goal: 'none: what the host does between runs',
      met: null,
    },
    {
      what: 'one run against the three before it: pairs with a false alarm',
      value: share(alarms(replicated), replicated.length),
      goal: '≤ 5 %',
      met: alarms(replicated) / replicated.length <= 0.05,
    },
    {
      what: 'one run against the three before it: half width of the 95 % interval',
      value: range(replicated.flat().map(({ratio}) => Math.log((ratio.high ?? Number.NaN) / ratio.ratio))),
      goal: '',
      met: null,
    },
  ];
}

/** As `bench compare RUN --between runner=base,ARM`. */
function within(run: readonly MeasuredCell[], arm: Arm): Comparison[] {
  const {comparisons} = compareWithin(run, ({runner}) => (runner === 'base' ? 'base' : runner === arm ? 'now' : null), [
    'runner',
  ]);
  return [...comparisons];
}

/** As `bench compare BASE NEW`, of the engine as it is. */
function across(base: readonly MeasuredCell[], now: readonly MeasuredCell[], drift = RUN_DRIFT): Comparison[] {
  const plain = (cells: readonly MeasuredCell[]) => cells.filter(({row}) => row.runner === 'base');
  return [...compareCells(plain(base), plain(now), {drift}).comparisons];
}

/**
 * As matrices/quickstart.yaml, but with many short rounds: rounds are what a comparison rests on, and neighbours in a
 * short round share its conditions. `interleaved` goes there and back, so that what changes evenly cancels over two.
 */
function matrixText(): string {
  const runners = Object.entries(ARMS).map(([name, slowdown]) => ({
    name,
    command: [process.execPath, WORKER, join(DIST, 'runners'), String(slowdown)],
  }));
  return `matrix: self-compare
models: [{name: quickstart-53m, source: "synthetic:quickstart-53m"}]
formats: [gguf-q4_k_m]
runners: ${JSON.stringify(runners)}
devices: [host-cpu]
workloads: [{name: p16-g24, prompt_tokens: 16, generated_tokens: 24}]
rounds: ${ROUNDS}
canary: false
requests: {min: ${ROUNDS * REQUESTS}, max: ${ROUNDS * REQUESTS}, warmup_min: 1, warmup_max: 1}
budget_seconds: 10
`;
}

/** One run of the matrix, through the command that people use; its cells. */
async function measured(matrix: string, {cacheDir}: SelfContext): Promise<MeasuredCell[]> {
  const out = mkdtempSync(join(tmpdir(), 'bench-self-run-'));
  try {
    await execa(
      process.execPath,
      [join(DIST, 'harness', 'cli', 'bin.js'), 'matrix', matrix, '--out', out, '--alongside'],
      {
        env: {BENCH_CACHE: cacheDir, BENCH_LLAMA_DIR: runnerHost().software.llamaPrebuiltDir ?? ''},
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    return cellsOf(await readRuns([out]));
  } finally {
    rmSync(out, {recursive: true, force: true});
  }
}

function isAlarm({change}: Comparison): boolean {
  return change === 'faster' || change === 'slower';
}

function words(comparisons: readonly Comparison[]): string {
  return comparisons.map(({change, ratio}) => `${change} ${ratio.ratio.toFixed(3)}`).join(', ');
}

/** With the 95 % interval of the share; pairs that have a run in common are not independent, and tell less than it says. */
function share(some: number, all: number): string {
  const interval = wilsonInterval(some, all);
  const percent = (ratio: number): string => (100 * ratio).toFixed(0);
  const bounds = interval === null ? '' : `, 95 % ${percent(interval.low)}–${percent(interval.high)}`;
  return `${some} of ${all} (${((100 * some) / all).toFixed(1)} %${bounds})`;
}

function range(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (p: number): string => (sorted[Math.round(p * (sorted.length - 1))] ?? Number.NaN).toFixed(3);
  return `${at(0.5)} (${at(0)}–${at(1)}, n = ${values.length})`;
}
