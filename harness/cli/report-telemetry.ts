import {stat} from 'node:fs/promises';
import type {ReportTelemetry} from '../contract/report-data.ts';
import type {RunData} from '../contract/reporter.ts';
import {readJournal} from '../store/journal.ts';
import {readTelemetry} from '../store/read-telemetry.ts';
import type {RunFolder} from '../store/run-folder.ts';

/** A journal is read whole to find when the phases began: only where that is quick. */
const LARGEST_JOURNAL = 32 * 1024 ** 2;

/** One round of a measured cell that has its telemetry on this machine; null where none has. */
export async function readOneTelemetry(
  folders: readonly RunFolder[],
  runs: readonly RunData[],
): Promise<ReportTelemetry | null> {
  for (const [index, folder] of folders.entries()) {
    const measured = new Map<string, string>();
    for (const {status, run_id: run, cell_id: cell} of runs[index]?.rows ?? []) {
      if (status === 'ok' && cell !== null) measured.set(cell, run ?? '');
    }
    if (measured.size === 0 || !(await exists(folder.telemetryPath))) continue;
    const found = await readTelemetry(folder.telemetryPath, new Set(measured.keys()));
    if (found === null || found.series.length === 0) continue;
    const {cellId, round, series} = found;
    return {
      run_id: measured.get(cellId) ?? '',
      cell_id: cellId,
      round,
      series,
      phases: await phasesOf(folder, cellId, round),
    };
  }
  return null;
}

async function phasesOf(folder: RunFolder, cellId: string, round: number): Promise<ReportTelemetry['phases']> {
  const size = (await stat(folder.journalPath).catch(() => null))?.size ?? null;
  if (size === null || size > LARGEST_JOURNAL) return [];
  let attempt: string | null = null;
  const phases: {name: string; tMs: number}[] = [];
  for (const record of await readJournal(folder.journalPath)) {
    if (record.type === 'round_started' && record.cellId === cellId && record.round === round && !record.canary)
      attempt = record.attempt;
    if (record.type !== 'event' || record.attempt !== attempt) continue;
    if (record.event.type === 'ready') phases.push({name: 'load', tMs: record.tMs});
    if (record.event.type === 'phase') phases.push({name: record.event.name, tMs: record.tMs});
  }
  return phases;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}
