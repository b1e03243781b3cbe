import {mkdtemp, open, readdir, readFile, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import fc from 'fast-check';
import {beforeEach, describe, expect, test} from 'vitest';
import {
  COLUMN_NAMES,
  COLUMNS,
  REQUEST_COLUMN_NAMES,
  REQUEST_COLUMNS,
  type RequestRow,
  type ResultRow,
} from '../../../harness/contract/columns.ts';
import type {Kind, Value} from '../../../harness/store/csv-table.ts';
import {guardFormula, unguardFormula} from '../../../harness/store/formula-guard.ts';
import {plainNumber} from '../../../harness/store/plain-number.ts';
import {readRequestsCsv, writeRequestsCsv} from '../../../harness/store/requests-csv.ts';
import {readResultsCsv, writeResultsCsv} from '../../../harness/store/results-csv.ts';

let path = '';
beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'bench-store-')), 'results.csv');
});

const text = fc.oneof(
  fc.string({minLength: 1, unit: 'binary'}),
  fc.string({
    minLength: 1,
    unit: fc.constantFrom("'", '"', '=', '+', '-', '@', ',', ';', '\t', '\r', '\n', ' ', '\uFEFF', '＝', 'a'),
  }),
);
function value(kind: Kind): fc.Arbitrary<Value> {
  if (kind === 'text') return fc.option(text);
  if (kind === 'integer') return fc.option(fc.maxSafeInteger().map((one) => (one === 0 ? 0 : one)));
  return fc.option(fc.double({noNaN: true, noDefaultInfinity: true}).map((one) => (one === 0 ? 0 : one)));
}

function rowOf(columns: Readonly<Record<string, {kind: Kind}>>, fixed: Record<string, fc.Arbitrary<Value>> = {}) {
  return fc.record(
    Object.fromEntries(Object.entries(columns).map(([name, {kind}]) => [name, fixed[name] ?? value(kind)])),
  );
}
// The generated records have exactly the columns of the tables.
const resultRow = rowOf(COLUMNS, {schema_version: fc.constant(1)}) as unknown as fc.Arbitrary<ResultRow>;
const requestRow = rowOf(REQUEST_COLUMNS) as unknown as fc.Arbitrary<RequestRow>;

const blank = Object.fromEntries(COLUMN_NAMES.map((name) => [name, null])) as unknown as ResultRow;
const row = (changes: Partial<ResultRow>): ResultRow => ({...blank, schema_version: 1, cell_id: 'a', ...changes});

async function readRequests(): Promise<RequestRow[]> {
  const rows: RequestRow[] = [];
  for await (const one of readRequestsCsv(path)) rows.push(one);
  return rows;
}

