import {readSync} from 'node:fs';
import koffi from 'koffi';

/** The C library of every system that NVIDIA's driver runs on. */
const LIBC = 'libc.so.6';
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
const STANDARD_INPUT = 0;
const POLLIN = 1;
const POLLFD_BYTES = 8;

/** A driver that hangs keeps this process from noticing that its parent is gone: the kernel notices for it. */
export function dieWithParent(): void {
  try {
    // Cast: koffi's functions are untyped.
    const prctl = koffi.load(LIBC).func('int prctl(int, unsigned long)') as (option: number, value: number) => number;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
  } catch {
    // no glibc: the closing of standard input has to do
  }
}

/** Standard input, waited for with poll(2): one call for sleeping and listening, without the event loop. */
export class CommandPipe {
  // Cast: koffi's functions are untyped.
  readonly #poll = koffi.load(LIBC).func('int poll(void *, unsigned long, int)') as (
    entries: Buffer,
    count: number,
    timeoutMs: number,
  ) => number;
  /** One `struct pollfd`: descriptor, events, what happened. */
  readonly #entry = Buffer.alloc(POLLFD_BYTES);
  readonly #chunk = Buffer.alloc(256);
  #rest = '';

  constructor() {
    this.#entry.writeInt32LE(STANDARD_INPUT, 0);
    this.#entry.writeInt16LE(POLLIN, 4);
  }

  /** The pipe closes when the parent says so, and when it dies, however it dies. */
  wait(ms: number): {readonly questions: readonly number[]; readonly ended: boolean} {
    const happened = this.#poll(this.#entry, 1, ms);
    if (happened <= 0) return NOTHING;
    let count: number;
    try {
      count = readSync(STANDARD_INPUT, this.#chunk);
    } catch {
      return NOTHING;
    }
    if (count === 0) return {questions: [], ended: true};
    const lines = (this.#rest + this.#chunk.toString('latin1', 0, count)).split('\n');
    this.#rest = lines.pop() ?? '';
    return {questions: lines.map(Number), ended: false};
  }
}

const NOTHING = {questions: [], ended: false} as const;
