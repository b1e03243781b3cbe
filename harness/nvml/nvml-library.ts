import koffi from 'koffi';
import {NVML} from './return-codes.ts';

/** Address of a card inside NVML; never dereferenced here. */
export type DeviceHandle = bigint;

/** Outcome of one call: the value is null exactly when the code is not 0, or when NVML says "value not available". */
export interface Got<T> {
  readonly code: number;
  readonly value: T | null;
}

/** A process that holds memory of a card. */
export interface NvmlProcess {
  readonly pid: number;
  readonly usedBytes: number | null;
}

type Call = (...args: readonly unknown[]) => number;

/** Newer name first; a driver has one, the other or both. The macros of nvml.h that choose a version are not in the library. */
const FUNCTIONS = {
  init: ['int nvmlInit_v2()'],
  shutdown: ['int nvmlShutdown()'],
  driverVersion: ['int nvmlSystemGetDriverVersion(void *, unsigned int)'],
  cudaVersion: ['int nvmlSystemGetCudaDriverVersion_v2(void *)', 'int nvmlSystemGetCudaDriverVersion(void *)'],
  processName: ['int nvmlSystemGetProcessName(unsigned int, void *, unsigned int)'],
  count: ['int nvmlDeviceGetCount_v2(void *)'],
  handleByIndex: ['int nvmlDeviceGetHandleByIndex_v2(unsigned int, void *)'],
  handleByUuid: ['int nvmlDeviceGetHandleByUUID(const char *, void *)'],
  name: ['int nvmlDeviceGetName(void *, void *, unsigned int)'],
  uuid: ['int nvmlDeviceGetUUID(void *, void *, unsigned int)'],
  pciInfo: ['int nvmlDeviceGetPciInfo_v3(void *, void *)', 'int nvmlDeviceGetPciInfo_v2(void *, void *)'],
  memory2: ['int nvmlDeviceGetMemoryInfo_v2(void *, void *)'],
  memory1: ['int nvmlDeviceGetMemoryInfo(void *, void *)'],
  computeCapability: ['int nvmlDeviceGetCudaComputeCapability(void *, void *, void *)'],
  migMode: ['int nvmlDeviceGetMigMode(void *, void *, void *)'],
  maxMigDevices: ['int nvmlDeviceGetMaxMigDeviceCount(void *, void *)'],
  migDevice: ['int nvmlDeviceGetMigDeviceHandleByIndex(void *, unsigned int, void *)'],
  persistence: ['int nvmlDeviceGetPersistenceMode(void *, void *)'],
  ecc: ['int nvmlDeviceGetEccMode(void *, void *, void *)'],
  defaultEcc: ['int nvmlDeviceGetDefaultEccMode(void *, void *)'],
  enforcedPowerLimit: ['int nvmlDeviceGetEnforcedPowerLimit(void *, void *)'],
  defaultPowerLimit: ['int nvmlDeviceGetPowerManagementDefaultLimit(void *, void *)'],
  maxClock: ['int nvmlDeviceGetMaxClockInfo(void *, int, void *)'],
  clock: ['int nvmlDeviceGetClockInfo(void *, int, void *)'],
  temperature: ['int nvmlDeviceGetTemperature(void *, int, void *)'],
  temperatureThreshold: ['int nvmlDeviceGetTemperatureThreshold(void *, int, void *)'],
  power: ['int nvmlDeviceGetPowerUsage(void *, void *)'],
  energy: ['int nvmlDeviceGetTotalEnergyConsumption(void *, void *)'],
  utilization: ['int nvmlDeviceGetUtilizationRates(void *, void *)'],
  throttleReasons: [
    'int nvmlDeviceGetCurrentClocksEventReasons(void *, void *)',
    'int nvmlDeviceGetCurrentClocksThrottleReasons(void *, void *)',
  ],
  // Version 2 and 3 fill the same struct of 24 bytes; version 1 had another and is not tried.
  processes: [
    'int nvmlDeviceGetComputeRunningProcesses_v3(void *, void *, void *)',
    'int nvmlDeviceGetComputeRunningProcesses_v2(void *, void *, void *)',
  ],
} as const satisfies Record<string, readonly string[]>;

type FunctionName = keyof typeof FUNCTIONS;

/** Every function as the library has it; one that the driver lacks returns FUNCTION_NOT_FOUND. */
export type NvmlCalls = Readonly<Record<FunctionName, Call>>;

