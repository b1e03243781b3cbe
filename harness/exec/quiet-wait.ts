import {cpus} from 'node:os';
import {setTimeout as delay} from 'node:timers/promises';

const LOOK_MS = 100;
/** Cores in use that count as quiet. */
const QUIET_CORES = 0.25;

/**
 * Waits until the CPU is idle after a round (freed memory, page cache, a killed tree), at most `atMostMs`. A host that
 * other programs keep busy is not waited for: the samplers see it.
 */
export async function waitUntilQuiet(signal: AbortSignal, atMostMs = 2_000): Promise<void> {
  const end = performance.now() + atMostMs;
  for (let before = busyMs(); performance.now() < end; ) {
    const began = performance.now();
    await delay(LOOK_MS, undefined, {signal}).catch(() => undefined);
    if (signal.aborted) return;
    const now = busyMs();
    if ((now - before) / (performance.now() - began) < QUIET_CORES) return;
    before = now;
  }
}

/** CPU time of all cores that was not idle. */
function busyMs(): number {
  return cpus().reduce((sum, {times}) => sum + times.user + times.nice + times.sys + times.irq, 0);
}
