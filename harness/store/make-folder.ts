import {mkdir} from 'node:fs/promises';
import {dirname} from 'node:path';
import {systemCode} from './disk-error.ts';

/**
 * Makes a folder and its parents. Node's own `recursive` never ends where the file system answers "no such folder" to
 * every attempt (Node 20 below /proc).
 *
 * @throws What the system says.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return;
    const parent = dirname(path);
    if (systemCode(error) !== 'ENOENT' || parent === path) throw error;
    await makeFolder(parent);
    await mkdir(path).catch((again: unknown) => {
      if (systemCode(again) !== 'EEXIST') throw again;
    });
  }
}
