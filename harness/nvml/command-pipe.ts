import {readSync, writeSync} from 'node:fs';
import koffi from 'koffi';

/** The C library of every system that NVIDIA's driver runs on. */
const LIBC = 'libc.so.6';
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
const STANDARD_INPUT = 0;
const POLLIN = 1;
const POLLFD_BYTES = 8;
const CLOCK_MONOTONIC = 1;

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

  /** Sleeps until the time is over or there is something to hear. @returns Whether there is. */
  wait(ms: number): boolean {
    return this.#poll(this.#entry, 1, ms) > 0;
  }

  /** What was said. The pipe closes when the parent says so, and when it dies, however it dies. */
  hear(): Heard {
    let count: number;
    try {
      count = readSync(STANDARD_INPUT, this.#chunk);
    } catch {
      return {questions: [], ended: false};
    }
    if (count === 0) return {questions: [], ended: true};
    const lines = (this.#rest + this.#chunk.toString('latin1', 0, count)).split('\n');
    this.#rest = lines.pop() ?? '';
    return {questions: lines.map(Number), ended: false};
  }
}

/** Numbers of questions, or that the end has come. */
export interface Heard {
  readonly questions: readonly number[];
  readonly ended: boolean;
}

/** Writes to an open pipe, all of it. @throws {Error} when nobody reads it any more. */
export function pipeWriter(descriptor: number): (cells: Float64Array, count: number) => void {
  // Cast: koffi's functions are untyped.
  const write = koffi.load(LIBC).func('long write(int, void *, unsigned long)') as (
    descriptor: number,
    cells: Float64Array,
    bytes: number,
  ) => number;
  return (cells, count) => {
    const bytes = count * Float64Array.BYTES_PER_ELEMENT;
    const written = Number(write(descriptor, cells, bytes));
    // The pipe blocks: less than all is written only when something is wrong, and then Node says what.
    if (written !== bytes) {
      writeSync(
        descriptor,
        new Uint8Array(cells.buffer, cells.byteOffset + Math.max(0, written), bytes - Math.max(0, written)),
      );
    }
  };
}

/** Milliseconds of the clock that all processes share: `process.hrtime`, at a third of its cost for a process that has slept. */
export function monotonicClock(): () => number {
  // Cast: koffi's functions are untyped.
  const clockGettime = koffi.load(LIBC).func('int clock_gettime(int, void *)') as (
    id: number,
    time: Uint32Array,
  ) => number;
  // `struct timespec`: two numbers of 64 bits, of which the low words do (every system with this driver is little-endian).
  const time = new Uint32Array(4);
  return () => {
    clockGettime(CLOCK_MONOTONIC, time);
    return (time[0] ?? Number.NaN) * 1e3 + (time[2] ?? Number.NaN) / 1e6;
  };
}
