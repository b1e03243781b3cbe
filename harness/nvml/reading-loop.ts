import {CardReader} from './card-reader.ts';
import type {CommandPipe} from './command-pipe.ts';
import {type NvmlMessage, READING_KEYS, type ReadingKey, SLOW_KEYS, SLOW_PERIOD_MS, type SlowKey} from './messages.ts';
import type {DeviceHandle, NvmlLibrary} from './nvml-library.ts';
import {FRAME_KINDS, type FrameKind, HEAD_WIDTH, ROW_WIDTHS} from './reading-frames.ts';
import {codeWords, isGone, NVML} from './return-codes.ts';

/** Readings are handed over this often at the latest: the sign of life that the parent waits for. */
const HAND_OVER_MS = 1000;

export interface LoopOptions {
  readonly nvml: NvmlLibrary;
  readonly device: DeviceHandle;
  /** Whose memory and processes are meant: a MIG instance, else the card. */
  readonly memory: DeviceHandle;
  readonly periodMs: number;
  readonly send: (message: NvmlMessage) => void;
  /** Hands readings over: the first so many numbers. */
  readonly write: (cells: Float64Array, count: number) => void;
  /** The system's monotonic clock. */
  readonly nowMs: () => number;
  readonly pipe: CommandPipe;
}

/**
 * Reads one card every period until it is told to end or the card is gone. It blocks its thread: an event loop would cost
 * several times the CPU of the readings. Readings lie in memory that is made once, until they are handed over together.
 * Between two readings the processor forgets this process: what a reading costs is above all how much code it runs
 * through for the first time, so {@link run} asks the clock once and iterates, destructures and allocates nothing.
 */
export class ReadingLoop {
  readonly #options: LoopOptions;
  readonly #reader: CardReader;
  readonly #fast: Table<ReadingKey>;
  readonly #slow: Table<SlowKey>;
  /** At the first hand-over: before it the code is compiled, while the worker has not begun to measure. */
  #steady: {readonly cpu: NodeJS.CpuUsage; readonly samples: number} | null = null;
  #handedOverMs: number;
  #slowMs = Number.NEGATIVE_INFINITY;
  #samples = 0;

  constructor(options: LoopOptions) {
    const {nvml, device, memory, periodMs, send, nowMs} = options;
    this.#options = options;
    this.#reader = new CardReader(nvml.calls, device, memory);
    const missing: Partial<Record<ReadingKey | SlowKey, string>> = {};
    const given = <Key extends ReadingKey | SlowKey>(key: Key): Key | null => {
      const code = this.#reader.read(key);
      if (code === NVML.SUCCESS) return key;
      missing[key] = codeWords(code);
      // What this card will never tell is not asked again; an error that may pass is.
      return code === NVML.NOT_SUPPORTED || code === NVML.FUNCTION_NOT_FOUND ? null : key;
    };
    this.#fast = new Table('fast', READING_KEYS.map(given), Math.ceil(HAND_OVER_MS / periodMs) + 1);
    this.#slow = new Table('slow', SLOW_KEYS.map(given), Math.ceil(HAND_OVER_MS / SLOW_PERIOD_MS) + 1);
    send({type: 'ready', missing});
    this.#handedOverMs = nowMs();
  }

  run(): void {
    const {periodMs, nowMs, send, pipe} = this.#options;
    let nextMs = nowMs();
    for (;;) {
      const now = nowMs();
      if (now >= nextMs) {
        const gone = this.#read(now);
        if (gone !== NVML.SUCCESS || now - this.#handedOverMs >= HAND_OVER_MS || this.#fast.full) this.#handOver(now);
        if (gone !== NVML.SUCCESS) {
          send({type: 'failed', code: gone, reason: codeWords(gone), fix: null});
          return;
        }
        // Deadlines are multiples of the period: a late reading does not delay the later ones, a missed one is a gap.
        nextMs += periodMs * (1 + Math.floor((now - nextMs) / periodMs));
      }
      if (pipe.wait(Math.ceil(nextMs - now)) && this.#answer()) {
        this.#end(nowMs());
        return;
      }
    }
  }

  /** @returns Whether the end has come. */
  #answer(): boolean {
    const {questions, ended} = this.#options.pipe.hear();
    for (const id of questions) this.#processes(id);
    return ended;
  }

  /** Who holds memory of the card now. */
  #processes(id: number): void {
    const {nvml, memory, send, nowMs} = this.#options;
    const {value} = nvml.processes(memory);
    const list = value?.map(({pid, usedBytes}) => ({pid, usedBytes, name: nvml.processName(pid).value ?? ''}));
    send({type: 'processes', id, tMs: nowMs(), list: list ?? null});
  }

  #end(now: number): void {
    this.#handOver(now);
    const {user, system} = this.#steady === null ? {user: 0, system: 0} : process.cpuUsage(this.#steady.cpu);
    const samples = this.#steady === null ? 0 : this.#samples - this.#steady.samples;
    this.#options.send({type: 'end', samples, cpuUs: user + system});
  }

  /** @returns The code that says that the card is gone, else SUCCESS. */
  #read(now: number): number {
    const gone = this.#fast.read(this.#reader, now);
    if (gone !== NVML.SUCCESS) return gone;
    this.#samples++;
    if (now - this.#slowMs < SLOW_PERIOD_MS) return NVML.SUCCESS;
    this.#slowMs = now;
    return this.#slow.read(this.#reader, now);
  }

  #handOver(now: number): void {
    this.#handedOverMs = now;
    this.#fast.handOver(this.#options.write);
    this.#slow.handOver(this.#options.write);
    this.#steady ??= {cpu: process.cpuUsage(), samples: this.#samples};
  }
}

/** Rows of a time and one value a key, in memory that is used again and again, laid out as a frame. */
class Table<Key extends ReadingKey | SlowKey> {
  readonly #keys: readonly (Key | null)[];
  readonly #width: number;
  readonly #cells: Float64Array;
  /** Numbers in use, those of the head included. */
  #end: number = HEAD_WIDTH;

  /** @param keys null for a column that stays empty. */
  constructor(kind: FrameKind, keys: readonly (Key | null)[], room: number) {
    this.#keys = keys;
    this.#width = ROW_WIDTHS[kind];
    this.#cells = new Float64Array(HEAD_WIDTH + room * this.#width);
    this.#cells[0] = FRAME_KINDS[kind];
  }

  get full(): boolean {
    return this.#end + this.#width > this.#cells.length;
  }

  /** Adds a row. @returns The code that says that the card is gone, and then there is no row; else SUCCESS. */
  read(reader: CardReader, now: number): number {
    const keys = this.#keys;
    const cells = this.#cells;
    let at = this.#end;
    cells[at++] = now;
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index] ?? null;
      const code = key === null ? NVML.SUCCESS : reader.read(key);
      if (isGone(code)) return code;
      cells[at++] = key === null ? Number.NaN : reader.value;
    }
    this.#end = at;
    return NVML.SUCCESS;
  }

  /** The rows are no longer here then. */
  handOver(write: (cells: Float64Array, count: number) => void): void {
    this.#cells[1] = (this.#end - HEAD_WIDTH) / this.#width;
    write(this.#cells, this.#end);
    this.#end = HEAD_WIDTH;
  }
}
