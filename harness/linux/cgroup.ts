import {memoryStatField} from './memory-stat.ts';
import {readNumber, type SystemFiles} from './system-files.ts';

/** Where a process stands in the tree of one controller: its own folder first, then every folder above it. */
export interface CgroupPath {
  readonly version: 1 | 2;
  readonly folders: readonly [string, ...string[]];
}

/**
 * Finds the folder of a process in version 1, version 2 or a mix of both, from inside or outside a container. Null when
 * the controller is not there at all.
 */
export function findCgroup(
  files: SystemFiles,
  controller: 'memory' | 'cpu',
  pid: number | 'self' = 'self',
): CgroupPath | null {
  const lines = (files.text(`/proc/${pid}/cgroup`) ?? '').split('\n');
  const mounts = parseMounts(files.text('/proc/self/mountinfo') ?? '');
  const own = lines.map(parseLine).filter((line) => line !== null);

  const v1 = own.find((line) => line.controllers.includes(controller));
  const v1Mount = mounts.find((mount) => mount.type === 'cgroup' && mount.options.includes(controller));
  if (v1 !== undefined && v1Mount !== undefined) return cgroupPath(1, v1Mount, v1.path);

  const v2 = own.find((line) => line.controllers.length === 0);
  const v2Mount = mounts.find((mount) => mount.type === 'cgroup2');
  if (v2 === undefined || v2Mount === undefined) return null;
  const found = cgroupPath(2, v2Mount, v2.path);
  // In a mixed layout the version 2 tree is mounted without controllers: it has no memory.* or cpu.* file anywhere.
  const probe = controller === 'memory' ? 'memory.stat' : 'cpu.stat';
  const enabled = (files.text(`${v2Mount.point}/cgroup.controllers`) ?? '').split(/\s+/).includes(controller);
  return enabled || files.text(`${found.folders[0]}/${probe}`) !== null ? found : null;
}

interface Mount {
  readonly type: string;
  /** The folder of the tree that is visible at `point`: not `/` inside a container. */
  readonly root: string;
  readonly point: string;
  readonly options: readonly string[];
}

/** One line a mount: `36 35 0:33 <root> <point> <options> [tags…] - <type> <source> <super options>`. */
function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , root, point] = left.split(' ');
    const [type, , options = ''] = right.split(' ');
    if (root === undefined || point === undefined || type === undefined) return [];
    return [{type, root, point, options: options.split(',')}];
  });
}

function parseLine(line: string): {controllers: readonly string[]; path: string} | null {
  const match = /^\d+:([^:]*):(\/.*)$/.exec(line);
  if (match === null) return null;
  return {controllers: (match[1] ?? '').split(',').filter((name) => name !== ''), path: match[2] ?? '/'};
}

function cgroupPath(version: 1 | 2, mount: Mount, path: string): CgroupPath {
  const root = mount.root === '/' ? '' : mount.root;
  const below = path.startsWith(`${root}/`) || path === root ? path.slice(root.length) : path;
  const parts = below.split('/').filter((part) => part !== '' && part !== '..');
  const folders = parts.map((_, index) => `${mount.point}/${parts.slice(0, parts.length - index).join('/')}`);
  const [first, ...above] = [...folders, mount.point];
  return {version, folders: [first ?? mount.point, ...above]};
}

/** Limits at or above this are "no limit" in version 1, whose files always hold a number. */
const UNLIMITED_BYTES = 2 ** 60;

export interface CgroupMemory {
  /** The tightest limit of the folder and those above it; null for none. */
  readonly limitBytes: number | null;
  /** What may still be taken before the tightest limit is hit, reclaimable file cache counted as free; null for no limit. */
  readonly roomBytes: number | null;
}

export function readCgroupMemory(files: SystemFiles, path: CgroupPath): CgroupMemory {
  const names =
    path.version === 2
      ? ({limit: 'memory.max', usage: 'memory.current', cache: 'inactive_file'} as const)
      : ({limit: 'memory.limit_in_bytes', usage: 'memory.usage_in_bytes', cache: 'total_inactive_file'} as const);
  let limitBytes: number | null = null;
  let roomBytes: number | null = null;
  for (const folder of path.folders) {
    const limit = readNumber(files, `${folder}/${names.limit}`);
    if (limit === null || limit >= UNLIMITED_BYTES || limit < 0) continue;
    const usage = readNumber(files, `${folder}/${names.usage}`) ?? 0;
    const cache = memoryStatField(files.text(`${folder}/memory.stat`) ?? '', names.cache) ?? 0;
    const room = Math.max(0, limit - Math.max(0, usage - cache));
    limitBytes = limitBytes === null ? limit : Math.min(limitBytes, limit);
    roomBytes = roomBytes === null ? room : Math.min(roomBytes, room);
  }
  return {limitBytes, roomBytes};
}

/** CPU time a second that the tightest quota of the folder and those above it grants, in cores; null for none. */
export function readCpuQuota(files: SystemFiles, path: CgroupPath): number | null {
  const quotas = path.folders.map((folder) => {
    const [quota, period] =
      path.version === 2
        ? (files.text(`${folder}/cpu.max`) ?? '').trim().split(/\s+/).map(Number)
        : [readNumber(files, `${folder}/cpu.cfs_quota_us`), readNumber(files, `${folder}/cpu.cfs_period_us`)];
    return quota !== undefined && quota !== null && period && quota > 0 ? quota / period : Number.POSITIVE_INFINITY;
  });
  const tightest = Math.min(...quotas);
  return Number.isFinite(tightest) ? tightest : null;
}

/** How often the kernel's OOM killer struck. */
export interface OomKills {
  /** In the control group of the process, those below it included where the kernel counts them; null when unknown. */
  readonly cgroup: number | null;
  /** On the whole host since boot. */
  readonly host: number | null;
}

/** Read before a worker starts and after it ended: a counter that rose tells a memory limit from a crash. */
export function readOomKills(files: SystemFiles, pid: number | 'self' = 'self'): OomKills {
  const path = findCgroup(files, 'memory', pid);
  const file = path?.version === 2 ? 'memory.events' : 'memory.oom_control';
  return {
    cgroup: path === null ? null : memoryStatField(files.text(`${path.folders[0]}/${file}`) ?? '', 'oom_kill'),
    host: memoryStatField(files.text('/proc/vmstat') ?? '', 'oom_kill'),
  };
}
