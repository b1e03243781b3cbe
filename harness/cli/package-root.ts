import {existsSync, readFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {z} from 'zod';

/** Folder of bench itself (with matrices/, runners/), whether it runs from source or from dist/. */
export const PACKAGE_ROOT = findRoot(dirname(fileURLToPath(import.meta.url)));

function findRoot(start: string): string {
  let folder = start;
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`no package.json above ${start}: bench is not installed whole`);
    folder = parent;
  }
  return folder;
}

const PackageSchema = z.object({version: z.string()});

/** Version of bench, from its package.json. */
export const HARNESS_VERSION = PackageSchema.parse(
  JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')),
).version;
