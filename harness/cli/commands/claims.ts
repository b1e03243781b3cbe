import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import type {Command} from 'commander';
import {parseClaims} from '../../claims/parse-claims.ts';
import {claimsLedger, type LedgerEntry} from '../../claims/verdict.ts';
import {COLUMNS as COLUMNS_OF_RESULTS} from '../../contract/columns.ts';
import {BenchError} from '../../contract/errors.ts';
import {formatSignificant} from '../../contract/units.ts';
import type {CommandContext} from '../context.ts';
import {PACKAGE_ROOT} from '../package-root.ts';
import {cellsOf, readRuns} from '../read-runs.ts';
import {renderTable, type TableColumn} from '../table.ts';
import {plain} from '../terminal.ts';

interface ClaimsOptions {
  readonly file: string;
  readonly json?: true;
  readonly strict?: true;
}

const COLUMNS: readonly TableColumn[] = [
  {title: 'verdict', align: 'left'},
  {title: 'reading', align: 'left'},
  {title: 'says', align: 'right'},
  {title: 'measured', align: 'right'},
  {title: '95 %', align: 'left'},
  {title: 'device', align: 'left'},
  {title: 'workload', align: 'left'},
  {title: 'cell', align: 'left'},
  {title: 'against', align: 'left'},
  {title: 'why', align: 'left'},
];

const DEFAULT_FILE = join(PACKAGE_ROOT, 'matrices', 'claims', 'licardo-2025.yaml');

/** `bench claims PATH…`: what a publication says, against what was measured. */
export function registerClaimsCommand(program: Command, context: CommandContext): void {
  program
    .command('claims')
    .description('verdict per claim of a publication, every reading of it apart')
    .argument('<path...>', 'run folders, or folders of runs')
    .option('--file <claims>', 'claims file', DEFAULT_FILE)
    .option('--strict', 'exit 4 unless every claim has a reading that was reproduced')
    .option('--json', 'one JSON document')
    .action(async (paths: readonly string[], options: ClaimsOptions) => {
      const claims = parseClaims(await readText(options.file), options.file);
      const ledger = claimsLedger(claims, cellsOf(await readRuns(paths)));
      if (options.json === true) {
        context.stdout.write(`${JSON.stringify({claims: claims.claims, source: claims.source, ledger}, null, 2)}\n`);
      } else {
        context.stdout.write(`${plain(claims.title)}\n${plain(claims.source)}\n`);
        for (const {id, sentence} of claims.sentences) {
          const entries = ledger.filter(({claim}) => claim === id);
          context.stdout.write(`\n“${plain(sentence)}”\n${renderTable(COLUMNS, entries.map(lineOf))}\n`);
          for (const text of below(entries)) context.stdout.write(`${plain(text)}\n`);
        }
      }
      if (options.strict === true) gate(ledger);
    });
}

function lineOf(entry: LedgerEntry): string[] {
  const {ratio, kind, expected} = entry;
  const unit = COLUMNS_OF_RESULTS[entry.measure].unit;
  // Of a figure, `ratio` is measured ÷ expected; people want the figure itself.
  const show = (value: number): string => formatSignificant(kind === 'figure' ? value * expected : value);
  const whole = (text: string): string => (kind === 'figure' ? `${text} ${unit ?? ''}`.trimEnd() : `× ${text}`);
  return [
    entry.verdict,
    entry.reading,
    whole(formatSignificant(expected)),
    ratio === null ? '' : whole(show(ratio.ratio)),
    ratio === null || ratio.low === null || ratio.high === null ? '' : `${show(ratio.low)} … ${show(ratio.high)}`,
    entry.device ?? '',
    entry.workload ?? '',
    entry.cell ?? '',
    entry.against ?? '',
    entry.reason,
  ];
}

function below(entries: readonly LedgerEntry[]): string[] {
  const commands = [...new Set(entries.flatMap(({command}) => (command === null ? [] : [command])))];
  const caveats = [...new Set(entries.flatMap((entry) => entry.caveats))].sort();
  return [
    ...(caveats.length === 0 ? [] : [`caveats: ${caveats.join(' ')}`]),
    ...commands.map((command) => `to measure: ${command}`),
  ];
}

/** @throws {BenchError} GATE */
function gate(ledger: readonly LedgerEntry[]): void {
  const ids = [...new Set(ledger.map(({claim}) => claim))];
  const open = ids.filter((id) => !ledger.some(({claim, verdict}) => claim === id && verdict === 'reproduced'));
  if (open.length > 0) {
    throw new BenchError('GATE', `${open.length} of ${ids.length} claims were not reproduced: ${open.join(', ')}`);
  }
}

async function readText(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new BenchError('FILE_UNREADABLE', `${path} cannot be read`, {cause});
  });
}
