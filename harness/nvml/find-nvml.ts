import path from 'node:path';
import type {SystemFiles} from '../linux/system-files.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const LIBRARY = 'libnvidia-ml.so.1';
/** Where WSL keeps it, outside the folders of the dynamic loader. */
const WSL_FOLDER = '/usr/lib/wsl/lib';

/** What to hand to the dynamic loader, in this order. */
export const NVML_NAMES: readonly string[] = [LIBRARY, `${WSL_FOLDER}/${LIBRARY}`];

const FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
  '/lib64',
  '/lib',
  '/usr/local/lib',
  '/usr/local/nvidia/lib64',
  WSL_FOLDER,
] as const;

/** Whether NVML is installed, by looking for its file: nothing is loaded and nothing is started. */
export function hasNvml(files: SystemFiles, env: Environment): boolean {
  const own = (env['LD_LIBRARY_PATH'] ?? '').split(':').filter((folder) => path.isAbsolute(folder));
  if ([...own, ...FOLDERS].some((folder) => files.list(folder).includes(LIBRARY))) return true;
  // The loader's cache is binary, with the names in it as zero-terminated text.
  return (files.text('/etc/ld.so.cache') ?? '').includes(`${LIBRARY}\0`);
}

/** Path of nvidia-smi, or null. */
export function findNvidiaSmi(files: SystemFiles, env: Environment): string | null {
  const folders = [...(env['PATH'] ?? '').split(':').filter((folder) => path.isAbsolute(folder)), WSL_FOLDER];
  const folder = folders.find((one) => files.list(one).includes('nvidia-smi'));
  return folder === undefined ? null : path.join(folder, 'nvidia-smi');
}
