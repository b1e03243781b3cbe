import type {Command} from 'commander';
import {claimsLedger, type LedgerEntry} from '../../claims/verdict.ts';
import {BenchError} from '../../contract/errors.ts';
import {claimsText, type Publication} from '../claims-text.ts';
import type {CommandContext} from '../context.ts';
import {cellsOf, readRuns} from '../read-runs.ts';
import {readClaims, shippedClaims} from '../shipped-claims.ts';
import {PRICES_PATH, readPrices} from '../shipped-prices.ts';

interface ClaimsOptions {
  readonly file: readonly string[];
  readonly prices: string;
  readonly json?: true;
  readonly strict?: true;
}

/** `bench claims PATH…`: what publications say, against what was measured. */
export function registerClaimsCommand(program: Command, context: CommandContext): void {
  program
    .command('claims')
    .description('verdict per claim of publications, every reading of it apart')
    .argument('<path...>', 'run folders, or folders of runs')
    .option(
      '--file <claims>',
      'claims of a publication; repeatable (default: all of matrices/claims)',
      (file, known: readonly string[]) => [...known, file],
      [],
    )
    .option('--prices <file>', 'prices that the claims name', PRICES_PATH)
    .option('--strict', 'exit 4 unless every claim has a reading that was reproduced')
    .option('--json', 'one JSON document')
    .action(async (paths: readonly string[], options: ClaimsOptions) => {
      const prices = readPrices(options.prices);
      const files =
        options.file.length === 0 ? shippedClaims(prices) : options.file.map((file) => readClaims(file, prices));
      const cells = cellsOf(await readRuns(paths));
      const publications = files.map((claims): Publication => ({claims, ledger: claimsLedger(claims, cells)}));
      context.stdout.write(
        options.json === true
          ? `${JSON.stringify(asDocument(publications), null, 2)}\n`
          : `${claimsText(publications)}\n`,
      );
      if (options.strict === true) gate(publications);
    });
}

/** One flat ledger, each entry with the name of its claims file. */
function asDocument(publications: readonly Publication[]) {
  return {
    publications: publications.map(({claims: {claims, title, source, matrix}}) => ({claims, title, source, matrix})),
    ledger: publications.flatMap(({claims: {claims}, ledger}) =>
      ledger.map((entry) => ({publication: claims, ...entry})),
    ),
  };
}

/** @throws {BenchError} GATE */
function gate(publications: readonly Publication[]): void {
  const sentences = publications.flatMap(({claims, ledger}) =>
    claims.sentences.map(({id}) => ({
      name: publications.length === 1 ? id : `${claims.claims} ${id}`,
      reproduced: ledger.some((entry: LedgerEntry) => entry.claim === id && entry.verdict === 'reproduced'),
    })),
  );
  const open = sentences.filter(({reproduced}) => !reproduced);
  if (open.length > 0) {
    const names = open.map(({name}) => name).join(', ');
    throw new BenchError('GATE', `${open.length} of ${sentences.length} claims were not reproduced: ${names}`);
  }
}
