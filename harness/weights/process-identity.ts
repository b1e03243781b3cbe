import {readFile} from 'node:fs/promises';
import {hostname} from 'node:os';

/**
 * Which process owns a lock or a half-written folder. A process id alone is reused by the system; together with the
 * start time it is not.
 */
export interface ProcessIdentity {
  readonly host: string;
  readonly pid: number;
  /** Clock ticks after boot (Linux), 0 where the system does not tell. */
  readonly started: number;
}

/** Field 22 of /proc/PID/stat; the name in field 2 may hold blanks and parentheses, so counting starts after the last one. */
async function startTicks(pid: number): Promise<number | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended: it only waits for its parent to notice.
    if (fields[0] === 'Z' || fields[0] === 'X') return null;
    return Number(fields[19]);
  } catch {
    return null;
  }
}

/** Names of hosts become parts of file names. */
function hostSlug(): string {
  return hostname().replaceAll(/[^A-Za-z0-9.]/g, '-') || 'host';
}

export async function ownIdentity(): Promise<ProcessIdentity> {
  return {host: hostSlug(), pid: process.pid, started: (await startTicks(process.pid)) ?? 0};
}

/** `unknown`: another host's process (a cache folder on a network file system), which cannot be looked at from here. */
export async function livenessOf(owner: ProcessIdentity): Promise<'alive' | 'dead' | 'unknown'> {
  if (owner.host !== hostSlug()) return 'unknown';
  const started = await startTicks(owner.pid);
  if (started !== null) return owner.started === 0 || owner.started === started ? 'alive' : 'dead';
  if (process.platform === 'linux') return 'dead';
  try {
    process.kill(owner.pid, 0);
    return 'alive';
  } catch (error) {
    // EPERM: there is such a process, of another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM' ? 'alive' : 'dead';
  }
}
