import type {Caveat} from '../contract/caveats.ts';
import {BenchError} from '../contract/errors.ts';
import type {Availability, CellPhase, Recording, SampleContext, Sampler, SamplerResult} from '../contract/sampler.ts';
import {type ProcessMemory, parseProcessMemory, parsePssBytes, RESET_PEAK} from '../linux/proc-status.ts';
import type {OpenFile, SystemFiles} from '../linux/system-files.ts';
import {Duty} from './duty.ts';
import {gapCaveats} from './gap-caveats.ts';
import {ProcessTree} from './process-tree.ts';
import {SeriesLog} from './series-log.ts';
import {KEPT_PERIOD_MS, type Ticker} from './ticker.ts';

const UNITS = {
  ram_pss_bytes: 'bytes',
  ram_rss_bytes: 'bytes',
  ram_anonymous_bytes: 'bytes',
  ram_file_bytes: 'bytes',
  ram_swap_bytes: 'bytes',
} as const;

/** Looking for new processes lists every thread: twice a second is soon enough for compilers that a worker starts. */
const TREE_PERIOD_MS = 500;

/** Share of the time that may go into smaps_rollup, which walks the page tables and holds the mapping lock meanwhile. */
const PSS_SHARE = 0.001;

/**
 * Memory of the worker's whole process tree (Linux).
 *
 * Four times a second at most, from /proc/<pid>/status, which costs the watched process nothing: resident size, its
 * anonymous part (shared memory included: like the heap it cannot be dropped), its file-backed part, and swap. A page
 * that two processes of the tree share counts twice there.
 *
 * No peak falls between two readings: the kernel keeps the largest resident size of each process, and the mark is set
 * back at the edges of phases. Where it rose since the reading before, that is what the resident and the proportional
 * size say (of several processes that rose, the one that rose most). How such a peak divides into anonymous and
 * file-backed memory the kernel does not tell: those two are what was read.
 *
 * The proportional set size counts a shared page once, but reading it walks the page tables. It is therefore read when
 * a phase begins, and in between at a pace that takes at most 0.1 % of the time. Between two readings the value is the
 * last reading plus what the resident size has grown or shrunk since, never above the resident size: exact for memory
 * that only one process holds (heap, weights mapped by one worker), an upper bound where shared pages were added.
 */
export class ProcessMemorySampler implements Sampler {
  readonly id = 'process-memory';
  readonly #files: SystemFiles;
  readonly #ticker: Ticker;
  readonly #costMs: () => number;

  constructor({
    files,
    ticker,
    costMs = () => performance.now(),
  }: {
    files: SystemFiles;
    ticker: Ticker;
    /** The clock by which a reading of the proportional set size is found cheap or dear. */
    costMs?: () => number;
  }) {
    this.#files = files;
    this.#ticker = ticker;
    this.#costMs = costMs;
  }

