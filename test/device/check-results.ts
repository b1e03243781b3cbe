import {join} from 'node:path';
import {readResultsCsv} from '../../harness/store/results-csv.ts';
import {judgeRow} from './judge-row.ts';

/**
 * A program for run.sh: `FOLDER` is that of a run. Prints one line a row with what its counters gave, and ends with
 * 1 when a cell failed or when a counter that every NVIDIA GPU has gave nothing.
 */
const [folder = ''] = process.argv.slice(2);
const rows = await readResultsCsv(join(folder, 'results.csv'));
let failed = rows.filter(({status}) => status === 'ok').length === 0;
for (const row of rows) {
  const {good, text} = judgeRow(row);
  failed ||= !good;
  process.stdout.write(`  ${good ? 'ok  ' : 'FAIL'} ${text}\n`);
}
process.stdout.write(
  failed ? 'The results are not whole: see the lines that begin with FAIL.\n' : 'The results are whole.\n',
);
process.exit(failed ? 1 : 0);
