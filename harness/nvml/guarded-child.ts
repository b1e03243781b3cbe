import {type ChildProcess, spawn} from 'node:child_process';

/**
 * Runs a program with its output in our pipe, and ends it when our end of the shell's standard input closes: also when
 * bench is killed and can end nothing itself. The shell gives its own output away, so that the pipe closes with the
 * program.
 */
const SCRIPT = `
"$@" </dev/null 2>&1 &
program=$!
exec >/dev/null 2>&1
read -r word
kill -9 "$program"
wait "$program"
exit $?
`;

/** A program that is never left behind. */
export class GuardedChild {
  readonly #shell: ChildProcess;

  constructor(file: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    // A group of its own: Ctrl-C in the terminal ends the cell first, and then this.
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'bench-guard', file, ...args], {
      env,
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    this.#shell.stdin?.on('error', () => undefined);
    // Without a shell there is no output, which the reader notices as an end.
    this.#shell.on('error', () => this.#shell.stdout?.destroy());
  }

  /** Group of the shell and the program; undefined when the shell could not be started. */
  get pid(): number | undefined {
    return this.#shell.pid;
  }

  onOutput(take: (chunk: Buffer) => void): void {
    this.#shell.stdout?.on('data', take);
  }

  /** Called once, when the program has ended or closed its output. */
  onClosed(take: () => void): void {
    this.#shell.stdout?.once('close', take);
  }

  /** Exit status of the program, once it has closed its output; null when it does not come. */
  async status(withinMs: number): Promise<number | null> {
    return await new Promise((resolve) => {
      const timer = setTimeout(() => resolve(null), withinMs);
      const done = (status: number | null) => {
        clearTimeout(timer);
        resolve(status);
      };
      if (this.#shell.exitCode !== null) done(this.#shell.exitCode);
      this.#shell.once('exit', done);
      this.#shell.stdin?.end();
    });
  }

  /** Ends everything at once. A program that is stuck inside the kernel cannot be ended and must not hold us up. */
  kill(): void {
    const {pid} = this.#shell;
    try {
      if (pid !== undefined && this.#shell.exitCode === null) process.kill(-pid, 'SIGKILL');
    } catch {
      // it is gone
    }
    this.#shell.stdin?.destroy();
    this.#shell.stdout?.destroy();
    this.#shell.unref();
  }
}
