import os from 'node:os';
import type {MemoryFacts} from '../contract/device.ts';
import {findCgroup, readCgroupMemory} from '../linux/cgroup.ts';
import {memInfoBytes} from '../linux/proc-status.ts';
import type {SystemFiles} from '../linux/system-files.ts';

/** Memory now. `availableBytes` moves: ask again before each decision. */
export function readMemory(files: SystemFiles): MemoryFacts {
  const info = files.text('/proc/meminfo') ?? '';
  const totalBytes = memInfoBytes(info, 'MemTotal') ?? os.totalmem();
  const available = memInfoBytes(info, 'MemAvailable') ?? Math.min(os.freemem(), totalBytes);
  const path = findCgroup(files, 'memory');
  const cgroup = path === null ? null : readCgroupMemory(files, path);
  return {
    totalBytes,
    availableBytes: Math.min(available, cgroup?.roomBytes ?? Number.POSITIVE_INFINITY),
    // A limit above the installed memory limits nothing.
    cgroupLimitBytes: cgroup?.limitBytes != null && cgroup.limitBytes < totalBytes ? cgroup.limitBytes : null,
    cgroupVersion: path?.version ?? null,
    swapTotalBytes: memInfoBytes(info, 'SwapTotal') ?? 0,
  };
}
