import {stat} from 'node:fs/promises';
import {join, resolve} from 'node:path';
import type {Cell} from '../contract/cell.ts';
import {BenchError} from '../contract/errors.ts';
import {type FileBeside, filesBeside} from '../plan/files-beside.ts';
import {sha256OfFile} from '../weights/hash-file.ts';

/**
 * The folder of the matrix file on this host: the first of the folders given that has all that the cell takes from
 * there. A plan names the folder of the machine that made it, and a rented host has another one.
 *
 * @throws {BenchError} `FILE_UNREADABLE` naming what is missing or has changed since the plan was made, and where it was
 *   looked for.
 */
export async function matrixFolder(
  cell: Cell,
  folders: readonly [string, ...string[]],
  signal: AbortSignal,
): Promise<string> {
  const needed = filesBeside(cell);
  const lacks: string[] = [];
  for (const folder of new Set(folders)) {
    const lack = await lackOf(folder, needed, signal);
    if (lack === null) return folder;
    lacks.push(lack);
  }
  throw new BenchError(
    'FILE_UNREADABLE',
    `cell ${cell.id}: ${lacks.join('; ')}: give --matrix-dir, the folder of the matrix file on this host`,
  );
}

async function lackOf(folder: string, needed: readonly FileBeside[], signal: AbortSignal): Promise<string | null> {
  for (const {path, sha256} of needed) {
    const place = resolve(folder, path);
    const there = await stat(place).catch(() => null);
    if (there === null) return `${join(folder, path)} is not there`;
    if (sha256 !== null && (await sha256OfFile(place, {signal})) !== sha256)
      return `${join(folder, path)} is not the file of the plan`;
  }
  return null;
}
