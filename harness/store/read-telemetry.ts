import {createReadStream} from 'node:fs';
import {createInterface} from 'node:readline';
import {diskError} from './disk-error.ts';

/** Readings of one channel. */
export interface TelemetrySeries {
  readonly channel: string;
  readonly tMs: number[];
  readonly values: (number | null)[];
}

/**
 * The first recorded round of a cell in telemetry.csv, by channel; empty when it has none. The file is read only so far.
 * Lines that are damaged (a torn one of a killed run) are left out: telemetry is for looking at, figures come from the journal.
 *
 * @throws {BenchError} `FILE_UNREADABLE`
 */
export async function readTelemetry(
  path: string,
  cellId: string,
): Promise<{readonly round: number; readonly series: readonly TelemetrySeries[]}> {
  const series = new Map<string, TelemetrySeries>();
  let wanted: string | null = null;
  const source = createReadStream(path);
  const failed = new Promise<never>((_resolve, reject) => {
    source.once('error', (error) => reject(diskError(error, 'read', path)));
  });
  const read = async (): Promise<void> => {
    for await (const line of createInterface({input: source})) {
      const [time = '', cell, round = '', channel = '', value = ''] = line.split(',');
      const here = cell === cellId && /^\d+$/.test(round);
      if (!here || (wanted !== null && wanted !== round)) {
        // Rounds are written one after the other: another one begins.
        if (wanted !== null && /^\d+$/.test(round)) break;
        continue;
      }
      wanted = round;
      const tMs = Number(time);
      const reading = value === '' ? null : Number(value);
      if (time === '' || !Number.isFinite(tMs) || (reading !== null && !Number.isFinite(reading))) continue;
      const known = series.get(channel) ?? {channel, tMs: [], values: []};
      known.tMs.push(tMs);
      known.values.push(reading);
      series.set(channel, known);
    }
  };
  try {
    await Promise.race([read(), failed]);
  } finally {
    source.destroy();
  }
  return {round: Number(wanted ?? 0), series: [...series.values()]};
}
