import {BenchError} from '../contract/errors.ts';

/** The `code` of a Node system error, or ''. */
export function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/**
 * One line for a failure of the file system: `DISK_FULL` when there is no room (or no quota), else `FILE_UNREADABLE`.
 * A {@link BenchError} passes through.
 *
 * @param doing What was tried, as a verb: `write`, `read`, `create`.
 */
export function diskError(error: unknown, doing: string, path: string): BenchError {
  if (error instanceof BenchError) return error;
  const code = systemCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new BenchError('DISK_FULL', `No room left to ${doing} ${path}`, {cause: error, details: {path, code}});
  }
  if (code === '') return new BenchError('INTERNAL', `Cannot ${doing} ${path}: ${String(error)}`, {cause: error});
  return new BenchError('FILE_UNREADABLE', `Cannot ${doing} ${path}: ${reason(code)}`, {
    cause: error,
    details: {path, code},
  });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'read-only file system',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is not a folder',
  EEXIST: 'it exists already',
};

function reason(code: string): string {
  return REASONS[code] ?? code;
}
