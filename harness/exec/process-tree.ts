import {readdir, readFile} from 'node:fs/promises';

/** Environment variable that marks a worker and whatever it starts, wherever that moves to. */
export const WORKER_MARK = 'BENCH_WORKER_MARK';

/** One process as /proc/<pid>/stat tells it. */
interface Entry {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
}

/**
 * Live processes that belong to a worker: its process group, the descendants of its leader, and whoever carries its
 * mark in the environment (a grandchild that began a session of its own and was left by its parent still does).
 * Zombies do not count: they hold nothing. Without /proc the group alone can be seen, by a signal.
 */
export async function workerProcesses(leader: number, mark: string): Promise<number[]> {
  const entries = await liveProcesses();
  if (entries === null) return groupExists(leader) ? [leader] : [];
  const found = new Set<number>();
  const parents = new Map(entries.map(({pid, parent}) => [pid, parent]));
  for (const {pid, group} of entries) {
    if (group === leader || descends(pid, leader, parents) || (await carries(pid, mark))) found.add(pid);
  }
  return [...found];
}

/** Live processes that carry a mark; none where there is no /proc. */
export async function markedProcesses(mark: string): Promise<number[]> {
  const found: number[] = [];
  for (const {pid} of (await liveProcesses()) ?? []) if (await carries(pid, mark)) found.push(pid);
  return found;
}

function descends(pid: number, leader: number, parents: ReadonlyMap<number, number>): boolean {
  for (let at = pid, depth = 0; at > 1 && depth < 64; depth++) {
    if (at === leader) return true;
    at = parents.get(at) ?? 0;
  }
  return false;
}

async function liveProcesses(): Promise<Entry[] | null> {
  const names = await readdir('/proc').catch(() => null);
  if (names === null) return null;
  const entries: Entry[] = [];
  for (const name of names) {
    if (!/^\d+$/.test(name)) continue;
    const text = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    // The command stands in parentheses and may hold blanks and parentheses itself.
    const [state = '', parent = '', group = ''] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    if (text === '' || state === 'Z' || state === 'X') continue;
    entries.push({pid: Number(name), parent: Number(parent), group: Number(group)});
  }
  return entries.length === 0 ? null : entries;
}

async function carries(pid: number, mark: string): Promise<boolean> {
  if (pid === process.pid) return false;
  const text = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
  return text.split('\0').includes(`${WORKER_MARK}=${mark}`);
}

function groupExists(leader: number): boolean {
  try {
    process.kill(-leader, 0);
    return true;
  } catch {
    return false;
  }
}

/** Signals a process group (negative) or a process; one that is gone is fine. */
export function signalQuietly(target: number, signal: NodeJS.Signals): void {
  try {
    process.kill(target, signal);
  } catch {
    // Gone already, or not ours any more.
  }
}
