import {createWriteStream} from 'node:fs';
import {finished} from 'node:stream/promises';
import {execa} from 'execa';
import {BenchError} from '../../contract/errors.ts';

/** Runs the programs of a build one after the other; what they print goes to one log file. */
export class BuildLog {
  readonly path: string;
  readonly #signal: AbortSignal;

  constructor(path: string, signal: AbortSignal) {
    this.path = path;
    this.#signal = signal;
  }

  /** @throws {BenchError} SETUP_FAILED with the last line that says "error", and the log; INTERRUPTED. */
  async run(what: string, program: string, args: readonly string[], cwd: string): Promise<void> {
    const log = createWriteStream(this.path, {flags: 'a'});
    log.write(`$ ${program} ${args.join(' ')}\n`);
    const tail: string[] = [];
    const child = execa(program, args, {
      cwd,
      all: true,
      buffer: false,
      reject: false,
      stdin: 'ignore',
      cancelSignal: this.#signal,
    });
    for await (const line of child.iterable({from: 'all'})) {
      log.write(`${line}\n`);
      if (/error|fatal/i.test(line)) tail.push(line.trim());
    }
    const result = await child;
    log.end();
    await finished(log);
    if (result.isCanceled) throw new BenchError('INTERRUPTED', `${what} was stopped`);
    if (result.failed) {
      const reason = tail[0] ?? result.shortMessage;
      throw new BenchError('SETUP_FAILED', `${what} failed: ${reason} (log: ${this.path})`);
    }
  }
}
