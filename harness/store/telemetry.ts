import {open} from 'node:fs/promises';
import type {Series} from '../contract/sampler.ts';
import {diskError} from './disk-error.ts';
import {plainNumber} from './plain-number.ts';

const HEADER = 't_ms,cell_id,round,channel,value\n';
const ROWS_A_WRITE = 2000;

/**
 * Appends the readings of one round to telemetry.csv: local, one row a reading, an empty value for one that failed.
 * Times are milliseconds on the clock of the cell. A torn last row of a killed run is left behind as a row of its own.
 *
 * @throws {BenchError} `DISK_FULL`, `FILE_UNREADABLE`.
 */
export async function writeTelemetry(
  path: string,
  {cellId, round, series}: {readonly cellId: string; readonly round: number; readonly series: readonly Series[]},
): Promise<void> {
  try {
    const file = await open(path, 'a+');
    try {
      const {size} = await file.stat();
      if (size === 0) await file.appendFile(HEADER);
      else if ((await file.read(Buffer.alloc(1), 0, 1, size - 1)).buffer[0] !== 0x0a) await file.appendFile('\n');
      let rows: string[] = [];
      for (const {channel, tMs, values} of series) {
        for (const [index, time] of tMs.entries()) {
          const value = values[index] ?? null;
          rows.push(`${time.toFixed(3)},${cellId},${round},${channel},${value === null ? '' : plainNumber(value)}\n`);
          if (rows.length < ROWS_A_WRITE) continue;
          await file.appendFile(rows.join(''));
          rows = [];
        }
      }
      if (rows.length > 0) await file.appendFile(rows.join(''));
    } finally {
      await file.close();
    }
  } catch (error) {
    throw diskError(error, 'write', path);
  }
}
