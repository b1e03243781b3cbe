import type {Cell} from '../contract/cell.ts';
import {BenchError} from '../contract/errors.ts';
import type {WorkerEvent} from '../contract/protocol.ts';

/** Three clocks over one worker: loading, silence, and a backstop over all. It sleeps in timers and never spins. */
export class Watchdog {
  readonly #cell: Cell;
  readonly #bark: (error: BenchError) => void;
  #loading: NodeJS.Timeout | null = null;
  #silence: NodeJS.Timeout | null = null;
  #backstop: NodeJS.Timeout | null = null;

  constructor(cell: Cell, bark: (error: BenchError) => void) {
    this.#cell = cell;
    this.#bark = bark;
  }

  /** The worker has its order. */
  start(): void {
    const {id, limits, stop} = this.#cell;
    this.#loading = timer(limits.loadSeconds, () =>
      this.#bark(new BenchError('CELL_TIMEOUT', `Cell ${id} was not loaded within ${limits.loadSeconds} s`)),
    );
    const total = limits.loadSeconds + 3 * stop.budgetSeconds + limits.idleSeconds;
    this.#backstop = timer(total, () =>
      this.#bark(new BenchError('CELL_TIMEOUT', `Cell ${id} did not end within ${total} s (load + 3 × budget + idle)`)),
    );
  }

  see(event: WorkerEvent): void {
    this.#silence?.refresh();
    if (event.type === 'loaded') {
      clear(this.#loading);
      const {id, limits} = this.#cell;
      this.#silence = timer(limits.idleSeconds, () =>
        this.#bark(new BenchError('WORKER_HUNG', `The worker of cell ${id} said nothing for ${limits.idleSeconds} s`)),
      );
    }
    if (event.type === 'done') this.stop();
  }

  stop(): void {
    clear(this.#loading);
    clear(this.#silence);
    clear(this.#backstop);
  }
}

function timer(seconds: number, callback: () => void): NodeJS.Timeout {
  // setTimeout fires at once above 2³¹ − 1 ms.
  return setTimeout(callback, Math.min(seconds * 1000, 2 ** 31 - 1));
}

function clear(handle: NodeJS.Timeout | null): void {
  if (handle !== null) clearTimeout(handle);
}
