import {type NvmlMessage, READING_KEYS, type ReadingKey} from './messages.ts';
import type {DeviceHandle, Got, NvmlLibrary} from './nvml-library.ts';
import {codeWords, isGone, NVML} from './return-codes.ts';

/** Readings are handed over this often at the latest: the sign of life that the parent waits for. */
const HAND_OVER_MS = 500;

type Reader = (nvml: NvmlLibrary, device: DeviceHandle) => Got<number>;

const READERS: Readonly<Record<ReadingKey, Reader>> = {
  memoryUsedBytes(nvml, device) {
    const {code, value} = nvml.memory(device);
    return {code, value: value === null ? null : value.usedBytes};
  },
  powerW: (nvml, device) => nvml.powerW(device),
  energyJ: (nvml, device) => nvml.energyJ(device),
  smClockHz: (nvml, device) => nvml.smClockHz(device),
  memoryClockHz: (nvml, device) => nvml.memoryClockHz(device),
  temperatureC: (nvml, device) => nvml.temperatureC(device),
  utilizationRatio: (nvml, device) => nvml.utilizationRatio(device),
  throttleMask(nvml, device) {
    const {code, value} = nvml.throttleMask(device);
    // Nine bits are defined; what may come later stays below 2^53.
    return {code, value: value === null ? null : Number(value)};
  },
};

export interface LoopOptions {
  readonly nvml: NvmlLibrary;
  readonly device: DeviceHandle;
  readonly periodMs: number;
  readonly send: (message: NvmlMessage) => void;
  /** The system's monotonic clock. */
  readonly nowMs: () => number;
  /** Sleeps until the time is over or somebody says something: numbers of questions, or that the end has come. */
  readonly listen: (ms: number) => {readonly questions: readonly number[]; readonly ended: boolean};
}

/**
 * Reads one card every period until it is told to end or the card is gone. It blocks its thread: an event loop would cost
 * several times the CPU of the readings.
 */
export class ReadingLoop {
  readonly #options: LoopOptions;
  readonly #readers: readonly (Reader | null)[];
  /** At the first hand-over: before it the code is compiled, while the worker has not begun to measure. */
  #steady: {readonly cpu: NodeJS.CpuUsage; readonly samples: number} | null = null;
  #rows: (number | null)[][] = [];
  #handedOverMs: number;
  #samples = 0;

  constructor(options: LoopOptions) {
    this.#options = options;
    const missing: Partial<Record<ReadingKey, string>> = {};
    this.#readers = READING_KEYS.map((key) => {
      const {code} = READERS[key](options.nvml, options.device);
      if (code === NVML.SUCCESS) return READERS[key];
      missing[key] = codeWords(code);
      // What this card will never tell is not asked again; an error that may pass is.
      return code === NVML.NOT_SUPPORTED || code === NVML.FUNCTION_NOT_FOUND ? null : READERS[key];
    });
    options.send({type: 'ready', missing});
    this.#handedOverMs = options.nowMs();
  }

  run(): void {
    const {periodMs, nowMs, send, listen} = this.#options;
    let nextMs = nowMs();
    for (;;) {
      const gone = this.#read();
      const now = nowMs();
      if (gone !== null || now - this.#handedOverMs >= HAND_OVER_MS || periodMs >= HAND_OVER_MS) this.#handOver(now);
      if (gone !== null) {
        send({type: 'failed', code: gone, reason: codeWords(gone), fix: null});
        return;
      }
      // Deadlines are multiples of the period: a late reading does not delay the later ones, a missed one is a gap.
      nextMs += periodMs * Math.max(1, Math.ceil((now - nextMs) / periodMs));
      for (let leftMs = nextMs - now; leftMs > 0; leftMs = nextMs - nowMs()) {
        const {questions, ended} = listen(Math.ceil(leftMs));
        for (const id of questions) this.#processes(id);
        if (ended) {
          this.#end();
          return;
        }
      }
    }
  }

  /** Who holds memory of the card now. */
  #processes(id: number): void {
    const {nvml, device, send, nowMs} = this.#options;
    const {value} = nvml.processes(device);
    const list = value?.map(({pid, usedBytes}) => ({pid, usedBytes, name: nvml.processName(pid).value ?? ''}));
    send({type: 'processes', id, tMs: nowMs(), list: list ?? null});
  }

  #end(): void {
    this.#handOver(this.#options.nowMs());
    const {user, system} = this.#steady === null ? {user: 0, system: 0} : process.cpuUsage(this.#steady.cpu);
    const samples = this.#steady === null ? 0 : this.#samples - this.#steady.samples;
    this.#options.send({type: 'end', samples, cpuUs: user + system});
  }

  /** @returns The code that says that the card is gone, or null. */
  #read(): number | null {
    const {nvml, device, nowMs} = this.#options;
    const row: (number | null)[] = [nowMs()];
    for (const reader of this.#readers) {
      if (reader === null) {
        row.push(null);
        continue;
      }
      const {code, value} = reader(nvml, device);
      if (isGone(code)) return code;
      row.push(value);
    }
    this.#rows.push(row);
    this.#samples++;
    return null;
  }

  #handOver(now: number): void {
    this.#handedOverMs = now;
    if (this.#rows.length > 0) this.#options.send({type: 'samples', rows: this.#rows});
    this.#rows = [];
    this.#steady ??= {cpu: process.cpuUsage(), samples: this.#samples};
  }
}