describe('results.csv', () => {
  test('reads back exactly what was written, sorted by cell id', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(resultRow, {maxLength: 4}), async (rows) => {
        await writeResultsCsv(path, rows);
        const sorted = [...rows].sort((a, b) => {
          const [x, y] = [a.cell_id ?? '', b.cell_id ?? ''];
          if (x === y) return 0;
          return x < y ? -1 : 1;
        });
        expect(await readResultsCsv(path)).toEqual(sorted);
      }),
      {numRuns: 60},
    );
  });

  test('leaves what was not measured empty, writes plain numbers, and ends lines with a line feed', async () => {
    await writeResultsCsv(path, [row({weights_bytes: 12_345_678_901, energy_j: 1e-7, bits_per_weight: 4.5})]);
    const [header, line, rest] = (await readFile(path, 'utf8')).split('\n');
    expect(header).toBe(COLUMN_NAMES.join(','));
    expect(line?.replace(/,{2,}/g, ',,')).toBe('1,,a,,12345678901,4.5,,0.0000001,,');
    expect(rest).toBe('');
  });

  test('holds nothing that a spreadsheet would run', async () => {
    await writeResultsCsv(path, [row({status_reason: '=HYPERLINK("http://x")', model: '@SUM(1)', kernel: "'=1"})]);
    const written = await readFile(path, 'utf8');
    expect(written).toContain(`"'=HYPERLINK(""http://x"")"`);
    expect(written).toContain(`,'@SUM(1),`);
    expect(written).toContain(`,''=1,`);
    expect((await readResultsCsv(path))[0]).toMatchObject({
      status_reason: '=HYPERLINK("http://x")',
      model: '@SUM(1)',
      kernel: "'=1",
    });
  });

  test.each([
    [
      'a renamed column',
      (csv: string) => csv.replace('energy_j,', 'energy,'),
      ':1: the column energy_j is missing, and the column "energy" is not known',
    ],
    [
      'a missing column that names cells',
      (csv: string) => csv.replace('run_id,', ''),
      ':1: the column run_id is missing',
    ],
    ['a column twice', (csv: string) => csv.replace('run_id', 'cell_id'), ':1: the column "cell_id" is twice'],
    ['another schema version', (csv: string) => csv.replace('\n1,', '\n2,'), ':2: schema_version 2'],
    ['a text for a number', (csv: string) => csv.replace('12.5', 'fast'), ':2: energy_j: "fast" is not a number'],
    ['a float for an integer', (csv: string) => csv.replace('\n1,', '\n1.5,'), ':2: schema_version: "1.5"'],
    ['an infinity', (csv: string) => csv.replace('12.5', 'Infinity'), ':2: energy_j: "Infinity" is not a number'],
    ['a short line', (csv: string) => `${csv}1,2\n`, ':4: 2 fields where'],
    ['an open quote', (csv: string) => csv.replace('\n1,', '\n"1,'), ':2: a quote is not closed'],
    ['nothing at all', () => '', ':1: the file is empty'],
  ])('with %s is refused in one line that names the place', async (_, damage, message) => {
    await writeResultsCsv(path, [row({energy_j: 12.5}), row({cell_id: 'b', model: 'two'})]);
    await writeFile(path, damage(await readFile(path, 'utf8')));
    const error: unknown = await readResultsCsv(path).catch((reason: unknown) => reason);
    expect(error).toMatchObject({code: 'RESULTS_INVALID'});
    const {message: got} = error as Error;
    expect(got).toContain(message);
    expect(got).not.toContain('\n');
  });

  test('of a newer bench is read without the columns that this one does not know', async () => {
    await writeResultsCsv(path, [row({energy_j: 12.5, kernel: 'a,b'})]);
    const [header, line] = (await readFile(path, 'utf8')).trimEnd().split('\n');
    await writeFile(path, `${header},carbon_g,constructor\n${line},"1,5",x\n`);
    expect(await readResultsCsv(path)).toEqual([row({energy_j: 12.5, kernel: 'a,b'})]);
  });

  test('of an older bench has nothing measured in the columns that it lacks', async () => {
    await writeResultsCsv(path, [row({model: 'x'})]);
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
    // The last columns, which are empty here.
    await writeFile(path, lines.map((line) => line.split(',').slice(0, -3).join(',')).join('\n'));
    expect(await readResultsCsv(path)).toEqual([row({model: 'x'})]);
  });

  test('of another version of the table is refused for that, whatever its columns are', async () => {
    await writeFile(path, 'schema_version,name\n2,x\n');
    await expect(readResultsCsv(path)).rejects.toThrow(`${path}:2: schema_version 2, but this bench reads 1`);
    await writeFile(path, 'schema_version,name\n');
    await expect(readResultsCsv(path)).rejects.toThrow(`${path}:1: the column run_id is missing`);
  });

  test('counts lines, not records, in its complaints', async () => {
    await writeResultsCsv(path, [
      row({cell_id: 'a', status_reason: 'two\nlines'}),
      row({cell_id: 'b', energy_j: 12.5}),
    ]);
    await writeFile(path, (await readFile(path, 'utf8')).replace('12.5', 'fast'));
    await expect(readResultsCsv(path)).rejects.toThrow(`${path}:4: energy_j`);
  });

  test('that a spreadsheet saved again (byte order mark, CRLF, other order) is still read', async () => {
    await writeResultsCsv(path, [row({model: 'x'})]);
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
    const swapped = lines.map((line) => {
      const [first = '', ...others] = line.split(',');
      return [...others, first].join(',');
    });
    await writeFile(path, `\uFEFF${swapped.join('\r\n')}\r\n`);
    expect(await readResultsCsv(path)).toEqual([row({model: 'x'})]);
  });

  test('stays whole when the disk is full', async () => {
    await writeResultsCsv(path, [row({model: 'old'})]);
    const fullDisk = async (temporary: string) => {
      const file = await open(temporary, 'wx');
      let room = 2_000;
      return {
        async writeFile(data: unknown) {
          room -= String(data).length;
          if (room < 0) throw Object.assign(new Error('no space left'), {code: 'ENOSPC'});
          await file.writeFile(String(data));
        },
        sync: () => file.sync(),
        close: () => file.close(),
      };
    };
    await expect(writeResultsCsv(path, [row({model: 'new'.repeat(1_000)})], fullDisk)).rejects.toMatchObject({
      code: 'DISK_FULL',
    });
    expect((await readResultsCsv(path))[0]?.model).toBe('old');
    expect(await readdir(dirname(path))).toEqual(['results.csv']);
  });
});

describe('requests.csv', () => {
  test('reads back exactly what was written', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(requestRow, {maxLength: 20}), async (rows) => {
        await writeRequestsCsv(path, rows);
        expect(await readRequests()).toEqual(rows);
      }),
      {numRuns: 60},
    );
  });

  test('is written and read as a stream', async () => {
    const blankRequest = Object.fromEntries(REQUEST_COLUMN_NAMES.map((name) => [name, null])) as unknown as RequestRow;
    async function* many() {
      for (let request = 0; request < 20_000; request++) yield {...blankRequest, request, token_us: '1 2 3'};
    }
    await writeRequestsCsv(path, many());
    let sum = 0;
    for await (const {request} of readRequestsCsv(path)) sum += request ?? 0;
    expect(sum).toBe((20_000 * 19_999) / 2);
  });

  test('may be left before its end', async () => {
    await writeRequestsCsv(path, []);
    for await (const _ of readRequestsCsv(path)) break;
    expect(await readRequests()).toEqual([]);
  });

  test('that is not there is said so', async () => {
    await expect(readRequests()).rejects.toMatchObject({code: 'FILE_UNREADABLE'});
  });
});

test('a plain number reads back as itself and has no exponent', () => {
  fc.assert(
    fc.property(fc.double({noNaN: true, noDefaultInfinity: true}), (number) => {
      const written = plainNumber(number);
      expect(written).toMatch(/^-?\d+(\.\d+)?$/);
      expect(Number(written)).toBe(number === 0 ? 0 : number);
    }),
  );
});

test('guarding a text is undone exactly, and no guarded text begins like a formula', () => {
  fc.assert(
    fc.property(text, (one) => {
      expect(unguardFormula(guardFormula(one))).toBe(one);
      expect(guardFormula(one)).not.toMatch(/^[=+\-@\t\r\n＝＋－＠]/);
    }),
  );
});
