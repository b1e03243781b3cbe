import {type ChildProcess, spawn} from 'node:child_process';
import {WORKER_MARK} from './process-tree.ts';

/**
 * A shell that blocks on a pipe from us. Told `done` it ends; if the pipe closes without a word, then we were killed
 * (`kill -9`, an out-of-memory kill, a crash), and it ends the worker's group and whoever carries its mark. That works
 * for a worker in any language, needs no privilege, and costs one sleeping process of about 1 MB.
 */
const SCRIPT = `
read -r word && exit 0
kill -9 -- "-$1" 2>/dev/null
for file in /proc/[0-9]*/environ; do
  if grep -qs "$2" "$file"; then
    pid=\${file#/proc/}
    kill -9 "\${pid%/environ}" 2>/dev/null
  fi
done
exit 0
`;

/** Watches over a worker for the case that this process is killed before the worker ends. */
export class WorkerGuard {
  readonly #child: ChildProcess;

  /** @param leader Process id of the worker, which leads its process group. */
  constructor(leader: number, mark: string) {
    // A group of its own: Ctrl-C in the terminal must not end the guard before the worker.
    this.#child = spawn('/bin/sh', ['-c', SCRIPT, 'bench-guard', String(leader), `${WORKER_MARK}=${mark}`], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    // Without a shell there is no guard; the lock file still names the worker for the next start.
    this.#child.on('error', () => undefined);
    this.#child.stdin?.on('error', () => undefined);
  }

  /** The worker is gone: nothing is left to guard. */
  release(): void {
    this.#child.stdin?.end('done\n');
  }
}
