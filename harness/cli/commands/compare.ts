import {type Command, InvalidArgumentError, Option} from 'commander';
import {parseDocument} from 'yaml';
import {attribute} from '../../claims/attribution.ts';
import {type Comparison, type ComparisonReport, compareCells, compareWithin} from '../../claims/compare.ts';
import type {MeasuredCell} from '../../claims/measured-cell.ts';
import type {ColumnName, ResultRow} from '../../contract/columns.ts';
import {BenchError} from '../../contract/errors.ts';
import {type Matrix, MatrixSchema} from '../../contract/matrix.ts';
import {RUN_DRIFT, SMALLEST_EFFECT} from '../../derive/thresholds.ts';
import {matchesGlob} from '../../plan/glob.ts';
import {didYouMean} from '../../plan/nearest.ts';
import {attributionText} from '../attribution-text.ts';
import {comparisonText} from '../compare-text.ts';
import type {CommandContext} from '../context.ts';
import {cellsOf, type ReadRun, readRuns} from '../read-runs.ts';
import {plain} from '../terminal.ts';

interface CompareOptions {
  readonly failOn?: 'slower' | 'ambiguous';
  readonly effect: number;
  readonly between?: Between;
  readonly drift: number;
  readonly json?: true;
}

/** What `--between KEY=A,B` can name: the base is A, B is new. With each key what follows from it. */
const KEYS: Readonly<Record<string, readonly ColumnName[]>> = {
  runner: ['runner'],
  engine_build: [],
  kernel: [],
  isa: ['isa'],
  threads: ['threads'],
  gpu_layers: ['gpu_layers'],
  format: ['format', 'weights_sha256'],
  workload: ['workload', 'prompt_tokens', 'generated_tokens', 'batch', 'concurrency', 'prefix_cache'],
  prefix_cache: ['prefix_cache', 'workload'],
  batch: ['batch', 'workload'],
  model: ['model', 'architecture', 'parameters', 'weights_sha256'],
  // Any two cells, said by name: settings that have no column differ only in it.
  cell_id: ['runner', 'format', 'weights_sha256', 'threads', 'gpu_layers', 'isa'],
};

interface Between {
  readonly key: ColumnName;
  readonly base: string;
  readonly now: string;
}

/** `bench compare BASE NEW`: same, faster, slower or ambiguous, cell by cell. */
export function registerCompareCommand(program: Command, context: CommandContext): void {
  program
    .command('compare')
    .description('same | faster | slower | ambiguous per cell, with intervals; with one path: why its cells differ')
    .argument('<base>', 'run folder, or folder of runs')
    .argument('[new]', 'run folder, or folder of runs; left out: attribution within BASE, or --between')
    .option(
      '--between <key=a,b>',
      'cells of BASE alone, measured in turn: B against A, the same in all else; globs, for example engine_build=prebuilt*,native*',
      parseBetween,
    )
    .option(
      '--drift <ratio>',
      'of one run each: how much faster or slower the host itself may be from run to run',
      parseDrift,
      RUN_DRIFT,
    )
    .addOption(new Option('--steady-host', 'the same as --drift 0').implies({drift: 0}))
    .addOption(
      new Option('--fail-on <verdict>', 'exit 4 when a cell is slower (ambiguous: or ambiguous)').choices([
        'slower',
        'ambiguous',
      ]),
    )
    .option('--effect <ratio>', 'smallest relative difference that matters', parseEffect, SMALLEST_EFFECT)
    .option('--json', 'one JSON document')
    .action(async (base: string, now: string | undefined, options: CompareOptions) => {
      const runs = await readRuns([base]);
      const before = cellsOf(runs);
      if (now === undefined && options.between === undefined) {
        if (options.failOn !== undefined) {
          throw new BenchError('USAGE', '--fail-on needs something to compare: give a second path, or --between');
        }
        const attributions = attribute(before, inMatrixOf(runs));
        context.stdout.write(
          options.json === true ? `${JSON.stringify(attributions, null, 2)}\n` : `${attributionText(attributions)}\n`,
        );
        return;
      }
      const report = await reportOf(before, now, options);
      if (options.json === true) context.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
      else {
        context.stdout.write(`${comparisonText(report, options.effect)}\n`);
        for (const {cellId, reason} of report.notCompared) {
          context.stderr.write(`not compared: ${cellId}: ${plain(reason)}\n`);
        }
      }
      const drift = Math.max(0, ...report.comparisons.map((one) => one.drift ?? 0));
      if (drift > 0) context.stderr.write(`${singleText(drift)}\n`);
      gate(report.comparisons, options.failOn);
    });
}

