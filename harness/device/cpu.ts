import os from 'node:os';
import type {CpuFacts} from '../contract/device.ts';
import {findCgroup, readCpuQuota} from '../linux/cgroup.ts';
import {parseCpuList} from '../linux/cpu-list.ts';
import {statusField} from '../linux/proc-status.ts';
import type {SystemFiles} from '../linux/system-files.ts';
import {armPartName, microarchitecture} from './microarchitecture.ts';

const CPU_FOLDER = '/sys/devices/system/cpu';

/** What Node knows without /proc: the fallback on other systems. */
export interface NodeCpus {
  readonly architecture: string;
  readonly models: readonly string[];
  readonly usable: number;
}

export function nodeCpus(): NodeCpus {
  return {
    architecture: process.arch,
    models: os.cpus().map((cpu) => cpu.model.trim()),
    usable: os.availableParallelism(),
  };
}

/** The facts of the contract, and what only the naming of the device needs. */
export interface CpuReport {
  readonly facts: CpuFacts;
  /** `zen4`, `icelake-sp`, …; null when unknown. */
  readonly microarchitecture: string | null;
  /** The CPU says that it runs under a hypervisor. */
  readonly hypervisor: boolean;
}

export function readCpu(files: SystemFiles, node: NodeCpus): CpuReport {
  const processors = parseCpuInfo(files.text('/proc/cpuinfo') ?? '');
  const first = processors[0] ?? new Map<string, string>();
  const flags = [...new Set((first.get('flags') ?? first.get('Features') ?? '').split(/\s+/))].filter(Boolean).sort();
  const logical = processors.map((processor, index) => Number(processor.get('processor') ?? index));
  const online = parseCpuList(files.text(`${CPU_FOLDER}/online`) ?? '');
  const all = online.length > 0 ? online : logical;
  const cores = coresOf(files, processors, all);
  const allowed = parseCpuList(statusField(files.text('/proc/self/status') ?? '', 'Cpus_allowed_list') ?? '');
  const usable = all.filter((cpu) => allowed.length === 0 || allowed.includes(cpu));
  const cgroup = findCgroup(files, 'cpu');
  const quota = (cgroup === null ? null : readCpuQuota(files, cgroup)) ?? Number.POSITIVE_INFINITY;
  const usableCores = new Set(usable.map((cpu) => cores.get(cpu))).size || node.usable;
  const model = first.get('model name') ?? armPartName(first) ?? node.models[0] ?? 'unknown CPU';
  return {
    facts: {
      model,
      vendor: first.get('vendor_id') ?? first.get('CPU implementer') ?? 'unknown',
      architecture: node.architecture,
      usableCores: Math.max(1, Math.min(usableCores, Math.floor(quota))),
      physicalCores: Math.max(1, new Set(cores.values()).size || node.models.length),
      logicalCores: Math.max(1, all.length || node.models.length),
      flags,
      isa: isaWords(flags, node.architecture),
      l3Bytes: l3Bytes(files, all),
      governor: files.text(`${CPU_FOLDER}/cpu${all[0] ?? 0}/cpufreq/scaling_governor`)?.trim() ?? null,
    },
    microarchitecture: microarchitecture(first),
    hypervisor: flags.includes('hypervisor'),
  };
}

/** Blocks of `key : value` lines with a blank line between them. ARM has a last block without `processor`: it is left out. */
export function parseCpuInfo(text: string): readonly ReadonlyMap<string, string>[] {
  return text
    .split(/\n\s*\n/)
    .map(
      (block) =>
        new Map(
          block.split('\n').flatMap((line): [string, string][] => {
            const colon = line.indexOf(':');
            return colon < 0 ? [] : [[line.slice(0, colon).trim(), line.slice(colon + 1).trim()]];
          }),
        ),
    )
    .filter((block) => block.has('processor'));
}

/** CPU number to a name of its core: hyper-threads of one core share it. */
function coresOf(
  files: SystemFiles,
  processors: readonly ReadonlyMap<string, string>[],
  cpus: readonly number[],
): ReadonlyMap<number, string> {
  const described = new Map(processors.map((processor) => [Number(processor.get('processor')), processor]));
  return new Map(
    cpus.map((cpu) => {
      const siblings = files.text(`${CPU_FOLDER}/cpu${cpu}/topology/thread_siblings_list`)?.trim();
      if (siblings) return [cpu, siblings];
      const processor = described.get(cpu);
      const core = processor?.get('core id');
      return [cpu, core === undefined ? `cpu${cpu}` : `${processor?.get('physical id') ?? 0}:${core}`];
    }),
  );
}

/** Sum over all level-3 caches of the machine: an array of this size may stay cached when it is spread over all cores. */
function l3Bytes(files: SystemFiles, cpus: readonly number[]): number | null {
  const caches = new Map<string, number>();
  for (const cpu of cpus) {
    for (const index of files.list(`${CPU_FOLDER}/cpu${cpu}/cache`)) {
      const folder = `${CPU_FOLDER}/cpu${cpu}/cache/${index}`;
      if (files.text(`${folder}/level`)?.trim() !== '3') continue;
      const size = /^(\d+)([KM])$/.exec(files.text(`${folder}/size`)?.trim() ?? '');
      const shared = files.text(`${folder}/shared_cpu_list`)?.trim() ?? String(cpu);
      if (size !== null) caches.set(shared, Number(size[1]) * (size[2] === 'M' ? 1 << 20 : 1 << 10));
    }
  }
  return caches.size === 0 ? null : [...caches.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/** The widest vector instructions, and the additions that matter to a quantized dot product. */
export function isaWords(flags: readonly string[], architecture: string): string {
  const has = new Set(flags);
  const words = (table: readonly (readonly [flag: string, word: string])[]) =>
    table.filter(([flag]) => has.has(flag)).map(([, word]) => `-${word}`);
  if (architecture === 'arm64') {
    const arm = [
      ['asimddp', 'dotprod'],
      ['i8mm', 'i8mm'],
      ['bf16', 'bf16'],
      ['sve', 'sve'],
      ['sve2', 'sve2'],
    ] as const;
    return ['neon', ...words(arm)].join('');
  }
  if (has.has('avx512f') && has.has('avx512bw') && has.has('avx512vl')) {
    const wide = [
      ['avx512_vnni', 'vnni'],
      ['avx512_bf16', 'bf16'],
      ['avx512_fp16', 'fp16'],
      ['amx_int8', 'amx'],
    ] as const;
    return ['avx512', ...words(wide)].join('');
  }
  if (has.has('avx2')) return ['avx2', ...words([['avx_vnni', 'vnni']])].join('');
  if (has.has('avx')) return 'avx';
  if (has.has('sse4_2')) return 'sse4.2';
  return architecture === 'x64' ? 'sse2' : architecture;
}
