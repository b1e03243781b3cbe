import path from 'node:path';
import type {SystemFiles} from '../linux/system-files.ts';

const FOLDERS = [
  '/lib',
  '/usr/lib',
  '/lib64',
  '/usr/lib64',
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/local/lib',
  '/usr/lib/wsl/lib',
] as const;

/**
 * Whether the dynamic loader would find a library: in LD_LIBRARY_PATH, in its cache, or in the usual folders. The library
 * is not loaded: a GPU driver would start up inside the harness.
 */
export function canLoad(
  library: string,
  files: SystemFiles,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  const own = (env['LD_LIBRARY_PATH'] ?? '').split(':').filter((folder) => path.isAbsolute(folder));
  if ([...own, ...FOLDERS].some((folder) => files.list(folder).includes(library))) return true;
  // The cache is binary, with the names in it as zero-terminated text.
  return (files.text('/etc/ld.so.cache') ?? '').includes(`\0${library}\0`);
}
