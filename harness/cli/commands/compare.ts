import {type Command, InvalidArgumentError, Option} from 'commander';
import {attribute} from '../../claims/attribution.ts';
import {type Comparison, compareCells} from '../../claims/compare.ts';
import {BenchError} from '../../contract/errors.ts';
import {attributionTable} from '../attribution-text.ts';
import type {CommandContext} from '../context.ts';
import {cellsOf, readRuns} from '../read-runs.ts';
import {renderTable, type TableColumn} from '../table.ts';
import {plain} from '../terminal.ts';

interface CompareOptions {
  readonly failOn?: 'slower' | 'ambiguous';
  readonly effect: number;
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
  {title: 'verdict', align: 'left'},
];

/** `bench compare BASE NEW`: same, faster, slower or ambiguous, cell by cell. */
export function registerCompareCommand(program: Command, context: CommandContext): void {
  program
    .command('compare')
    .description('same | faster | slower | ambiguous per cell, with intervals; with one path: why its cells differ')
    .argument('<base>', 'run folder, or folder of runs')
    .argument('[new]', 'run folder, or folder of runs; left out: attribution within BASE')
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
      if (now === undefined) {
        const attributions = attribute(before);
        context.stdout.write(
          options.json === true ? `${JSON.stringify(attributions, null, 2)}\n` : `${attributionTable(attributions)}\n`,
        );
        return;
      }
      const report = compareCells(before, cellsOf(await readRuns([now])), {smallestEffect: options.effect});
      if (options.json === true) context.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
      else {
        context.stdout.write(`${renderTable(COLUMNS, report.comparisons.map(lineOf))}\n`);
        for (const text of notes(report.comparisons)) context.stdout.write(`${plain(text)}\n`);
        for (const {cellId, reason} of report.notCompared) {
          context.stderr.write(`not compared: ${cellId}: ${plain(reason)}\n`);
        }
      }
      gate(report.comparisons, options.failOn);
    });
}

function lineOf({metric, base, now, ratio, adjustedP, change, reason}: Comparison): string[] {
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
    reason === '' ? change : `${change}: ${reason}`,
  ];
}

/** What differs although the cells are the same, once for all of them. */
function notes(comparisons: readonly Comparison[]): string[] {
  const changed = [...new Set(comparisons.flatMap((one) => one.changed))].sort();
  return changed.length === 0 ? [] : ['', 'changed between the two:', ...changed.map((text) => `  ${text}`)];
}

/** @throws {BenchError} GATE */
function gate(comparisons: readonly Comparison[], failOn: CompareOptions['failOn']): void {
  if (failOn === undefined) return;
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
