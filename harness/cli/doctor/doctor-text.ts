import {CAVEATS, type Caveat} from '../../contract/caveats.ts';
import type {HostFacts, MeasuredBandwidth} from '../../contract/device.ts';
import {FORMAT_NAMES, FORMATS, type Format} from '../../contract/format.ts';
import type {Availability} from '../../contract/sampler.ts';
import {formatBytes, formatScaled} from '../../contract/units.ts';
import {plain, type Style} from '../terminal.ts';
import type {Ability} from './abilities.ts';
import type {GpuLook} from './gpu-look.ts';

/** All that `bench doctor` found out; `--json` prints it as it is. */
export interface Diagnosis {
  readonly host: HostFacts;
  /** Measured with all usable cores; null when it could not be measured. */
  readonly memoryBandwidth: MeasuredBandwidth | null;
  /** Why it could not be measured. */
  readonly memoryBandwidthProblem?: string;
  readonly quiet: readonly Caveat[];
  readonly counters: readonly {readonly id: string; readonly availability: Availability}[];
  readonly abilities: readonly Ability[];
  /** What rows of each GPU would have to say now. */
  readonly gpuLooks?: readonly GpuLook[];
}

/** The diagnosis for people: sections of aligned lines, each with a sign and, where something is amiss, what to do. */
export function doctorText(diagnosis: Diagnosis, style: Style): string {
  const sections = [
    ['machine', machineLines(diagnosis)],
    ['devices', deviceLines(diagnosis)],
    ['GPU', gpuLines(diagnosis, style)],
    ['can run', [...abilityLines(diagnosis.abilities, style), SERVER_LINE]],
    ['kernels for gptq-4bit', kernelLines(diagnosis.host, style)],
    ['quiet', quietLines(diagnosis.quiet, style)],
    ['counters (what a run records beside times)', counterLines(diagnosis, style)],
  ] as const;
  const told = sections.filter(([, lines]) => lines.length > 0);
  return `${told.map(([title, lines]) => [style.bold(title), ...lines].join('\n')).join('\n\n')}\n`;
}

function machineLines({host, memoryBandwidth, memoryBandwidthProblem = 'not measured'}: Diagnosis): string[] {
  const {cpu, memory} = host;
  const data = host.devices.find(({kind}) => kind === 'cpu')?.entry?.memory_bandwidth_bytes_per_s ?? null;
  const measured =
    memoryBandwidth === null
      ? memoryBandwidthProblem
      : `${formatScaled(memoryBandwidth.bytesPerS, 'B/s')} read, ${cpu.usableCores} ${plural(cpu.usableCores, 'thread')}, ` +
        `${formatBytes(memoryBandwidth.arrayBytes)} a pass`;
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
  const {executable, version, torch, transformers, cuda} = python;
  return `${version}, torch ${torch}${cuda ? ', sees the GPU' : ''}, transformers ${transformers} (${executable})`;
}

function deviceLines({host}: Diagnosis): string[] {
  return pairs(
    host.devices.map((device) => {
      const known =
        device.entry === null ? 'not in devices.yaml: works, without data-sheet figures' : 'in devices.yaml';
      const gpu = device.gpuIndex === null ? undefined : host.gpus.find(({index}) => index === device.gpuIndex);
      const memory = gpu === undefined ? '' : `, ${formatBytes(gpu.memoryBytes)}, driver ${gpu.driver}`;
      return [device.name, `${device.title}${memory}, ${device.forced ? 'named by --device' : known}`];
    }),
  );
}

