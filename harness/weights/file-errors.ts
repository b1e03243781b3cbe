import {dirname} from 'node:path';
import {BenchError} from '../contract/errors.ts';

/** The errno name of a system error, `''` for anything else. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** System errors that a person can mend, as one line; everything else stays what it is. */
export function asFileError(error: unknown, path: string): unknown {
  if (error instanceof BenchError) return error;
  switch (errnoOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new BenchError('DISK_FULL', `${path}: no space left in ${dirname(path)}`, {cause: error});
    case 'ENOENT':
      return new BenchError('FILE_UNREADABLE', `${path}: no such file or folder`, {cause: error});
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new BenchError('FILE_UNREADABLE', `${path}: permission denied`, {cause: error});
    case 'EISDIR':
    case 'ENOTDIR':
      return new BenchError(
        'FILE_UNREADABLE',
        `${path}: not the kind of file expected (a folder where a file should be, or the other way round)`,
        {cause: error},
      );
    case 'EIO':
      return new BenchError('FILE_UNREADABLE', `${path}: the disk reports a read error`, {cause: error});
    default:
      return error;
  }
}

/** One error for every way in which a person or a parent stops the work. */
export function throwIfAborted(signal: AbortSignal, what: string): void {
  if (signal.aborted) throw new BenchError('INTERRUPTED', `${what}: interrupted`);
}