/** `nvmlMemory_v2_t`. */
export const MEMORY_V2_BYTES = 40;
/** Size in the low bytes, version in the high one, as nvml.h makes it. */
export const MEMORY_V2_VERSION = MEMORY_V2_BYTES | (2 << 24);
const PROCESS_BYTES = 24;
const PCI_INFO_BYTES = 68;
const NOT_AVAILABLE = 0xffff_ffff_ffff_ffffn;
const CLOCK_SM = 1;
const CLOCK_MEMORY = 2;
const THRESHOLD_SLOWDOWN = 1;

/**
 * The part of nvml.h that a measurement needs. Every call is synchronous and may hang with the driver: use it in a process
 * that may be killed. Buffers are made once: a reading allocates next to nothing.
 */
export class NvmlLibrary {
  readonly calls: NvmlCalls;
  readonly #memory = Buffer.alloc(MEMORY_V2_BYTES);
  readonly #words = new Uint32Array(2);
  #processRoom = 32;

  private constructor(calls: NvmlCalls) {
    this.calls = calls;
  }

  /** @throws {Error} as the dynamic loader words it, when no library of these names can be loaded. */
  static load(names: readonly string[]): NvmlLibrary {
    let failure: unknown;
    for (const name of names) {
      try {
        const library = koffi.load(name);
        // The keys of a constant object are its names.
        const keys = Object.keys(FUNCTIONS) as FunctionName[];
        const calls = Object.fromEntries(keys.map((key) => [key, bind(library, FUNCTIONS[key])]));
        // Every key got its call in the line above.
        return new NvmlLibrary(calls as Record<FunctionName, Call>);
      } catch (error) {
        failure ??= error;
      }
    }
    throw failure;
  }

  init(): number {
    return this.calls.init();
  }

  shutdown(): void {
    this.calls.shutdown();
  }

  driverVersion(): Got<string> {
    return text(96, (buffer, size) => this.calls.driverVersion(buffer, size));
  }

  /** Highest CUDA version of the driver, for example `13.0`. */
  cudaVersion(): Got<string> {
    const {code, value} = this.#word((out) => this.calls.cudaVersion(out));
    return {code, value: value === null ? null : `${Math.floor(value / 1000)}.${Math.floor((value % 1000) / 10)}`};
  }

  processName(pid: number): Got<string> {
    return text(256, (buffer, size) => this.calls.processName(pid, buffer, size));
  }

  count(): Got<number> {
    return this.#word((out) => this.calls.count(out));
  }

  handleByIndex(index: number): Got<DeviceHandle> {
    return this.#handle((out) => this.calls.handleByIndex(index, out));
  }

  handleByUuid(uuid: string): Got<DeviceHandle> {
    return this.#handle((out) => this.calls.handleByUuid(uuid, out));
  }

  name(device: DeviceHandle): Got<string> {
    return text(96, (buffer, size) => this.calls.name(device, buffer, size));
  }

  uuid(device: DeviceHandle): Got<string> {
    return text(96, (buffer, size) => this.calls.uuid(device, buffer, size));
  }

  /** Device, then vendor, as nvidia-smi prints it: `0x1EB810DE`. */
  pciId(device: DeviceHandle): Got<string> {
    const info = Buffer.alloc(PCI_INFO_BYTES);
    const code = this.calls.pciInfo(device, info);
    const id = info.readUInt32LE(28).toString(16).toUpperCase().padStart(8, '0');
    return {code, value: code === NVML.SUCCESS ? `0x${id}` : null};
  }

