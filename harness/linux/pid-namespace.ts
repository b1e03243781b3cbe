import {readlinkSync} from 'node:fs';

/** Number of the first pid namespace, the same on every Linux (PROC_PID_INIT_INO in include/linux/proc_ns.h). */
const FIRST = 'pid:[4026531836]';

/** Whether this process sees the pids of the host; false in most containers. */
export function seesHostPids(readLink: (path: string) => string = (path) => readlinkSync(path)): boolean {
  try {
    return readLink('/proc/self/ns/pid') === FIRST;
  } catch {
    return false;
  }
}
