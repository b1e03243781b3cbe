import {randomBytes} from 'node:crypto';
import {createWriteStream} from 'node:fs';
import {createInterface} from 'node:readline';
import {finished} from 'node:stream/promises';
import {execa} from 'execa';
import {BenchError} from '../../contract/errors.ts';
import {WorkerGuard} from '../../exec/guard-process.ts';
import {killWorker} from '../../exec/kill-worker.ts';
import {oneLine} from '../../exec/log-reason.ts';
import {WORKER_MARK} from '../../exec/process-tree.ts';

/** Between SIGTERM and SIGKILL: an installer clears up what it has begun. */
const KILL_GRACE_MS = 3_000;
/** Lines that say what failed; uv says it after the word: `cause: Because there is no version of torch==…`. */
const TELLING = /error|fatal|no version of/i;
/** Lines that say that something failed, but not what. */
const EMPTY_WORDS =
  /subprocess-exited-with-error|This error originates from a subprocess|No solution found when resolving dependencies/;

/** Runs the programs of a build one after the other; what they print goes to one log file. */
export class BuildLog {
  readonly path: string;
  readonly #signal: AbortSignal;

  constructor(path: string, signal: AbortSignal) {
    this.path = path;
    this.#signal = signal;
  }

  /**
   * Whatever the program started has ended with it: when it is stopped, and when this process is killed. An installer
   * that went on alone would meet the one of the next attempt in the same folder.
   *
   * @param env Added to the environment of this process.
   * @param onLine Gets every line that goes to the log.
   * @throws {BenchError} SETUP_FAILED with the first line that says "error", and the log; DISK_FULL; INTERRUPTED.
   */
  async run(
    what: string,
    program: string,
    args: readonly string[],
    cwd: string,
    env: Readonly<Record<string, string>> = {},
    onLine: (line: string) => void = () => undefined,
  ): Promise<void> {
    if (this.#signal.aborted) throw new BenchError('INTERRUPTED', `${what} was stopped`);
    const log = createWriteStream(this.path, {flags: 'a'});
    // Without a listener a full disk would end this process; the program meets it, too, and says so.
    log.on('error', () => undefined);
    log.write(`$ ${program} ${args.join(' ')}\n`);
    const telling: string[] = [];
    const mark = randomBytes(12).toString('hex');
    const child = execa(program, args, {
      cwd,
      env: {...env, [WORKER_MARK]: mark},
      all: true,
      buffer: false,
      reject: false,
      stdin: 'ignore',
      detached: true,
      cleanup: false,
    });
    const {pid} = child;
    const guard = pid === undefined ? null : new WorkerGuard(pid, mark);
    const end = async () => {
      if (pid !== undefined) await killWorker(pid, mark, {graceMs: KILL_GRACE_MS});
    };
    const stop = () => void end();
    this.#signal.addEventListener('abort', stop, {once: true});
    try {
      for await (const line of createInterface({input: child.all})) {
        log.write(`${line}\n`);
        onLine(line);
        if (TELLING.test(line) && !EMPTY_WORDS.test(line)) telling.push(line);
      }
      const result = await child;
      if (this.#signal.aborted) throw new BenchError('INTERRUPTED', `${what} was stopped`);
      if (result.failed) throw this.#failure(what, telling, result.shortMessage);
    } finally {
      this.#signal.removeEventListener('abort', stop);
      await end();
      guard?.release();
      log.end();
      await finished(log).catch(() => undefined);
    }
  }

  #failure(what: string, telling: readonly string[], otherwise: string | undefined): BenchError {
    const full = telling.find((line) => /no space left on device|disk quota exceeded/i.test(line));
    if (full !== undefined) return new BenchError('DISK_FULL', `${what} failed: ${oneLine(full)} (log: ${this.path})`);
    const reason = oneLine(telling[0] ?? otherwise ?? 'it gave no reason');
    return new BenchError('SETUP_FAILED', `${what} failed: ${reason} (log: ${this.path})`);
  }
}
