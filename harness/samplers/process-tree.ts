import {parseProcessTimes} from '../linux/proc-stat.ts';
import type {SystemFiles} from '../linux/system-files.ts';

/**
 * The worker and all its descendants. A process found once stays in the tree until it ends, also when its parent ended
 * before it.
 */
export class ProcessTree {
  readonly #files: SystemFiles;
  readonly #rootPid: number;
  /** Older kernels have no `children` file: there the process group stands for the tree. */
  readonly #hasChildren: boolean;
  #pids: ReadonlySet<number>;

  constructor(files: SystemFiles, rootPid: number) {
    this.#files = files;
    this.#rootPid = rootPid;
    this.#hasChildren = files.text(`/proc/${rootPid}/task/${rootPid}/children`) !== null;
    this.#pids = new Set([rootPid]);
  }

  get pids(): ReadonlySet<number> {
    return this.#pids;
  }

  /** Forgets a process that has ended. */
  drop(pid: number): void {
    this.#pids = new Set([...this.#pids].filter((known) => known !== pid));
  }

  /** Looks for processes that were started or orphaned since the last look. */
  refresh(): ReadonlySet<number> {
    const found = new Set(this.#pids);
    if (this.#hasChildren) for (const pid of found) for (const child of this.#childrenOf(pid)) found.add(child);
    else for (const pid of this.#group()) found.add(pid);
    this.#pids = found;
    return found;
  }

  /** A child hangs below the thread that made it, so all threads have to be asked. */
  #childrenOf(pid: number): number[] {
    const threads = this.#files.list(`/proc/${pid}/task`);
    return threads.flatMap((thread) => {
      const children = this.#files.text(`/proc/${pid}/task/${thread}/children`) ?? '';
      return children === '' ? [] : children.trim().split(/\s+/).map(Number).filter(Number.isSafeInteger);
    });
  }

  #group(): number[] {
    return this.#files
      .list('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => parseProcessTimes(this.#files.text(`/proc/${pid}/stat`) ?? '')?.groupId === this.#rootPid);
  }
}
