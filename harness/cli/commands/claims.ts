import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import type {Command} from 'commander';
import {parseClaims} from '../../claims/parse-claims.ts';
import {claimsLedger, type LedgerEntry} from '../../claims/verdict.ts';
import {BenchError} from '../../contract/errors.ts';
import {claimsText} from '../claims-text.ts';
import type {CommandContext} from '../context.ts';
import {PACKAGE_ROOT} from '../package-root.ts';
import {cellsOf, readRuns} from '../read-runs.ts';
import {PRICES_PATH, readPrices} from '../shipped-prices.ts';

interface ClaimsOptions {
  readonly file: string;
  readonly prices: string;
  readonly json?: true;
  readonly strict?: true;
}

const DEFAULT_FILE = join(PACKAGE_ROOT, 'matrices', 'claims', 'licardo-2025.yaml');

/** `bench claims PATH…`: what a publication says, against what was measured. */
export function registerClaimsCommand(program: Command, context: CommandContext): void {
  program
    .command('claims')
    .description('verdict per claim of a publication, every reading of it apart')
    .argument('<path...>', 'run folders, or folders of runs')
    .option('--file <claims>', 'claims file', DEFAULT_FILE)
    .option('--prices <file>', 'prices that the claims name', PRICES_PATH)
    .option('--strict', 'exit 4 unless every claim has a reading that was reproduced')
    .option('--json', 'one JSON document')
    .action(async (paths: readonly string[], options: ClaimsOptions) => {
      const claims = parseClaims(await readText(options.file), options.file, readPrices(options.prices));
      const ledger = claimsLedger(claims, cellsOf(await readRuns(paths)));
      if (options.json === true) {
        context.stdout.write(`${JSON.stringify({claims: claims.claims, source: claims.source, ledger}, null, 2)}\n`);
      } else {
        context.stdout.write(`${claimsText(claims, ledger)}\n`);
      }
      if (options.strict === true) gate(ledger);
    });
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
