import {fileURLToPath} from 'node:url';
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import type {GpuFacts} from '../../../harness/contract/device.ts';
import {loadCatalogue} from '../../../harness/device/catalogue.ts';
import {readCpu} from '../../../harness/device/cpu.ts';
import {cpuSlug, gpuSlug, identifyDevices, normalisePciId} from '../../../harness/device/identity.ts';
import {slug} from '../../../harness/device/slug.ts';
import {readVirtualization} from '../../../harness/device/virtualization.ts';
import {FakeHost} from '../../support/fake-host.ts';

const catalogue = await loadCatalogue(fileURLToPath(new URL('../../../matrices/devices.yaml', import.meta.url)));
const MIB = 2 ** 20;

function gpu(name: string, memoryMib: number, more: Partial<GpuFacts> = {}): GpuFacts {
  return {
    index: 0,
    uuid: 'GPU-0',
    name,
    memoryBytes: memoryMib * MIB,
    memoryUsedBytes: null,
    computeCapability: null,
    driver: '580.1',
    cuda: null,
    pciId: null,
    migMode: null,
    ...more,
  };
}

function identify(hostName: string, gpus: readonly GpuFacts[] = [], forcedDevice?: string) {
  const files = FakeHost.load(hostName);
  const cpu = readCpu(files, {architecture: 'x64', models: [], usable: 1});
  const virtualization = readVirtualization(files, cpu.hypervisor);
  return identifyDevices({cpu, virtualization, gpus, catalogue, forcedDevice});
}

describe('the devices of a machine', () => {
  test('CPUs: known ones by their name, slices of a shared one with their size', () => {
    const hosts = ['kvm-zen4', 'kvm-hidden-xeon', 'ryzen-5800hs-laptop', 'container-v2', 'vm-v1', 'bare-epyc-rapl'];
    const names = hosts.map((host) => {
      const [device] = identify(host);
      return [device?.name, device?.entry?.name ?? null, device?.title];
    });
    expect(names).toEqual([
      ['amd-epyc-zen4-2c', null, 'AMD EPYC (2 virtual CPUs)'],
      ['intel-xeon-amx-2c', null, 'Intel(R) Xeon(R) Processor (2 virtual CPUs)'],
      ['ryzen-7-5800hs', 'ryzen-7-5800hs', 'AMD Ryzen 7 5800HS'],
      ['amd-ryzen-5-5600x', null, 'AMD Ryzen 5 5600X 6-Core Processor'],
      ['xeon-platinum-8375c-4c', null, 'Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz (4 virtual CPUs)'],
      ['epyc-7763', 'epyc-7763', 'AMD EPYC 7763'],
    ]);
  });

  test('GPUs: by name in any case, else by PCI id, with the CPU last', () => {
    const named = (facts: GpuFacts) => identify('kvm-zen4', [facts])[0]?.name;
    expect([
      named(gpu('Tesla T4', 15360)),
      named(gpu('tesla  t4', 15360)),
      named(gpu('Graphics Device', 15360, {pciId: '0x1EB810DE'})),
      named(gpu('NVIDIA A100-SXM4-40GB', 40960)),
      named(gpu('NVIDIA A100 80GB PCIe', 81920)),
      named(gpu('NVIDIA H100 80GB HBM3', 81559)),
      named(gpu('NVIDIA H200', 143771)),
      named(gpu('NVIDIA GeForce RTX 2080 SUPER', 8192)),
      named(gpu('NVIDIA GeForce RTX 4070 Ti', 12282)),
    ]).toEqual(['t4', 't4', 't4', 'a100-40gb', 'a100-80gb-pcie', 'h100', 'h200', 'rtx-2080-super', 'rtx-4070-ti']);
    expect(identify('kvm-zen4', [gpu('Tesla T4', 15360)]).map(({kind}) => kind)).toEqual(['cuda', 'cpu']);
  });

  test('two cards of one kind are two devices of one name', () => {
    const gpus = [gpu('Tesla T4', 15360), gpu('Tesla T4', 15360, {index: 1})];
    expect(identify('kvm-zen4', gpus).map(({name, gpuIndex}) => [name, gpuIndex])).toEqual([
      ['t4', 0],
      ['t4', 1],
      ['amd-epyc-zen4-2c', null],
    ]);
  });

  test('where one name stands for two sizes, memory decides', () => {
    const entry = catalogue.find(({name}) => name === 'a100-40gb');
    const pair = [40, 80].map((gib) => ({
      ...(entry ?? expect.unreachable()),
      name: `card-${gib}`,
      memory_bytes: gib * 1024 * MIB,
      match: {names: ['Card'], pci_ids: [], by_memory: true},
    }));
    const name = (mib: number) =>
      identifyDevices({
        cpu: readCpu(FakeHost.load('kvm-zen4'), {architecture: 'x64', models: [], usable: 1}),
        virtualization: 'kvm',
        gpus: [gpu('Card', mib)],
        catalogue: pair,
      })[0]?.name;
    expect([name(40_536), name(81_920), name(20_000)]).toEqual(['card-40', 'card-80', 'card']);
  });

  test('--device gives a device another name, of its own kind, and marks it', () => {
    const forced = (name: string, gpus: readonly GpuFacts[] = []) =>
      identify('kvm-zen4', gpus, name).map((device) => [
        device.name,
        device.kind,
        device.forced,
        device.entry?.name ?? null,
      ]);
    expect(forced('ryzen-7-5800hs')).toEqual([['ryzen-7-5800hs', 'cpu', true, 'ryzen-7-5800hs']]);
    expect(forced('my-box')).toEqual([['my-box', 'cpu', true, null]]);
    expect(forced('amd-epyc-zen4-2c')).toEqual([['amd-epyc-zen4-2c', 'cpu', false, null]]);
    expect(forced('a100-80gb', [gpu('Odd card', 81_920)])).toEqual([
      ['a100-80gb', 'cuda', true, 'a100-80gb'],
      ['amd-epyc-zen4-2c', 'cpu', false, null],
    ]);
    expect(() => forced('t4')).toThrow('--device t4: this machine has no NVIDIA GPU');
    expect(() => forced('My Box')).toThrow('--device "My Box": use lower-case letters');
  });
});

