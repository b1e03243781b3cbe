import {existsSync, readdirSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {cellRecords} from '../../harness/derive/cell-records.ts';
import {estimateMemory} from '../../harness/plan/estimate.ts';
import {readJournal} from '../../harness/store/journal.ts';
import {readResultsCsv} from '../../harness/store/results-csv.ts';
import {type Figure, median, type Section} from './section.ts';

const FOLDER = process.env['BENCH_SELF_RESULTS'] ?? 'results';

/** How far the memory that a plan expects is from what was measured, in every run whose journal is here. */
export const memoryEstimate: Section = {
  name: 'memory-estimate',
  doc: `memory that plans expect against measured peaks, of the runs below ${FOLDER} (BENCH_SELF_RESULTS=DIR: another folder)`,
  async run({log}) {
    const errors: {readonly cell: string; readonly error: number}[] = [];
    for (const folder of runFolders(FOLDER)) {
      log(folder);
      errors.push(...(await errorsOf(folder)));
    }
    const of = (kind: string): Figure[] => {
      const own = errors.filter(({cell}) => cell.startsWith(kind));
      if (own.length === 0)
        return [{what: `${kind}: estimate ÷ measured peak − 1`, value: 'no cell', goal: '', met: null}];
      const worst = own.reduce((a, b) => (Math.abs(b.error) > Math.abs(a.error) ? b : a));
      return [
        {
          what: `${kind}: estimate ÷ measured peak − 1, median of ${own.length} cells`,
          value: percent(median(own.map(({error}) => error))),
          goal: '',
          met: null,
        },
        {what: `… the worst: ${worst.cell}`, value: percent(worst.error), goal: '', met: null},
      ];
    };
    return [...of('RAM'), ...of('VRAM')];
  },
};

async function errorsOf(folder: string): Promise<{cell: string; error: number}[]> {
  const rows = new Map((await readResultsCsv(join(folder, 'results.csv'))).map((row) => [row.cell_id, row]));
  const records = await readJournal(join(folder, 'journal.jsonl'));
  return cellRecords(records).flatMap(({cell, weights}) => {
    const row = rows.get(cell.id);
    const gpu = cell.deviceKind === 'cuda';
    const measured = (gpu ? row?.vram_peak_bytes : row?.ram_peak_bytes) ?? null;
    if (weights === null || measured === null || cell.runner.id === 'simulated') return [];
    const {residentBytes} = estimateMemory(cell, {...weights, diskBytesNeeded: 0, secondsNeeded: 0});
    const name = `${gpu ? 'VRAM' : 'RAM'} ${cell.model} ${cell.format} ${cell.runner.id} ${cell.workload.name}`;
    return [{cell: name, error: residentBytes / measured - 1}];
  });
}

/** Folders with results and the journal that they were made from. */
function runFolders(below: string): string[] {
  if (!existsSync(below)) return [];
  return readdirSync(below, {recursive: true, encoding: 'utf8'})
    .filter((name) => name.endsWith('journal.jsonl'))
    .map((name) => dirname(join(below, name)))
    .filter((folder) => existsSync(join(folder, 'results.csv')))
    .sort();
}

function percent(error: number): string {
  return `${error >= 0 ? '+' : '−'}${Math.abs(error * 100).toFixed(1)} %`;
}
