import type {ReadingKey, SlowKey} from './messages.ts';
import {type DeviceHandle, MEMORY_V2_BYTES, MEMORY_V2_VERSION, type NvmlCalls} from './nvml-library.ts';
import {NVML} from './return-codes.ts';

const CLOCK_SM = 1;
const CLOCK_MEMORY = 2;
const TEMPERATURE_GPU = 0;
const HIGH_WORD = 2 ** 32;
const ALL_ONES = 0xffff_ffff;

/**
 * Reads one card again and again. Between two readings the process sleeps and the processor forgets it, so that what a
 * reading costs is the code and the memory that it touches: nothing is allocated here.
 */
export class CardReader {
  /** What the last {@link read} gave; NaN when it gave nothing. */
  value: number = Number.NaN;
  readonly #calls: NvmlCalls;
  readonly #card: DeviceHandle;
  readonly #memory: DeviceHandle;
  /** Where NVML writes: one word, or two as a number of 64 bits (every system with this driver is little-endian). */
  readonly #words = new Uint32Array(2);
  readonly #struct = new Uint32Array(MEMORY_V2_BYTES / 4);
  #memoryVersion: 1 | 2 = 2;

  /** @param memory The MIG instance whose memory is meant; without MIG the card itself. */
  constructor(calls: NvmlCalls, card: DeviceHandle, memory: DeviceHandle = card) {
    this.#calls = calls;
    this.#card = card;
    this.#memory = memory;
  }

  /** @returns The code of NVML; the number lies in {@link value}. */
  read(key: ReadingKey | SlowKey): number {
    const calls = this.#calls;
    const words = this.#words;
    switch (key) {
      case 'memoryUsedBytes':
        return this.#readMemory();
      case 'powerW':
        return this.#word(calls.power(this.#card, words), 1e-3);
      case 'energyJ':
        return this.#longWord(calls.energy(this.#card, words), 1e-3);
      case 'smClockHz':
        return this.#word(calls.clock(this.#card, CLOCK_SM, words), 1e6);
      case 'utilizationRatio':
        return this.#word(calls.utilization(this.#card, words), 1e-2);
      case 'throttleMask':
        // Nine bits are defined; what may come later stays below 2^53.
        return this.#longWord(calls.throttleReasons(this.#card, words), 1);
      case 'memoryClockHz':
        return this.#word(calls.clock(this.#card, CLOCK_MEMORY, words), 1e6);
      case 'temperatureC':
        return this.#word(calls.temperature(this.#card, TEMPERATURE_GPU, words), 1);
    }
  }

  #readMemory(): number {
    if (this.#memoryVersion === 2) {
      this.#struct[0] = MEMORY_V2_VERSION;
      const code = this.#calls.memory2(this.#memory, this.#struct);
      if (code !== NVML.FUNCTION_NOT_FOUND) return this.#used(code, 8);
      // Drivers before 510: see NvmlLibrary.memory.
      this.#memoryVersion = 1;
    }
    return this.#used(this.#calls.memory1(this.#memory, this.#struct), 4);
  }

  /** @param at Index of the low word of `used` in the struct. */
  #used(code: number, at: number): number {
    const low = this.#struct[at] ?? Number.NaN;
    const high = this.#struct[at + 1] ?? Number.NaN;
    this.value = code === NVML.SUCCESS ? low + high * HIGH_WORD : Number.NaN;
    return code;
  }

  #word(code: number, factor: number): number {
    this.value = code === NVML.SUCCESS ? (this.#words[0] ?? Number.NaN) * factor : Number.NaN;
    return code;
  }

  #longWord(code: number, factor: number): number {
    const low = this.#words[0] ?? ALL_ONES;
    const high = this.#words[1] ?? ALL_ONES;
    const known = code === NVML.SUCCESS && (low !== ALL_ONES || high !== ALL_ONES);
    this.value = known ? (low + high * HIGH_WORD) * factor : Number.NaN;
    return code;
  }
}