  async available(): Promise<Availability> {
    if (parseProcessMemory(this.#files.text('/proc/self/status') ?? '') === null) {
      return {ok: false, reason: 'no /proc/<pid>/status with VmRSS: not Linux, or /proc is not mounted', fix: null};
    }
    const pss = parsePssBytes(this.#files.text('/proc/self/smaps_rollup') ?? '') !== null;
    return {
      ok: true,
      detail: pss ? 'RSS and PSS of the process tree' : 'RSS of the process tree (no smaps_rollup: no PSS)',
    };
  }

  async start(context: SampleContext): Promise<Recording> {
    const recording = new MemoryRecording(this.#files, context, this.#costMs);
    if (!recording.alive) {
      recording.end();
      throw new BenchError('SAMPLER_UNAVAILABLE', `process-memory: /proc/${context.pid}/status cannot be read`);
    }
    const unsubscribe = this.#ticker.every(recording.periodMs, context.nowMs, (tMs, missed) =>
      recording.tick(tMs, missed),
    );
    let result: SamplerResult | undefined;
    return {
      edge: (phase) => recording.edge(phase),
      stop: async () => {
        unsubscribe();
        result ??= recording.end();
        return result;
      },
    };
  }
}

/** One process of the tree, with its last PSS reading and the resident size at that moment. */
interface Member {
  readonly status: OpenFile;
  /** undefined: not yet read. null: cannot be read. */
  pss: {readonly bytes: number; readonly rssBytes: number} | null | undefined;
  /** The kernel's mark of the largest resident size, at the last reading; null before the first, and where it keeps none. */
  peakBytes: number | null;
}

class MemoryRecording {
  readonly periodMs: number;
  readonly #files: SystemFiles;
  readonly #context: SampleContext;
  readonly #tree: ProcessTree;
  readonly #members = new Map<number, Member>();
  readonly #log: SeriesLog<keyof typeof UNITS>;
  readonly #pssDuty: Duty;
  #treeLookedMs = Number.NEGATIVE_INFINITY;
  alive: boolean = true;

  constructor(files: SystemFiles, context: SampleContext, costMs: () => number) {
    this.#files = files;
    this.#pssDuty = new Duty(PSS_SHARE, costMs);
    this.#context = context;
    this.#tree = new ProcessTree(files, context.pid);
    this.periodMs = Math.max(KEPT_PERIOD_MS, context.periodMs);
    this.#log = new SeriesLog(UNITS, this.periodMs);
    this.#take(context.nowMs(), {wantPss: true});
  }

  tick(tMs: number, missed: number): void {
    if (this.alive) this.#take(tMs, {missed});
  }

  /**
   * What rose since the last reading still belongs to the phase that ends here.
   *
   * `measure` begins with the first measured request already on its way: the reading of the warm-up is close enough, and
   * must not be taken at the expense of that request.
   */
  edge(phase: CellPhase): void {
    if (!this.alive) return;
    this.#take(this.#context.nowMs(), {wantPss: phase !== 'measure', edge: true});
    for (const [pid, member] of this.#members) {
      if (!this.#files.put(`/proc/${pid}/clear_refs`, RESET_PEAK)) continue;
      member.peakBytes = parseProcessMemory(member.status.read() ?? '')?.rssPeakBytes ?? null;
    }
  }

  end(): SamplerResult {
    this.alive = false;
    for (const {status} of this.#members.values()) status.close();
    this.#members.clear();
    const swapped = Math.max(0, ...this.#log.known('ram_swap_bytes'));
    const caveats: Caveat[] = [...gapCaveats(this.#log.gapRatio)];
    if (swapped > 0) caveats.push({code: 'swapped', value: String(swapped)});
    return {series: this.#log.series(), caveats};
  }

  #take(
    tMs: number,
    {missed = 0, wantPss = false, edge = false}: {missed?: number; wantPss?: boolean; edge?: boolean},
  ): void {
    if (wantPss || tMs - this.#treeLookedMs >= TREE_PERIOD_MS) {
      this.#treeLookedMs = tMs;
      this.#tree.refresh();
    }
    const sizes = this.#readSizes();
    if (sizes.size === 0) {
      // The worker has ended: what follows is no gap, and the phase edges say when it was.
      this.alive = false;
      return;
    }
    if (wantPss || this.#pssDuty.due(tMs)) this.#pssDuty.spend(tMs, () => this.#readPss(sizes));
    const total = {rss: 0, anonymous: 0, file: 0, swap: 0, pss: 0};
    let pssKnown = true;
    for (const [pid, size] of sizes) {
      total.rss += size.rssBytes;
      total.anonymous += size.anonymousBytes + size.sharedBytes;
      total.file += size.fileBytes;
      total.swap += size.swapBytes;
      const pss = this.#members.get(pid)?.pss ?? null;
      if (pss === null) pssKnown = false;
      else total.pss += Math.min(size.rssBytes, Math.max(0, pss.bytes + size.rssBytes - pss.rssBytes));
    }
    const between = this.#roseBetween(sizes);
    if (edge && between > 0) {
      this.#log.raiseLast('ram_rss_bytes', total.rss + between);
      if (pssKnown) this.#log.raiseLast('ram_pss_bytes', total.pss + between);
    }
    const peak = edge ? 0 : between;
    this.#log.push(
      tMs,
      {
        ram_pss_bytes: pssKnown ? total.pss + peak : null,
        ram_rss_bytes: total.rss + peak,
        ram_anonymous_bytes: total.anonymous,
        ram_file_bytes: total.file,
        ram_swap_bytes: total.swap,
      },
      missed,
    );
  }

  /** Bytes by which the process that rose most since the last reading stood above what it has now. */
  #roseBetween(sizes: ReadonlyMap<number, ProcessMemory>): number {
    let most = 0;
    for (const [pid, {rssBytes, rssPeakBytes}] of sizes) {
      const member = this.#members.get(pid);
      if (member === undefined || rssPeakBytes === null) continue;
      if (member.peakBytes !== null && rssPeakBytes > member.peakBytes) most = Math.max(most, rssPeakBytes - rssBytes);
      member.peakBytes = rssPeakBytes;
    }
    return most;
  }

  #readSizes(): Map<number, ProcessMemory> {
    const sizes = new Map<number, ProcessMemory>();
    for (const pid of this.#tree.pids) {
      const member = this.#members.get(pid) ?? {
        status: this.#files.open(`/proc/${pid}/status`),
        pss: undefined,
        peakBytes: null,
      };
      this.#members.set(pid, member);
      const size = parseProcessMemory(member.status.read() ?? '');
      if (size !== null) sizes.set(pid, size);
      else this.#forget(pid);
    }
    // A process that was just found and has no PSS yet would leave a hole in the sum: small ones cost little to read.
    this.#readPss(new Map([...sizes].filter(([pid]) => this.#members.get(pid)?.pss === undefined)));
    return sizes;
  }

  #forget(pid: number): void {
    this.#members.get(pid)?.status.close();
    this.#members.delete(pid);
    this.#tree.drop(pid);
  }

  #readPss(sizes: ReadonlyMap<number, ProcessMemory>): void {
    for (const [pid, {rssBytes}] of sizes) {
      const member = this.#members.get(pid);
      const bytes = parsePssBytes(this.#files.text(`/proc/${pid}/smaps_rollup`) ?? '');
      if (member !== undefined) member.pss = bytes === null ? null : {bytes, rssBytes};
    }
  }
}