  /**
   * Memory in use without what the driver keeps for itself, as nvidia-smi counts it. Drivers before 510 have version 1
   * only, in which the driver's share is in use, too: the same for the baseline, so that differences hold.
   */
  memory(device: DeviceHandle): Got<{readonly totalBytes: number; readonly usedBytes: number}> {
    this.#memory.writeUInt32LE(MEMORY_V2_VERSION, 0);
    let code = this.calls.memory2(device, this.#memory);
    let usedAt = 32;
    let totalAt = 8;
    if (code === NVML.FUNCTION_NOT_FOUND) {
      code = this.calls.memory1(device, this.#memory);
      [totalAt, usedAt] = [0, 16];
    }
    if (code !== NVML.SUCCESS) return {code, value: null};
    return {
      code,
      value: {
        totalBytes: Number(this.#memory.readBigUInt64LE(totalAt)),
        usedBytes: Number(this.#memory.readBigUInt64LE(usedAt)),
      },
    };
  }

  computeCapability(device: DeviceHandle): Got<string> {
    const minor = new Uint32Array(1);
    const {code, value} = this.#word((out) => this.calls.computeCapability(device, out, minor));
    return {code, value: value === null ? null : `${value}.${minor[0] ?? 0}`};
  }

  migEnabled(device: DeviceHandle): Got<boolean> {
    const pending = new Uint32Array(1);
    return flag(this.#word((out) => this.calls.migMode(device, out, pending)));
  }

  /** Instances that this process may see. */
  migDevices(device: DeviceHandle): readonly DeviceHandle[] {
    const most = this.#word((out) => this.calls.maxMigDevices(device, out)).value ?? 0;
    return Array.from({length: Math.min(most, 64)}, (_, index) =>
      this.#handle((out) => this.calls.migDevice(device, index, out)),
    ).flatMap(({value}) => (value === null ? [] : [value]));
  }

  persistence(device: DeviceHandle): Got<boolean> {
    return flag(this.#word((out) => this.calls.persistence(device, out)));
  }

  ecc(device: DeviceHandle): Got<boolean> {
    const pending = new Uint32Array(1);
    return flag(this.#word((out) => this.calls.ecc(device, out, pending)));
  }

  defaultEcc(device: DeviceHandle): Got<boolean> {
    return flag(this.#word((out) => this.calls.defaultEcc(device, out)));
  }

  enforcedPowerLimitW(device: DeviceHandle): Got<number> {
    return scaled(
      this.#word((out) => this.calls.enforcedPowerLimit(device, out)),
      1e-3,
    );
  }

  defaultPowerLimitW(device: DeviceHandle): Got<number> {
    return scaled(
      this.#word((out) => this.calls.defaultPowerLimit(device, out)),
      1e-3,
    );
  }

  maxSmClockHz(device: DeviceHandle): Got<number> {
    return scaled(
      this.#word((out) => this.calls.maxClock(device, CLOCK_SM, out)),
      1e6,
    );
  }

  maxMemoryClockHz(device: DeviceHandle): Got<number> {
    return scaled(
      this.#word((out) => this.calls.maxClock(device, CLOCK_MEMORY, out)),
      1e6,
    );
  }

  slowdownC(device: DeviceHandle): Got<number> {
    return this.#word((out) => this.calls.temperatureThreshold(device, THRESHOLD_SLOWDOWN, out));
  }

  /** Compute processes. Dear (milliseconds in the driver, under its lock): not for every period. */
  processes(device: DeviceHandle): Got<readonly NvmlProcess[]> {
    for (let attempt = 0; ; attempt++) {
      const infos = Buffer.alloc(this.#processRoom * PROCESS_BYTES);
      const count = new Uint32Array([this.#processRoom]);
      const code = this.calls.processes(device, count, infos);
      const length = count[0] ?? 0;
      if (code === NVML.INSUFFICIENT_SIZE && attempt < 3) {
        // More may start between two calls.
        this.#processRoom = Math.min(length, 4096) + 16;
        continue;
      }
      if (code !== NVML.SUCCESS) return {code, value: null};
      const value = Array.from({length: Math.min(length, this.#processRoom)}, (_, index) => {
        const used = infos.readBigUInt64LE(index * PROCESS_BYTES + 8);
        return {
          pid: infos.readUInt32LE(index * PROCESS_BYTES),
          usedBytes: used === NOT_AVAILABLE ? null : Number(used),
        };
      });
      return {code, value};
    }
  }

  #word(call: (out: Uint32Array) => number): Got<number> {
    const code = call(this.#words);
    return {code, value: code === NVML.SUCCESS ? (this.#words[0] ?? null) : null};
  }

  #handle(call: (out: BigUint64Array) => number): Got<DeviceHandle> {
    const out = new BigUint64Array(1);
    const code = call(out);
    return {code, value: code === NVML.SUCCESS ? (out[0] ?? null) : null};
  }
}

/** The first spelling that this driver has; without one, a call that says so. */
function bind(library: ReturnType<typeof koffi.load>, prototypes: readonly string[]): Call {
  for (const prototype of prototypes) {
    try {
      // koffi's functions are untyped; all of these take words and addresses and return an int.
      return library.func(prototype) as Call;
    } catch {
      // not in this driver
    }
  }
  return () => NVML.FUNCTION_NOT_FOUND;
}

function text(size: number, call: (buffer: Buffer, size: number) => number): Got<string> {
  const buffer = Buffer.alloc(size);
  const code = call(buffer, size);
  const end = buffer.indexOf(0);
  return {code, value: code === NVML.SUCCESS ? buffer.toString('utf8', 0, end < 0 ? size : end) : null};
}

function flag({code, value}: Got<number>): Got<boolean> {
  return {code, value: value === null ? null : value === 1};
}

function scaled({code, value}: Got<number>, factor: number): Got<number> {
  return {code, value: value === null ? null : value * factor};
}
