import {type Command, InvalidArgumentError, Option} from 'commander';
import {compareRows} from '../../../reports/cell.ts';
import {attribute} from '../../claims/attribution.ts';
import {type Comparison, type ComparisonReport, compareCells, compareWithin} from '../../claims/compare.ts';
import type {MeasuredCell} from '../../claims/measured-cell.ts';
import type {ColumnName, ResultRow} from '../../contract/columns.ts';
import {BenchError} from '../../contract/errors.ts';
import {matchesGlob} from '../../plan/glob.ts';
import {didYouMean} from '../../plan/nearest.ts';
import {attributionTable} from '../attribution-text.ts';
import type {CommandContext} from '../context.ts';
import {cellsOf, readRuns} from '../read-runs.ts';
import {renderTable, type TableColumn} from '../table.ts';
import {plain} from '../terminal.ts';

interface CompareOptions {
  readonly failOn?: 'slower' | 'ambiguous';
  readonly effect: number;
  readonly between?: Between;
  readonly steadyHost?: true;
  readonly json?: true;
}

const COLUMNS: readonly TableColumn[] = [
  {title: 'model', align: 'left'},
  {title: 'format', align: 'left'},
  {title: 'runner', align: 'left'},
  {title: 'kernel', align: 'left'},
  {title: 'device', align: 'left'},
  {title: 'workload', align: 'left'},
  {title: 'figure', align: 'left'},
  {title: 'base', align: 'right'},
  {title: 'new', align: 'right'},
  {title: 'new ÷ base', align: 'right'},
  {title: '95 %', align: 'left'},
  {title: 'p (Holm)', align: 'right'},
  {title: 'rests on', align: 'left'},
  {title: 'verdict', align: 'left'},
];

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
    .option('--steady-host', 'one run each is enough: the host is known not to differ from run to run')
    .addOption(
      new Option('--fail-on <verdict>', 'exit 4 when a cell is slower (ambiguous: or ambiguous)').choices([
        'slower',
        'ambiguous',
      ]),
    )
    .option('--effect <ratio>', 'smallest relative difference that matters', parseEffect, 0.02)
    .option('--json', 'one JSON document')
    .action(async (base: string, now: string | undefined, options: CompareOptions) => {
      const before = cellsOf(await readRuns([base]));
      if (now === undefined && options.between === undefined) {
        const attributions = attribute(before);
        context.stdout.write(
          options.json === true ? `${JSON.stringify(attributions, null, 2)}\n` : `${attributionTable(attributions)}\n`,
        );
        return;
      }
      const report = await reportOf(before, now, options);
      if (options.json === true) context.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
      else {
        context.stdout.write(
          `${renderTable(COLUMNS, report.comparisons.toSorted((a, b) => compareRows(a.now, b.now)).map(lineOf))}\n`,
        );
        for (const text of notes(report.comparisons)) context.stdout.write(`${plain(text)}\n`);
        if (report.comparisons.every(withoutInterval)) context.stderr.write(`no verdict: ${SINGLE}\n`);
        for (const {cellId, reason} of report.notCompared) {
          context.stderr.write(`not compared: ${cellId}: ${plain(reason)}\n`);
        }
      }
      gate(report.comparisons, options.failOn);
    });
}

async function reportOf(
  before: readonly MeasuredCell[],
  now: string | undefined,
  {between, effect, steadyHost}: CompareOptions,
): Promise<ComparisonReport> {
  const how = {smallestEffect: effect, steadyHost: steadyHost === true};
  if (between === undefined) return compareCells(before, cellsOf(await readRuns([now ?? ''])), how);
  if (now !== undefined)
    throw new BenchError('USAGE', '--between compares cells of one run: leave the second path out');
  return compareWithin(before, (row) => sideOf(row, between), KEYS[between.key] ?? [], how);
}

function sideOf(row: ResultRow, {key, base, now}: Between): 'base' | 'now' | null {
  const value = String(row[key] ?? '');
  return matchesGlob(base, value) ? 'base' : matchesGlob(now, value) ? 'now' : null;
}

function lineOf(comparison: Comparison): string[] {
  const {metric, base, now, ratio, adjustedP, change, reason} = comparison;
  const number = (value: number | null): string => (value === null ? '' : value.toPrecision(4));
  return [
    now.model ?? '',
    now.format ?? '',
    now.runner ?? '',
    now.kernel ?? '',
    now.device ?? '',
    now.workload ?? '',
    metric,
    number(base[metric]),
    number(now[metric]),
    ratio.ratio.toFixed(3),
    ratio.low === null || ratio.high === null ? '' : `${ratio.low.toFixed(3)} … ${ratio.high.toFixed(3)}`,
    adjustedP === null ? '' : adjustedP < 0.001 ? '< 0.001' : adjustedP.toFixed(3),
    basisOf(comparison),
    reason === '' ? change : `${change}: ${reason}`,
  ];
}

function basisOf({base, now, ratio, runs: [before, after]}: Comparison): string {
  if (ratio.how === 'paired-rounds') return `${ratio.rounds[0]} rounds, in turn`;
  if (ratio.how === 'repeated-runs') return `${before} + ${after} runs`;
  return base.run_id === now.run_id ? 'one run' : 'one run each';
}

function withoutInterval({ratio}: Comparison): boolean {
  return ratio.low === null;
}

/** What to do where one run stands against one other. */
const SINGLE =
  'one run each, at different times. Measure both in one run and compare --between, give folders with several runs of each, or say --steady-host';

/** What differs although the cells are the same, once for all of them. */
function notes(comparisons: readonly Comparison[]): string[] {
  const changed = [...new Set(comparisons.flatMap((one) => one.changed))].sort();
  return changed.length === 0 ? [] : ['', 'changed between the two:', ...changed.map((text) => `  ${text}`)];
}

/** @throws {BenchError} GATE */
function gate(comparisons: readonly Comparison[], failOn: CompareOptions['failOn']): void {
  if (failOn === undefined) return;
  if (comparisons.every(withoutInterval)) {
    throw new BenchError('NOT_COMPARABLE', `Nothing here can be called slower, hence no gate can fail: ${SINGLE}`);
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

function parseBetween(text: string): Between {
  const [, key = '', base = '', now = ''] = /^(\w+)=([^,]+),([^,]+)$/.exec(text) ?? [];
  if (key === '') throw new InvalidArgumentError('Give KEY=A,B, for example threads=1,2.');
  if (!Object.hasOwn(KEYS, key)) {
    const names = Object.keys(KEYS);
    throw new InvalidArgumentError(`There are ${names.join(', ')}, not ${plain(key)}${didYouMean(key, names)}`);
  }
  return {key: key as ColumnName, base, now}; // every key of KEYS is a column
}
