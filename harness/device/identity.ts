import type {DeviceEntry, DeviceIdentity, GpuFacts} from '../contract/device.ts';
import {BenchError} from '../contract/errors.ts';
import type {CpuReport} from './cpu.ts';
import {slug} from './slug.ts';

/** Cards of one name and different memory are told apart by their size, within this share of it. */
const MEMORY_TOLERANCE = 0.1;

export interface IdentityInput {
  readonly cpu: CpuReport;
  readonly virtualization: string | null;
  readonly gpus: readonly GpuFacts[];
  readonly catalogue: readonly DeviceEntry[];
  /** --device: the name to go by, whatever the machine reports. */
  readonly forcedDevice?: string | undefined;
}

/**
 * What can execute a cell here: every GPU, then the CPU.
 *
 * A forced name goes to the device of its kind in the catalogue. A name that the catalogue does not know goes to the
 * first GPU, or to the CPU of a host without one.
 *
 * @throws {BenchError} USAGE when --device names a GPU and there is none, or is no device name.
 */
export function identifyDevices(input: IdentityInput): readonly DeviceIdentity[] {
  const devices = [...input.gpus.map((gpu) => identifyGpu(gpu, input.catalogue)), identifyCpu(input)];
  const {forcedDevice, catalogue} = input;
  if (forcedDevice === undefined) return devices;
  if (slug(forcedDevice) !== forcedDevice) {
    throw new BenchError(
      'USAGE',
      `--device ${JSON.stringify(forcedDevice)}: use lower-case letters, digits, "." and "-"`,
    );
  }
  const entry = catalogue.find(({name}) => name === forcedDevice) ?? null;
  const recognised = devices.some(({name}) => name === forcedDevice);
  if (recognised) return devices;
  const target = entry === null ? devices[0] : devices.find(({kind}) => kind === entry.kind);
  if (target === undefined) throw new BenchError('USAGE', `--device ${forcedDevice}: this machine has no NVIDIA GPU`);
  return devices.map((device) => (device === target ? {...device, name: forcedDevice, entry, forced: true} : device));
}

export function identifyGpu(gpu: GpuFacts, catalogue: readonly DeviceEntry[]): DeviceIdentity {
  const entry = catalogue.find((candidate) => candidate.kind === 'cuda' && matchesGpu(candidate, gpu)) ?? null;
  return {
    name: entry?.name ?? gpuSlug(gpu.name),
    title: entry?.title ?? gpu.name,
    kind: 'cuda',
    gpuIndex: gpu.index,
    entry,
    forced: false,
  };
}

function matchesGpu({match, memory_bytes}: DeviceEntry, gpu: GpuFacts): boolean {
  const pciId = normalisePciId(gpu.pciId);
  const named = match.names.some((name) => sameName(name, gpu.name));
  if (!named && (pciId === null || !match.pci_ids.includes(pciId))) return false;
  if (!match.by_memory || memory_bytes === null) return true;
  return Math.abs(gpu.memoryBytes - memory_bytes) <= MEMORY_TOLERANCE * memory_bytes;
}

/** `0x1EB810DE`, as nvidia-smi prints it (device, then vendor), or `10de:1eb8`: both become the latter. */
export function normalisePciId(text: string | null): string | null {
  const lower = text?.trim().toLowerCase() ?? '';
  const joined = /^0x([0-9a-f]{4})([0-9a-f]{4})$/.exec(lower);
  if (joined !== null) return `${joined[2]}:${joined[1]}`;
  return /^[0-9a-f]{4}:[0-9a-f]{4}$/.test(lower) ? lower : null;
}

/** `NVIDIA GeForce RTX 4070 Ti` becomes `rtx-4070-ti`, in the manner of the catalogue's own names. */
export function gpuSlug(name: string): string {
  return slug(name.replaceAll(/\b(nvidia|geforce|tesla|quadro)\b/gi, ' '));
}

export function identifyCpu({cpu, virtualization, catalogue}: IdentityInput): DeviceIdentity {
  const {facts} = cpu;
  // WSL shows a person's whole own CPU; any other virtual machine is a slice of a shared one.
  const slice = virtualization !== null && cpu.hypervisor && !virtualization.startsWith('wsl');
  const known = catalogue.find(
    ({kind, match}) => kind === 'cpu' && match.names.some((name) => sameName(name, facts.model)),
  );
  const name = known?.name ?? cpuSlug(facts.model, cpu.microarchitecture, facts.isa);
  return {
    name: slice ? `${name}-${facts.logicalCores}c` : name,
    title: slice ? `${facts.model} (${facts.logicalCores} virtual CPUs)` : (known?.title ?? facts.model),
    kind: 'cpu',
    gpuIndex: null,
    // The data sheet speaks of the whole socket: it says nothing of a slice.
    entry: slice ? null : (known ?? null),
    forced: false,
  };
}

/**
 * `AMD EPYC 9354P 32-Core Processor` becomes `amd-epyc-9354p`. A hypervisor may hide the model (`AMD EPYC`, `Intel Xeon
 * Processor (Icelake)`): then the core design stands for it, `amd-epyc-zen4`. It may hide the design, too, or report the
 * number of another one; then the widest vector unit that the CPU does offer stands for it: `intel-xeon-amx`.
 *
 * @param isa In the words of {@link isaWords}.
 */
export function cpuSlug(model: string, design: string | null, isa: string): string {
  const words = model
    .replaceAll(/\((r|tm|c)\)/gi, ' ')
    .replaceAll(/@.*$/g, ' ')
    .replaceAll(/\bwith radeon.*$/gi, ' ')
    .replaceAll(/\bw\/ radeon.*$/gi, ' ')
    .replaceAll(/\b\d+-core\b/gi, ' ')
    .replaceAll(/\b\d+(st|nd|rd|th) gen\b/gi, ' ')
    .replaceAll(/\b(cpu|processor)\b/gi, ' ');
  if (/\d/.test(words)) return slug(words);
  const [widest = ''] = isa.split('-');
  const instead = design ?? (isa.split('-').includes('amx') ? 'amx' : widest);
  return slug(`${words.replaceAll(/[(-].*$/g, ' ').trim() || 'unknown'} ${instead}`);
}

/** Case and runs of blanks do not count. */
function sameName(a: string, b: string): boolean {
  const plain = (text: string) => text.trim().replaceAll(/\s+/g, ' ').toLowerCase();
  return plain(a) === plain(b);
}
