import type {InventoryGpu, NvmlMessage} from './messages.ts';
import type {DeviceHandle, Got, NvmlLibrary} from './nvml-library.ts';
import {codeFix, codeWords} from './return-codes.ts';

/** What the cards are, read once. A card that does not answer is named and left out. */
export function readInventory(nvml: NvmlLibrary): NvmlMessage {
  const count = nvml.count();
  if (count.value === null) return failed('nvmlDeviceGetCount', count.code);
  const gpus: InventoryGpu[] = [];
  const lost: string[] = [];
  for (let index = 0; index < count.value; index++) {
    const handle = nvml.handleByIndex(index);
    const gpu = handle.value === null ? null : readGpu(nvml, handle.value, index);
    if (gpu === null) lost.push(`GPU ${index}: ${codeWords(handle.code)}`);
    else gpus.push(gpu);
  }
  return {
    type: 'inventory',
    driver: nvml.driverVersion().value ?? '',
    cuda: nvml.cudaVersion().value,
    gpus,
    lost,
  };
}

export function failed(what: string, code: number): NvmlMessage {
  return {type: 'failed', code, reason: `${what}: ${codeWords(code)}`, fix: codeFix(code)};
}

function readGpu(nvml: NvmlLibrary, device: DeviceHandle, index: number): InventoryGpu | null {
  const value = <T>(got: Got<T>): T | null => got.value;
  const uuid = value(nvml.uuid(device));
  const name = value(nvml.name(device));
  const memory = value(nvml.memory(device));
  if (uuid === null || name === null || memory === null) return null;
  const migEnabled = value(nvml.migEnabled(device));
  return {
    index,
    uuid,
    name,
    memoryBytes: memory.totalBytes,
    memoryUsedBytes: memory.usedBytes,
    computeCapability: value(nvml.computeCapability(device)),
    pciId: value(nvml.pciId(device)),
    migEnabled,
    mig: migEnabled === true ? readMig(nvml, device) : [],
    persistence: value(nvml.persistence(device)),
    ecc: value(nvml.ecc(device)),
    eccDefault: value(nvml.defaultEcc(device)),
    powerLimitW: value(nvml.enforcedPowerLimitW(device)),
    powerDefaultLimitW: value(nvml.defaultPowerLimitW(device)),
    maxSmClockHz: value(nvml.maxSmClockHz(device)),
    maxMemoryClockHz: value(nvml.maxMemoryClockHz(device)),
    slowdownC: value(nvml.slowdownC(device)),
  };
}

function readMig(nvml: NvmlLibrary, device: DeviceHandle): InventoryGpu['mig'] {
  return nvml.migDevices(device).flatMap((instance) => {
    const uuid = nvml.uuid(instance).value;
    return uuid === null ? [] : [{uuid, memoryBytes: nvml.memory(instance).value?.totalBytes ?? null}];
  });
}
