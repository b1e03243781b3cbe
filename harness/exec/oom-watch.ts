import {type OomKills, readOomKills} from '../linux/cgroup.ts';
import {type SystemFiles, systemFiles} from '../linux/system-files.ts';

/** Tells a worker that the kernel killed for memory from one that crashed. Make it before the worker starts. */
export class OomWatch {
  readonly #files: SystemFiles;
  readonly #pid: number | 'self';
  readonly #before: OomKills;

  /** @param pid A process in the worker's control group: this one, since a worker inherits its parent's group. */
  constructor({files = systemFiles(), pid = 'self'}: {files?: SystemFiles; pid?: number | 'self'} = {}) {
    this.#files = files;
    this.#pid = pid;
    this.#before = readOomKills(files, pid);
  }

  /**
   * Who struck since the watch was made: the limit of the control group, or the host that ran out of memory (a kill
   * there may have hit a stranger: believe it only of a worker that died of SIGKILL). Null when nobody did, or when the
   * kernel does not count.
   */
  killedBy(): 'cgroup' | 'host' | null {
    const after = readOomKills(this.#files, this.#pid);
    if (rose(this.#before.cgroup, after.cgroup)) return 'cgroup';
    return rose(this.#before.host, after.host) ? 'host' : null;
  }
}

function rose(before: number | null, after: number | null): boolean {
  return before !== null && after !== null && after > before;
}
