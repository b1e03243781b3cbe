import os from 'node:os';
import type {DeviceEntry, GpuFacts, HostFacts, SoftwareFacts} from '../contract/device.ts';
import {type SystemFiles, systemFiles} from '../linux/system-files.ts';
import {nodeCpus, readCpu} from './cpu.ts';
import {readGpuReport} from './gpus.ts';
import {identifyDevices} from './identity.ts';
import {readMemory} from './memory.ts';
import {slug} from './slug.ts';
import {readVirtualization} from './virtualization.ts';

export interface HostFactsOptions {
  readonly catalogue: readonly DeviceEntry[];
  /** From {@link findSoftware}. */
  readonly software: SoftwareFacts;
  /** --device. */
  readonly forcedDevice?: string | undefined;
  /** Of this machine unless a test says otherwise. */
  readonly files?: SystemFiles;
  readonly gpus?: readonly GpuFacts[];
  readonly hostName?: string;
}

/**
 * Reads what this machine is. Nothing is measured and nothing is assumed: a figure that cannot be read is null.
 *
 * @throws {BenchError} USAGE when --device cannot be.
 */
export async function readHostFacts({
  catalogue,
  software,
  forcedDevice,
  files = systemFiles(),
  gpus,
  hostName = os.hostname(),
}: HostFactsOptions): Promise<HostFacts> {
  const node = nodeCpus();
  const cpu = readCpu(files, node);
  const virtualization = readVirtualization(files, cpu.hypervisor);
  const {gpus: found, problem} = gpus === undefined ? await readGpuReport({files}) : {gpus, problem: null};
  return {
    // A short name: it becomes a part of folder and file names.
    host: slug(hostName.split('.')[0] ?? '')
      .slice(0, 32)
      .replace(/[.-]+$/, ''),
    os: osName(files),
    kernelRelease: files.text('/proc/sys/kernel/osrelease')?.trim() ?? os.release(),
    node: process.version,
    virtualization,
    cpu: cpu.facts,
    memory: readMemory(files),
    gpus: found,
    gpuProblem: problem,
    devices: identifyDevices({cpu, virtualization, gpus: found, catalogue, forcedDevice}),
    software,
  };
}

/** As /etc/os-release names it: `Debian GNU/Linux 12 (bookworm)`. */
function osName(files: SystemFiles): string {
  const release = files.text('/etc/os-release') ?? files.text('/usr/lib/os-release') ?? '';
  const pretty = /^PRETTY_NAME=(?:"([^"]*)"|'([^']*)'|(.*))$/m.exec(release);
  return pretty?.[1] ?? pretty?.[2] ?? pretty?.[3] ?? `${os.type()} ${os.release()}`;
}