/** Nothing on a host that has neither a card nor trouble with one. */
function gpuLines({host, gpuLooks = []}: Diagnosis, style: Style): string[] {
  const {gpuProblem = null} = host;
  const trouble = gpuProblem === null ? [] : [`  ${style.red('✗')} ${plain(gpuProblem.reason)}`];
  if (gpuProblem !== null && gpuProblem.fix !== null) trouble.push(`      ${style.dim(plain(gpuProblem.fix))}`);
  const cards = host.gpus.flatMap(({index, name, driver, cuda, memoryUsedBytes, powerLimitW = null}) => {
    const caveats = gpuLooks.find((look) => look.index === index)?.caveats ?? [];
    const parts = [
      `GPU ${index}: ${name}`,
      `driver ${driver}`,
      ...(cuda === null ? [] : [`CUDA up to ${cuda}`]),
      ...(memoryUsedBytes === null ? [] : [`${formatBytes(memoryUsedBytes)} in use`]),
      ...(powerLimitW === null ? [] : [`limit ${Math.round(powerLimitW)} W`]),
    ];
    const sign = caveats.length === 0 ? style.green('✓') : style.yellow('!');
    return [`  ${sign} ${plain(parts.join(', '))}`, ...caveatLines(caveats, style)];
  });
  return [...trouble, ...cards];
}

/** Of servers nothing can be said before a matrix names one. */
const SERVER_LINE = '  – openai-http: any OpenAI-compatible server that a matrix names (matrices/serve-openai.yaml)';

/**
 * A runner with the formats it runs, and below it what it refuses that no other runner runs on the same device: that
 * llama.cpp reads no safetensors is no news as long as somebody else does.
 */
function abilityLines(abilities: readonly Ability[], style: Style): string[] {
  return abilities.flatMap(({runner, device, runs, refused}) => {
    const elsewhere = new Set(
      abilities.filter((other) => other.real && other.device === device).flatMap((o) => o.runs),
    );
    const missing = refused.filter(
      ({formats}) => runs.length === 0 || formats.some((format) => !elsewhere.has(format)),
    );
    const sign = runs.length === 0 ? style.red('✗') : style.green('✓');
    return [
      `  ${sign} ${runner} on ${device}${runs.length === 0 ? '' : `: ${formatWords(runs)}`}`,
      ...missing.map(({formats, reason}) => `      ${style.dim(plain(`not ${formatWords(formats)}: ${reason}`))}`),
    ];
  });
}

/** Every kernel that the Python side knows, with the reason where it cannot run; nothing without a Python. */
function kernelLines({software: {python}}: HostFacts, style: Style): string[] {
  const kernels = Object.entries(python?.kernels ?? {});
  const width = Math.max(0, ...kernels.map(([name]) => plain(name).length));
  return kernels.map(([name, verdict]) =>
    verdict === true
      ? `  ${style.green('✓')} ${plain(name)}`
      : `  ${style.dim('–')} ${plain(name).padEnd(width)}  ${plain(verdict)}`,
  );
}

/** `fp16 gptq-4bit all gguf`: a family that is whole is named once. */
function formatWords(formats: readonly Format[]): string {
  const families = [...new Set(FORMAT_NAMES.map((format) => FORMATS[format].family))];
  return families
    .flatMap((family) => {
      const all = FORMAT_NAMES.filter((format) => FORMATS[format].family === family);
      const here = all.filter((format) => formats.includes(format));
      return here.length === all.length && all.length > 1 ? [`all ${family}`] : here;
    })
    .join(', ');
}

function quietLines(caveats: readonly Caveat[], style: Style): string[] {
  return caveats.length === 0 ? [`  ${style.green('✓')} nothing else is running`] : caveatLines(caveats, style);
}

function caveatLines(caveats: readonly Caveat[], style: Style): string[] {
  return caveats.map(({code, value}) => {
    const {doc, fix} = CAVEATS[code];
    const number = value === undefined ? '' : ` [${value}]`;
    return `  ${style.yellow('!')} ${code}${plain(number)}: ${doc}\n      ${style.dim(fix)}`;
  });
}

function counterLines({counters}: Diagnosis, style: Style): string[] {
  const width = Math.max(...counters.map(({id}) => id.length));
  return counters.map(({id, availability}) => {
    const name = id.padEnd(width);
    if (availability.ok) {
      const lacks = (availability.lacks ?? []).map((lack) => `\n      ${style.dim(plain(lack))}`);
      return `  ${style.green('✓')} ${name}  ${plain(availability.detail)}${lacks.join('')}`;
    }
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
