import {fsyncSync, ftruncateSync, writeSync} from 'node:fs';
import {appendFile, mkdtemp, readFile, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import fc from 'fast-check';
import {beforeEach, describe, expect, test} from 'vitest';
import type {JournalRecord} from '../../../harness/contract/journal.ts';
import {Journal, type JournalDisk, lastRecordType, readJournal} from '../../../harness/store/journal.ts';
import {fixtureCell} from '../exec/fixture-cell.ts';

const at = '2026-11-23T21:00:00.000Z';
const RECORDS: readonly JournalRecord[] = [
  {type: 'run_started', schema: 1, runId: 'run', at},
  {type: 'bandwidth', device: 'test-cpu', threads: 2, bytesPerS: 2.5e10, at},
  {type: 'cell_planned', cell: fixtureCell(), verdict: 'run', reason: 'runs here — größer', refusedAs: null},
  {type: 'round_started', cellId: '0123456789ab', round: 0, attempt: 'a', canary: false, at},
  {
    type: 'event',
    cellId: '0123456789ab',
    attempt: 'a',
    tMs: 12.5,
    event: {
      type: 'request',
      phase: 'measure',
      index: 0,
      lane: 0,
      promptTokens: 8,
      evaluatedTokens: 8,
      cachedTokens: 0,
      batch: 1,
      startNs: 1,
      tokenNs: [2, 3, 4, 5],
      text: 'größer 🚀 \u2028',
    },
  },
  {type: 'run_finished', at},
];

let path = '';
beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'bench-store-')), 'journal.jsonl');
});

function write(records: readonly JournalRecord[], disk?: JournalDisk): void {
  const journal = Journal.open(path, disk);
  for (const record of records) journal.append(record);
  journal.close();
}

describe('a journal', () => {
  test('reads back what was appended, one line a record', async () => {
    write(RECORDS);
    expect(await readJournal(path)).toEqual(RECORDS);
    expect((await readFile(path, 'utf8')).split('\n')).toHaveLength(RECORDS.length + 1);
    expect(lastRecordType(path)).toBe('run_finished');
  });

  test('torn at any byte keeps every whole line, and continues without gluing', async () => {
    write(RECORDS);
    const whole = await readFile(path);
    for (let cut = 0; cut <= whole.length; cut++) {
      await writeFile(path, whole.subarray(0, cut));
      const kept = whole.subarray(0, cut).filter((byte) => byte === 0x0a).length;
      expect(await readJournal(path)).toEqual(RECORDS.slice(0, kept));
      // Appending syncs to the disk: every fifth byte, and around the ends of lines, is enough.
      if (cut % 5 !== 0 && !whole.subarray(Math.max(0, cut - 2), cut + 2).includes(0x0a)) continue;
      write([{type: 'run_continued', at}]);
      expect(await readJournal(path)).toEqual([...RECORDS.slice(0, kept), {type: 'run_continued', at}]);
      expect(lastRecordType(path)).toBe('run_continued');
    }
  });

  test('survives a torn tail of any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({maxLength: 200_000}), async (bytes) => {
        await writeFile(path, '');
        write(RECORDS);
        await appendFile(
          path,
          bytes.filter((byte) => byte !== 0x0a),
        );
        expect(await readJournal(path)).toEqual(RECORDS);
        write([{type: 'run_continued', at}]);
        expect(await readJournal(path)).toHaveLength(RECORDS.length + 1);
      }),
      {numRuns: 20},
    );
  });

  test.each([
    ['{"type":"nothing"}', ':3: type: '],
    ['{"type":"run_finished"}', ':3: at: '],
    ['not json', ':3: not a JSON object'],
    ['', ':3: not a JSON object'],
  ])('with the damaged line %j is refused with its place', async (line, message) => {
    write(RECORDS.slice(0, 2));
    await appendFile(path, `${line}\n`);
    write([{type: 'run_continued', at}]);
    await expect(readJournal(path)).rejects.toMatchObject({
      code: 'RESULTS_INVALID',
      message: expect.stringContaining(path + message) as unknown,
    });
  });

  test('takes a half-written line back when the disk is full, and goes on when there is room', async () => {
    let room = 300;
    const {write: put, sync, truncate} = realDisk();
    const disk: JournalDisk = {
      sync,
      truncate,
      write(file, bytes, offset) {
        if (room === 0) throw Object.assign(new Error('no space left'), {code: 'ENOSPC'});
        const part = bytes.subarray(0, Math.min(bytes.length, offset + room));
        const written = put(file, part, offset);
        room -= written;
        return written;
      },
    };
    const journal = Journal.open(path, disk);
    journal.append(RECORDS[0] ?? {type: 'run_finished', at});
    journal.append(RECORDS[1] ?? {type: 'run_finished', at});
    expect(() => journal.append(RECORDS[2] ?? {type: 'run_finished', at})).toThrow(
      expect.objectContaining({code: 'DISK_FULL'}),
    );
    expect(await readJournal(path)).toEqual(RECORDS.slice(0, 2));
    room = 1e6;
    for (const record of RECORDS.slice(2)) journal.append(record);
    journal.close();
    expect(await readJournal(path)).toEqual(RECORDS);
  });

  test('of a folder that cannot be written is refused', () => {
    expect(() => Journal.open('/nonexistent/journal.jsonl')).toThrow(
      expect.objectContaining({code: 'FILE_UNREADABLE'}),
    );
  });
});

function realDisk(): JournalDisk {
  return {
    write: (file, bytes, offset) => writeSync(file, bytes, offset),
    sync: (file) => fsyncSync(file),
    truncate: (file, length) => ftruncateSync(file, length),
  };
}
