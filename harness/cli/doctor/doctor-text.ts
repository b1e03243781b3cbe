import {CAVEATS, type Caveat} from '../../contract/caveats.ts';
import type {HostFacts} from '../../contract/device.ts';
import type {Availability} from '../../contract/sampler.ts';
import {formatBytes, formatScaled} from '../../contract/units.ts';
import {plain, type Style} from '../terminal.ts';
import type {Ability} from './abilities.ts';

/** All that `bench doctor` found out; `--json` prints it as it is. */
export interface Diagnosis {
  readonly host: HostFacts;
  /** Measured with all usable cores; null when it could not be measured. */
  readonly memoryBandwidthBytesPerS: number | null;
  readonly quiet: readonly Caveat[];
  readonly counters: readonly {readonly id: string; readonly availability: Availability}[];
  readonly abilities: readonly Ability[];
}

/** The diagnosis for people: sections of aligned lines, each with a sign and, where something is amiss, what to do. */
export function doctorText(diagnosis: Diagnosis, style: Style): string {
  const sections = [
    ['machine', machineLines(diagnosis)],
    ['devices', deviceLines(diagnosis)],
    ['can run', abilityLines(diagnosis.abilities, style)],
    ['quiet', quietLines(diagnosis.quiet, style)],
    ['counters', counterLines(diagnosis, style)],
  ] as const;
  return `${sections.map(([title, lines]) => [style.bold(title), ...lines].join('\n')).join('\n\n')}\n`;
}

function machineLines({host, memoryBandwidthBytesPerS}: Diagnosis): string[] {
  const {cpu, memory} = host;
  const data = host.devices.find(({kind}) => kind === 'cpu')?.entry?.memory_bandwidth_bytes_per_s ?? null;
  const measured =
    memoryBandwidthBytesPerS === null
      ? 'not measured'
      : `${formatScaled(memoryBandwidthBytesPerS, 'B/s')} read, ${cpu.usableCores} ${plural(cpu.usableCores, 'thread')}`;
  const limit = memory.cgroupLimitBytes === null ? '' : `, limited to ${formatBytes(memory.cgroupLimitBytes)} (cgroup)`;
  return pairs([
    ['host', host.host],
    ['system', `${host.os}, kernel ${host.kernelRelease}, Node ${host.node.replace(/^v/, '')}`],
    ['virtual', host.virtualization ?? 'no'],
    ['CPU', cpu.model],
    [
      'cores',
      `${cpu.usableCores} usable of ${cpu.physicalCores} (${cpu.logicalCores} logical), ${cpu.isa}` +
        (cpu.l3Bytes === null ? '' : `, L3 ${formatBytes(cpu.l3Bytes)}`),
    ],
    ['memory', `${formatBytes(memory.totalBytes)}, ${formatBytes(memory.availableBytes)} free${limit}`],
    ['bandwidth', data === null ? measured : `${measured}; data sheet ${formatScaled(data, 'B/s')}`],
    ['llama.cpp', llamaText(host)],
    ['Python', pythonText(host)],
  ]);
}

function llamaText({software}: HostFacts): string {
  const parts = [
    software.llamaPrebuiltDir === null ? 'no prebuilt library for this platform' : 'prebuilt',
    software.llamaNativeDir === null ? 'no native build (bench setup llama-cpp --native)' : 'native build',
    ...software.llamaGpu,
  ];
  return parts.join(', ');
}

function pythonText({software: {python, pythonReason}}: HostFacts): string {
  if (python === null) return pythonReason ?? 'none';
  return `${python.version}, torch ${python.torch}${python.cuda ? ' with CUDA' : ''}, transformers ${python.transformers}`;
}

function deviceLines({host}: Diagnosis): string[] {
  return pairs(
    host.devices.map((device) => {
      const known = device.entry === null ? 'not in devices.yaml' : 'in devices.yaml';
      const gpu = device.gpuIndex === null ? undefined : host.gpus.find(({index}) => index === device.gpuIndex);
      const memory = gpu === undefined ? '' : `, ${formatBytes(gpu.memoryBytes)}, driver ${gpu.driver}`;
      return [device.name, `${device.title}${memory}, ${device.forced ? 'named by --device' : known}`];
    }),
  );
}

function abilityLines(abilities: readonly Ability[], style: Style): string[] {
  return abilities.flatMap(({runner, device, runs, refused}) => {
    const lines = refused.map(({formats, reason}) => `${formats.join(' ')}: ${reason}`);
    const head = `${runner} on ${device}`;
    if (runs.length === 0)
      return [`  ${style.red('✗')} ${head}`, ...lines.map((line) => `      ${style.dim(plain(line))}`)];
    // Formats that belong to another engine are no news; what else a runner refuses is seen with --json and --plan.
    return [`  ${style.green('✓')} ${head}: ${runs.join(' ')}`];
  });
}

function quietLines(caveats: readonly Caveat[], style: Style): string[] {
  if (caveats.length === 0) return [`  ${style.green('✓')} nothing else is running`];
  return caveats.map(({code, value}) => {
    const {doc, fix} = CAVEATS[code];
    const number = value === undefined ? '' : ` [${value}]`;
    return `  ${style.yellow('!')} ${code}${plain(number)}: ${doc} ${fix}`;
  });
}

function counterLines({counters}: Diagnosis, style: Style): string[] {
  const width = Math.max(...counters.map(({id}) => id.length));
  return counters.map(({id, availability}) => {
    const name = id.padEnd(width);
    if (availability.ok) return `  ${style.green('✓')} ${name}  ${plain(availability.detail)}`;
    const fix = availability.fix === null ? '' : `; to change it: ${availability.fix}`;
    return `  ${style.dim('–')} ${name}  ${plain(availability.reason + fix)}`;
  });
}

function pairs(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `  ${plain(name).padEnd(width)}  ${plain(text)}`);
}

function plural(count: number, noun: string): string {
  return count === 1 ? noun : `${noun}s`;
}
