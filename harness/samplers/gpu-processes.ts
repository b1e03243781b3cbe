import type {Caveat} from '../contract/caveats.ts';
import type {Series} from '../contract/sampler.ts';
import {SeriesLog} from './series-log.ts';

/** A process that holds memory of the card, as the driver names it. */
export interface GpuProcess {
  readonly pid: number;
  readonly name: string;
  readonly usedBytes: number | null;
}

/**
 * Who holds memory of the card: the worker's own share, and strangers.
 *
 * Most drivers know nothing of pid namespaces: inside a container they give pids of the host, which may be those of
 * unrelated processes here. Before the worker has its order it holds nothing, so whoever is listed then is a stranger,
 * whatever the pid. A pid of the worker's tree that was not listed then is the worker. In a container whose driver shows
 * host pids the worker cannot be told from a stranger that came later: then neither is claimed.
 */
export class GpuProcesses {
  readonly #log = new SeriesLog({vram_process_bytes: 'bytes'}, 0);
  readonly #source: string;
  /** Pids that the driver shows are pids that this process sees. */
  readonly #hostPids: boolean;
  readonly #strangers = new Map<number, string>();
  #atBaseline: ReadonlySet<number> | null = null;

  constructor({source, hostPids}: {readonly source: string; readonly hostPids: boolean}) {
    this.#source = source;
    this.#hostPids = hostPids;
  }

  /** @param baseline The worker has not its order yet. */
  take(tMs: number, list: readonly GpuProcess[], tree: ReadonlySet<number>, baseline: boolean): void {
    if (baseline) {
      this.#atBaseline = new Set(list.map(({pid}) => pid));
      for (const {pid, name} of list) this.#strangers.set(pid, name);
      return;
    }
    const own = list.filter(({pid}) => tree.has(pid) && this.#atBaseline?.has(pid) !== true);
    if (this.#hostPids || own.length > 0) {
      for (const process of list) if (!own.includes(process)) this.#strangers.set(process.pid, process.name);
    }
    const sizes = own.map(({usedBytes}) => usedBytes);
    // A part that the driver does not tell makes the sum unknown; no process at all is no use of 0 bytes.
    const known = sizes.flatMap((size) => (size === null ? [] : [size]));
    const whole = known.length > 0 && known.length === sizes.length;
    if (whole) this.#log.push(tMs, {vram_process_bytes: known.reduce((sum, size) => sum + size, 0)});
  }

  series(): readonly Series[] {
    return this.#log.series().map((one) => ({...one, source: this.#source}));
  }

  caveats(): Caveat[] {
    const [first, ...more] = this.#strangers;
    if (first === undefined) return [];
    const [pid, name] = first;
    const file =
      name
        .split('/')
        .at(-1)
        ?.trim()
        .replaceAll(/[\s;=]+/g, '_') ?? '';
    const label = file === '' ? `pid-${pid}` : file;
    return [{code: 'foreign-gpu', value: more.length === 0 ? label : `${label}+${more.length}`}];
  }
}