describe('names made from what a device reports', () => {
  test('of CPUs', () => {
    expect(
      [
        ['AMD EPYC 9354P 32-Core Processor', 'zen4', 'avx512-vnni-bf16'],
        ['AMD EPYC', 'zen4', 'avx512-vnni-bf16'],
        ['AMD EPYC-Milan Processor', 'zen3', 'avx2'],
        ['Intel Xeon Processor (Icelake)', 'icelake', 'avx512-vnni'],
        ['Intel(R) Xeon(R) CPU @ 2.20GHz', 'broadwell', 'avx2'],
        ['13th Gen Intel(R) Core(TM) i7-13700K', null, 'avx2-vnni'],
        ['AMD Ryzen 7 7840U w/ Radeon 780M Graphics', 'zen4', 'avx512-vnni-bf16'],
        ['ARM Neoverse-V1', null, 'neon-dotprod'],
        ['Intel(R) Xeon(R) Processor', null, 'avx512-vnni-bf16-fp16-amx'],
        ['AMD EPYC Processor', null, 'avx512-vnni-bf16'],
        ['', null, 'avx2'],
      ].map(([model, design, isa]) => cpuSlug(model ?? '', design ?? null, isa ?? '')),
    ).toEqual([
      'amd-epyc-9354p',
      'amd-epyc-zen4',
      'amd-epyc-zen3',
      'intel-xeon-icelake',
      'intel-xeon-broadwell',
      'intel-core-i7-13700k',
      'amd-ryzen-7-7840u',
      'arm-neoverse-v1',
      'intel-xeon-amx',
      'amd-epyc-avx512',
      'unknown-avx2',
    ]);
  });

  test('of GPUs and PCI ids', () => {
    expect([gpuSlug('Quadro RTX 6000'), gpuSlug('NVIDIA Graphics Device'), gpuSlug('NVIDIA')]).toEqual([
      'rtx-6000',
      'graphics-device',
      'unknown',
    ]);
    expect([
      normalisePciId('0x1EB810DE'),
      normalisePciId('10DE:1EB8'),
      normalisePciId('[N/A]'),
      normalisePciId(null),
    ]).toEqual(['10de:1eb8', '10de:1eb8', null, null]);
  });

  test('are valid device names, whatever is reported', () => {
    fc.assert(
      fc.property(fc.string({unit: 'grapheme'}), (text) => {
        for (const name of [slug(text), gpuSlug(text), cpuSlug(text, 'zen4', ''), cpuSlug(text, null, 'avx2')]) {
          expect(name).toMatch(/^[a-z0-9][a-z0-9.-]*$/);
          expect(slug(name)).toBe(name);
        }
      }),
      {seed: 1},
    );
  });
});
