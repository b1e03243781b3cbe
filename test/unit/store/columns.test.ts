import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {COLUMN_NAMES, COLUMNS, type RequestRow} from '../../../harness/contract/columns.ts';
import {readTable} from '../../../harness/store/csv-table.ts';
import {findRequests} from '../../../harness/store/find-requests.ts';
import {writeRequestsCsv} from '../../../harness/store/requests-csv.ts';
import {readResultColumns} from '../../../harness/store/result-columns.ts';
import {writeResultsCsv} from '../../../harness/store/results-csv.ts';
import {buildMeasured} from '../claims/build.ts';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'bench-columns-'));
});
afterAll(() => rm(root, {recursive: true}));

describe('readResultColumns', () => {
  const ODD = [
    'plain',
    'a, comma',
    'a "quote"',
    'two\nlines',
    '=1+1',
    "'apostrophe",
    '"',
    ',,,',
    'é €',
    'a\r\nb',
    '""',
  ];
  const rows = ODD.map(
    (text, index) => buildMeasured({cell_id: `c${index}`, status_reason: text, decode_tokens_per_s: index / 7}).row,
  );

  it('reads what a general reader of CSV reads, whatever the texts', async () => {
    const path = join(root, 'odd.csv');
    await writeResultsCsv(path, rows);
    const general = [];
    for await (const {row} of readTable(path, COLUMNS)) general.push(row);
    expect(await readResultColumns(path, COLUMN_NAMES)).toEqual(general);
    const some = await readResultColumns(path, ['decode_tokens_per_s', 'status_reason']);
    expect(some.map(({status_reason}) => status_reason).sort()).toEqual([...ODD].sort());
    expect(Object.keys(some[0] ?? {})).toEqual(['decode_tokens_per_s', 'status_reason']);
  });

  it('reads a file larger than one piece, with records across pieces', async () => {
    const path = join(root, 'large.csv');
    const many = Array.from(
      {length: 3000},
      (_, index) =>
        buildMeasured({cell_id: String(index).padStart(5, '0'), status_reason: `${'x'.repeat(index % 700)}"\n,é`}).row,
    );
    await writeResultsCsv(path, many);
    const read = await readResultColumns(path, ['cell_id', 'status_reason']);
    expect(read).toEqual(many.map(({cell_id, status_reason}) => ({cell_id, status_reason})));
  });

  it('refuses text around quotes', async () => {
    const path = join(root, 'quotes.csv');
    await writeResultsCsv(path, rows.slice(0, 1));
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('llama-cpp', 'llama"-cpp'));
    await expect(readResultColumns(path, ['status'])).rejects.toThrow(/:2: a quote within a field/);
    await writeFile(path, text.replace('llama-cpp', '"llama"-cpp'));
    await expect(readResultColumns(path, ['status'])).rejects.toThrow(/:2: text after a closing quote/);
  });

  it('reads over a byte order mark and CRLF', async () => {
    const path = join(root, 'crlf.csv');
    await writeResultsCsv(path, rows.slice(0, 1));
    const text = (await readFile(path, 'utf8')).replaceAll('\n', '\r\n');
    await writeFile(path, `\uFEFF${text}`);
    expect(await readResultColumns(path, COLUMN_NAMES)).toEqual(rows.slice(0, 1));
  });

  it('names file, line and column of what is damaged', async () => {
    const path = join(root, 'bad.csv');
    await writeResultsCsv(path, rows.slice(0, 2));
    const text = await readFile(path, 'utf8');
    const reading = async (changed: string) => {
      await writeFile(path, changed);
      return readResultColumns(path, ['threads', 'status']);
    };
    await expect(reading('')).rejects.toThrow(/bad\.csv:1: the file is empty/);
    await expect(reading(text.replace('schema_version', 'schema'))).rejects.toThrow(
      /:1: the column schema_version is missing, and the column "schema" is not known/,
    );
    await expect(reading(`${text}1,2\n`)).rejects.toThrow(/bad\.csv:4: 2 fields/);
    await expect(reading(text.replace('\n1,', '\n9,'))).rejects.toThrow(/bad\.csv:2: schema_version 9/);
    await expect(reading(`${text}"open`)).rejects.toThrow(/bad\.csv:4: a quote is not closed/);
    await expect(reading(text.replace(/,8,0,ok/, ',eight,0,ok'))).rejects.toThrow(
      /:2: threads: "eight" is not an integer/,
    );
    await expect(readResultColumns(join(root, 'none.csv'), ['status'])).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
    });
  });
});

describe('findRequests', () => {
  const cells = ['00', '0a', '3f', '80', 'ff'];
  const rows: RequestRow[] = cells.flatMap(
    (cell, index) => buildMeasured({cell_id: cell, tpotUs: Array.from({length: index + 1}, () => 20_000)}).requests,
  );
  const counts = new Map(cells.map((cell, index) => [cell, 11 * (index + 1)]));

  it('finds the requests of each cell of a sorted file', async () => {
    const path = join(root, 'requests.csv');
    await writeRequestsCsv(path, rows);
    const found = await findRequests(path, counts);
    for (const cell of cells) expect(found.get(cell)).toEqual(rows.filter(({cell_id}) => cell_id === cell));
    expect((await findRequests(path, new Map([['3f', 33]]))).size).toBe(1);
  });

  it('reads the whole file when it is not sorted, or holds another number than was told', async () => {
    const path = join(root, 'unsorted.csv');
    await writeRequestsCsv(path, rows.toReversed());
    const found = await findRequests(path, counts);
    for (const cell of cells) expect(found.get(cell)).toHaveLength(counts.get(cell) ?? 0);
    const told = await findRequests(
      path,
      new Map([
        ['ff', 1],
        ['none', 3],
      ]),
    );
    expect([told.get('ff')?.length, told.get('none')]).toEqual([55, []]);
  });

  it('names what is damaged', async () => {
    const path = join(root, 'damaged.csv');
    await writeFile(path, 'a,b\n1,2\n');
    await expect(findRequests(path, counts)).rejects.toMatchObject({code: 'RESULTS_INVALID'});
    await expect(findRequests(join(root, 'no.csv'), counts)).rejects.toMatchObject({code: 'FILE_UNREADABLE'});
  });
});