/** What the matrices of runs have, by the copies that the runs keep; of one that cannot be read, everything. */
function inMatrixOf(runs: readonly ReadRun[]): (matrix: string, runner: string, format: string) => boolean {
  const matrices = runs.flatMap(({manifest}) => matrixOf(manifest.matrixText) ?? []);
  return (name, runner, format) => {
    const own = matrices.filter(({matrix}) => matrix === name);
    const has = ({runners, formats}: (typeof own)[number]): boolean =>
      formats.some((one) => one === format) &&
      runners.some((one) => (typeof one === 'string' ? one : one.name) === runner);
    return own.length === 0 || own.some(has);
  };
}

function matrixOf(text: string): Matrix | null {
  try {
    const read = MatrixSchema.safeParse(parseDocument(text).toJS());
    return read.success ? read.data : null;
  } catch {
    // A manifest by hand, or of another version.
    return null;
  }
}

async function reportOf(
  before: readonly MeasuredCell[],
  now: string | undefined,
  {between, effect, drift}: CompareOptions,
): Promise<ComparisonReport> {
  const how = {smallestEffect: effect, drift};
  if (between === undefined) return compareCells(before, cellsOf(await readRuns([now ?? ''])), how);
  if (now !== undefined)
    throw new BenchError('USAGE', '--between compares cells of one run: leave the second path out');
  return compareWithin(before, (row) => sideOf(row, between), KEYS[between.key] ?? [], how);
}

function sideOf(row: ResultRow, {key, base, now}: Between): 'base' | 'now' | null {
  const value = String(row[key] ?? '');
  return matchesGlob(base, value) ? 'base' : matchesGlob(now, value) ? 'now' : null;
}

/** What to do where one run stands against one other. */
function singleText(drift: number): string {
  const [least, most] = [1 / (1 + drift), 1 + drift].map((ratio) => ratio.toFixed(2));
  return `one run each: a host may run × ${least} to × ${most} as fast from run to run, and the intervals allow for that. To see less, measure both in one run (--between) or give folders with several runs of each; --drift says what you know of the host`;
}

/** @throws {BenchError} GATE */
function gate(comparisons: readonly Comparison[], failOn: CompareOptions['failOn']): void {
  if (failOn === undefined) return;
  if (comparisons.every(({ratio}) => ratio.low === null)) {
    throw new BenchError(
      'NOT_COMPARABLE',
      'Nothing here can be called slower, hence no gate can fail: one round has no interval. Measure three or more',
    );
  }
  const bad = comparisons.filter(
    ({change}) => change === 'slower' || (failOn === 'ambiguous' && change === 'ambiguous'),
  );
  const [first] = bad;
  if (first === undefined) return;
  throw new BenchError(
    'GATE',
    `${bad.length} of ${comparisons.length} comparisons are ${failOn === 'slower' ? 'slower' : 'slower or ambiguous'}; the first: ${first.metric} of ${first.now.format} on ${first.now.device}, × ${first.ratio.ratio.toFixed(3)}`,
  );
}

function parseEffect(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 1)) throw new InvalidArgumentError('Give a ratio between 0 and 1, for example 0.02.');
  return value;
}

function parseDrift(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError('Give a ratio from 0 to 1, for example 0.05.');
  return value;
}

function parseBetween(text: string): Between {
  const [, key = '', base = '', now = ''] = /^(\w+)=([^,]+),([^,]+)$/.exec(text) ?? [];
  if (key === '') throw new InvalidArgumentError('Give KEY=A,B, for example threads=1,2.');
  if (!Object.hasOwn(KEYS, key)) {
    const names = Object.keys(KEYS);
    throw new InvalidArgumentError(`There are ${names.join(', ')}, not ${plain(key)}${didYouMean(key, names)}`);
  }
  return {key: key as ColumnName, base, now}; // every key of KEYS is a column
}
