import {once} from 'node:events';
import {Worker} from 'node:worker_threads';
import type {MeasuredBandwidth} from '../contract/device.ts';
import {BenchError} from '../contract/errors.ts';
import {formatBytes} from '../contract/units.ts';
import {type SystemFiles, systemFiles} from '../linux/system-files.ts';
import {nodeCpus, readCpu} from './cpu.ts';
import {readMemory} from './memory.ts';
import {readKernel} from './read-kernel.ts';

const MIB = 1 << 20;
const PASSES_MAX = 64;
/** An array of four times the last cache leaves nothing of one pass for the next. */
const CACHE_FACTOR = 4;
/** With less than this a part of each pass would come from the cache: then there is no figure. */
const CACHE_FACTOR_MIN = 2;
/** One WebAssembly memory holds 4 GiB at most. */
const PER_THREAD_MAX_BYTES = 3 * 1024 * MIB;

export interface BandwidthOptions {
  readonly threads: number;
  readonly signal?: AbortSignal | undefined;
  /** Time for the passes after the arrays are made. @default 600 */
  readonly budgetMs?: number;
  readonly files?: SystemFiles;
}

/**
 * Bytes a second that this many threads read from memory together: what bounds decoding on a CPU. Each thread sums an
 * array of its own, made by itself so that it lies in the memory next to its core; all start a pass together; a pass ends
 * with its slowest thread; the best pass counts, since whatever disturbs a pass only slows it.
 *
 * @throws {BenchError} INTERRUPTED by the signal; ENGINE_UNAVAILABLE when a thread cannot get its memory, or when there is
 * too little of it to leave the cache.
 */
export async function measureReadBandwidth(options: BandwidthOptions): Promise<MeasuredBandwidth> {
  const {threads, signal, budgetMs = 600, files = systemFiles()} = options;
  const cacheBytes = readCpu(files, nodeCpus()).facts.l3Bytes;
  const bytes = arrayBytes(threads, cacheBytes, readMemory(files).availableBytes);
  if (threads * bytes < CACHE_FACTOR_MIN * (cacheBytes ?? 0)) throw tooSmall(threads * bytes, cacheBytes ?? 0);
  const control = new SharedArrayBuffer(3 * Int32Array.BYTES_PER_ELEMENT);
  const times = new SharedArrayBuffer(threads * PASSES_MAX * 2 * BigInt64Array.BYTES_PER_ELEMENT);
  throwIfAborted(signal);
  const data = {kernel: readKernel(), control, times, threads, bytes, budgetMs, passesMax: PASSES_MAX};
  const workers = Array.from(
    {length: threads},
    (_, thread) => new Worker(READER, {eval: true, workerData: {...data, thread}}),
  );
  const abort = new AbortController();
  const onAbort = () => abort.abort();
  signal?.addEventListener('abort', onAbort);
  try {
    await Promise.all(workers.map((worker) => once(worker, 'exit', {signal: abort.signal})));
  } catch (cause) {
    throwIfAborted(signal);
    throw failedThread(cause);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return {bytesPerS: bestRate(new BigInt64Array(times), threads, bytes), arrayBytes: threads * bytes, cacheBytes};
}

/**
 * Bytes of each thread's array: in all {@link CACHE_FACTOR} times the last cache, at most a quarter of the free memory. Of
 * a cache that the machine does not tell, 32 MiB are assumed.
 */
export function arrayBytes(threads: number, l3Bytes: number | null, availableBytes: number): number {
  const wanted = Math.max((CACHE_FACTOR * (l3Bytes ?? 32 * MIB)) / threads, 64 * MIB);
  const possible = Math.min(wanted, PER_THREAD_MAX_BYTES, availableBytes / 4 / threads);
  return Math.max(MIB, Math.floor(possible / MIB) * MIB);
}

/** @param times Start and end in ns of each pass, thread after thread; 0 for a pass that was not run. */
export function bestRate(times: BigInt64Array, threads: number, bytes: number): number {
  const passes = times.length / threads / 2;
  let best = 0;
  for (let pass = 0; pass < passes; pass++) {
    const starts = [];
    const ends = [];
    for (let thread = 0; thread < threads; thread++) {
      const at = (thread * passes + pass) * 2;
      starts.push(Number(times[at] ?? 0n));
      ends.push(Number(times[at + 1] ?? 0n));
    }
    const seconds = (Math.max(...ends) - Math.min(...starts)) / 1e9;
    if (Math.min(...ends) > 0 && seconds > 0) best = Math.max(best, (threads * bytes) / seconds);
  }
  return best;
}

function tooSmall(bytes: number, cacheBytes: number): BenchError {
  const [array, cache] = [formatBytes(bytes), formatBytes(cacheBytes)];
  return new BenchError(
    'ENGINE_UNAVAILABLE',
    `memory bandwidth: not measured, since arrays of ${array} would lie in the last-level cache of ${cache}: free more memory`,
  );
}

function failedThread(cause: unknown): BenchError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new BenchError('ENGINE_UNAVAILABLE', `memory bandwidth: a reading thread failed: ${reason}`, {cause});
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new BenchError('INTERRUPTED', 'memory bandwidth: interrupted', {cause: signal.reason});
}

/**
 * One thread, as plain JavaScript text: a worker thread made from text starts in the same way under tsx, under Node's own
 * type stripping and after `tsc`. `control` holds the barrier's count and turn, and whether to stop.
 */
const READER = `
const {workerData} = require('node:worker_threads');
const {kernel, thread, threads, bytes, budgetMs, passesMax} = workerData;
const control = new Int32Array(workerData.control);
const times = new BigInt64Array(workerData.times);
const [COUNT, TURN, STOP] = [0, 1, 2];
const CHUNK = ${MIB};

const memory = new WebAssembly.Memory({initial: bytes / 65536, maximum: bytes / 65536});
// Pages never written to are all the same page of zeros, which stays in the cache.
new Uint32Array(memory.buffer).fill(0x01020304 + thread);
const {read} = new WebAssembly.Instance(new WebAssembly.Module(kernel), {host: {memory}}).exports;
let sum = 0n;
function pass() {
  // In chunks: the engine replaces its first, slow code by the optimized one between two calls only.
  for (let at = 0; at < bytes; at += CHUNK) sum ^= read(at, at + CHUNK);
}
function barrier() {
  const turn = Atomics.load(control, TURN);
  if (Atomics.add(control, COUNT, 1) === threads - 1) {
    Atomics.store(control, COUNT, 0);
    Atomics.add(control, TURN, 1);
    Atomics.notify(control, TURN);
  } else {
    while (Atomics.load(control, TURN) === turn) Atomics.wait(control, TURN, turn, 1000);
  }
}
const now = () => process.hrtime.bigint();
const warm = now();
do pass(); while (now() - warm < 30_000_000n);
barrier();
const began = now();
for (let index = 0; index < passesMax; index++) {
  if (thread === 0 && index >= 3 && Number(now() - began) / 1e6 > budgetMs) Atomics.store(control, STOP, 1);
  barrier();
  if (Atomics.load(control, STOP) === 1) break;
  const at = (thread * passesMax + index) * 2;
  times[at] = now();
  pass();
  times[at + 1] = now();
}
if (sum === 1n) throw new Error('never: keeps the sum alive');
`;
