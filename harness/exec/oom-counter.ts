import {readFile} from 'node:fs/promises';

/**
 * Processes that the kernel has killed for want of memory, on this host and in our control group, since whenever. Only
 * a rise between two readings means anything. null where neither counter can be read.
 */
export async function readOomKills(
  read: (path: string) => Promise<string> = (path) => readFile(path, 'utf8'),
): Promise<number | null> {
  const host = await counter(read, '/proc/vmstat');
  const own = /^0::(\S+)/m.exec(await read('/proc/self/cgroup').catch(() => ''))?.[1] ?? '/';
  const group =
    (await counter(read, `/sys/fs/cgroup${own === '/' ? '' : own}/memory.events`)) ??
    (await counter(read, '/sys/fs/cgroup/memory.events')) ??
    (await counter(read, '/sys/fs/cgroup/memory/memory.oom_control'));
  return host === null && group === null ? null : (host ?? 0) + (group ?? 0);
}

async function counter(read: (path: string) => Promise<string>, path: string): Promise<number | null> {
  const digits = /^oom_kill (\d+)$/m.exec(await read(path).catch(() => ''))?.[1];
  return digits === undefined ? null : Number(digits);
}
