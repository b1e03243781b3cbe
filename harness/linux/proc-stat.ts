/** First line of /proc/stat: time of all CPUs since boot, in seconds. */
export interface HostCpuTimes {
  /** Work of any kind: user, nice, system and interrupts; guests are part of user. */
  readonly busyS: number;
  readonly idleS: number;
  /** Time in which a virtual CPU wanted to run and the hypervisor ran something else. */
  readonly stealS: number;
}

/** Linux reports these times in hundredths of a second on every architecture we run on (USER_HZ). */
export const TICKS_PER_S = 100;

export function parseHostCpuTimes(text: string): HostCpuTimes | null {
  const end = text.indexOf('\n');
  const line = end < 0 ? text : text.slice(0, end);
  if (!line.startsWith('cpu ')) return null;
  const ticks = line.trim().split(/\s+/).slice(1).map(Number);
  const [user, nice, system, idle, iowait = 0, irq = 0, softirq = 0, steal = 0] = ticks;
  if (user === undefined || nice === undefined || system === undefined || idle === undefined) return null;
  const times = {
    busyS: (user + nice + system + irq + softirq) / TICKS_PER_S,
    idleS: (idle + iowait) / TICKS_PER_S,
    stealS: steal / TICKS_PER_S,
  };
  return Number.isFinite(times.busyS + times.idleS + times.stealS) ? times : null;
}

export interface ProcessTimes {
  /** One letter: R running, S sleeping, Z ended but not yet collected, … */
  readonly state: string;
  readonly parentPid: number;
  readonly groupId: number;
  /** User and system time of all its threads, ended ones included, in seconds. */
  readonly cpuS: number;
  /** The same of its ended and collected children. */
  readonly childrenCpuS: number;
}

/** /proc/<pid>/stat. The second field is the program's name in brackets and may hold anything, brackets too. */
export function parseProcessTimes(text: string): ProcessTimes | null {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const state = fields[0] ?? '';
  const parentPid = Number(fields[1]);
  const groupId = Number(fields[2]);
  const cpuS = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
  const childrenCpuS = (Number(fields[13]) + Number(fields[14])) / TICKS_PER_S;
  if (!text.includes(')') || !/^[A-Za-z]$/.test(state)) return null;
  return Number.isFinite(parentPid + groupId + cpuS + childrenCpuS)
    ? {state, parentPid, groupId, cpuS, childrenCpuS}
    : null;
}
