import type {Cell} from '../../harness/contract/cell.ts';
import type {HostFacts} from '../../harness/contract/device.ts';

/** Variables that leave a worker exactly the device of its cell: one GPU, or none. */
export function gpuEnvironment(cell: Cell, host: HostFacts): Readonly<Record<string, string>> {
  if (cell.deviceKind !== 'cuda') return {CUDA_VISIBLE_DEVICES: ''};
  const index = host.devices.find((device) => device.name === cell.device)?.gpuIndex ?? 0;
  // nvidia-smi counts by PCI bus; CUDA by speed, unless told.
  return {CUDA_VISIBLE_DEVICES: String(index), CUDA_DEVICE_ORDER: 'PCI_BUS_ID'};
}
