import {createReadStream} from 'node:fs';
import {createInterface} from 'node:readline';
import {diskError} from './disk-error.ts';

/** Readings of one channel. */
export interface TelemetrySeries {
  readonly channel: string;
  readonly tMs: number[];
  readonly values: (number | null)[];
}

/** Readings of one round of one cell. */
export interface RoundTelemetry {
  readonly cellId: string;
  readonly round: number;
  readonly series: readonly TelemetrySeries[];
}

/**
 * The first round that telemetry.csv holds of any of these cells; null when it has none of them. The file, which may be of
 * any size, is read only so far. Lines that are damaged (a torn one of a killed run) are left out: telemetry is for
 * looking at, figures come from the journal.
 *
 * @throws {BenchError} `FILE_UNREADABLE`
 */
export async function readTelemetry(path: string, cells: ReadonlySet<string>): Promise<RoundTelemetry | null> {
  const source = createReadStream(path);
  const failed = new Promise<never>((_resolve, reject) => {
    source.once('error', (error) => reject(diskError(error, 'read', path)));
  });
  try {
    return await Promise.race([firstRound(createInterface({input: source}), cells), failed]);
  } finally {
    source.destroy();
  }
}

async function firstRound(lines: AsyncIterable<string>, cells: ReadonlySet<string>): Promise<RoundTelemetry | null> {
  const series = new Map<string, TelemetrySeries>();
  let wanted: {readonly cellId: string; readonly round: string} | null = null;
  for await (const line of lines) {
    const [time = '', cellId = '', round = '', channel = '', value = ''] = line.split(',');
    if (!/^\d+$/.test(round)) continue;
    if (wanted === null) {
      if (!cells.has(cellId)) continue;
      wanted = {cellId, round};
    }
    // Rounds are written one after the other: another one begins.
    if (wanted.cellId !== cellId || wanted.round !== round) break;
    const tMs = Number(time);
    const reading = value === '' ? null : Number(value);
    if (time === '' || !Number.isFinite(tMs) || (reading !== null && !Number.isFinite(reading))) continue;
    const known = series.get(channel) ?? {channel, tMs: [], values: []};
    known.tMs.push(tMs);
    known.values.push(reading);
    series.set(channel, known);
  }
  return wanted === null ? null : {cellId: wanted.cellId, round: Number(wanted.round), series: [...series.values()]};
}
