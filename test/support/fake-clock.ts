import {vi} from 'vitest';

/** A clock that moves only when a test moves it, together with the timers of Node. */
export interface FakeClock {
  readonly nowMs: () => number;
  advance(ms: number): void;
  /** The process did not run for a while: time passes and no timer fires until the next `advance`. */
  stall(ms: number): void;
}

/** Call `vi.useRealTimers()` after the test. */
export function fakeClock(): FakeClock {
  vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout']});
  let offset = 0;
  let elapsed = 0;
  return {
    nowMs: () => elapsed + offset,
    advance(ms) {
      for (let step = 0; step < ms; step++) {
        elapsed++;
        vi.advanceTimersByTime(1);
      }
    },
    stall(ms) {
      offset += ms;
    },
  };
}
