import {readdir, stat} from 'node:fs/promises';
import {join} from 'node:path';
import {type MeasuredCell, measuredCells} from '../claims/measured-cell.ts';
import type {RequestRow} from '../contract/columns.ts';
import {BenchError} from '../contract/errors.ts';
import type {RunData} from '../contract/reporter.ts';
import {readManifest} from '../store/manifest.ts';
import {readRequestsCsv} from '../store/requests-csv.ts';
import {readResultsCsv} from '../store/results-csv.ts';
import {RunFolder} from '../store/run-folder.ts';

export interface ReadRun extends RunData {
  readonly path: string;
  /** Empty when requests.csv is not there. */
  readonly requests: readonly RequestRow[];
}

/**
 * Reads runs from their committed files: each path is a run folder, or a folder of run folders. A run is read once.
 *
 * @throws {BenchError} RESULTS_INVALID when a path holds no run, or a file of it is damaged.
 */
export async function readRuns(paths: readonly string[]): Promise<ReadRun[]> {
  const runs: ReadRun[] = [];
  for (const folder of await runFolders(paths)) runs.push(await readRun(folder));
  return runs;
}

/** All cells of the runs, with their requests. */
export function cellsOf(runs: readonly ReadRun[]): MeasuredCell[] {
  return runs.flatMap(({rows, requests}) => measuredCells(rows, requests));
}

/** The run folders that the paths stand for, each once. @throws {BenchError} RESULTS_INVALID */
export async function runFolders(paths: readonly string[]): Promise<RunFolder[]> {
  const folders = new Map<string, RunFolder>();
  for (const path of paths) {
    for (const folder of await foldersOf(path)) folders.set(folder.path, folder);
  }
  return [...folders.values()];
}

async function foldersOf(path: string): Promise<RunFolder[]> {
  if (await exists(join(path, 'manifest.json'))) return [await RunFolder.open(path)];
  const names = await readdir(path).catch((cause: unknown) => {
    throw new BenchError('RESULTS_INVALID', `${path} is no folder that can be read`, {cause});
  });
  const folders: RunFolder[] = [];
  for (const name of names.sort()) {
    const inner = join(path, name);
    if (await exists(join(inner, 'manifest.json'))) folders.push(await RunFolder.open(inner));
  }
  if (folders.length === 0)
    throw new BenchError('RESULTS_INVALID', `${path} holds no run: no folder has a manifest.json`);
  return folders;
}

async function readRun(folder: RunFolder): Promise<ReadRun> {
  const requests: RequestRow[] = [];
  if (await exists(folder.requestsPath)) {
    for await (const row of readRequestsCsv(folder.requestsPath)) requests.push(row);
  }
  return {
    path: folder.path,
    manifest: await readManifest(folder.manifestPath),
    rows: await readResultsCsv(folder.resultsPath),
    requests,
  };
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}
