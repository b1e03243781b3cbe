import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import type {SoftwareFacts} from '../../../harness/contract/device.ts';
import {isaWords, parseCpuInfo, readCpu} from '../../../harness/device/cpu.ts';
import {readHostFacts} from '../../../harness/device/host-facts.ts';
import {readMemory} from '../../../harness/device/memory.ts';
import {armPartName, microarchitecture} from '../../../harness/device/microarchitecture.ts';
import {readVirtualization} from '../../../harness/device/virtualization.ts';
import {systemFiles} from '../../../harness/linux/system-files.ts';
import {FakeHost} from '../../support/fake-host.ts';

const NODE = {architecture: 'x64', models: ['from Node', 'from Node'], usable: 2};
const NONE: SoftwareFacts = {
  llamaPrebuiltDir: null,
  llamaNativeDir: null,
  llamaGpu: [],
  python: null,
  pythonReason: 'none',
};

async function facts(name: string, hostName = 'box.example.org') {
  const files = FakeHost.load(name);
  const host = await readHostFacts({catalogue: [], software: NONE, files, gpus: [], hostName});
  const {flags: _, ...cpu} = host.cpu;
  return {...host, cpu};
}

describe('host facts', () => {
  test('a virtual machine with control groups of version 1', async () => {
    const {cpu, memory, os, kernelRelease, virtualization, host} = await facts('kvm-zen4');
    expect({cpu, memory, os, kernelRelease, virtualization, host}).toMatchInlineSnapshot(`
      {
        "cpu": {
          "architecture": "x64",
          "governor": null,
          "isa": "avx512-vnni-bf16",
          "l3Bytes": 33554432,
          "logicalCores": 2,
          "model": "AMD EPYC",
          "physicalCores": 2,
          "usableCores": 2,
          "vendor": "AuthenticAMD",
        },
        "host": "box",
        "kernelRelease": "6.18.44",
        "memory": {
          "availableBytes": 24845443072,
          "cgroupLimitBytes": null,
          "cgroupVersion": 1,
          "swapTotalBytes": 0,
          "totalBytes": 25276502016,
        },
        "os": "Debian GNU/Linux 12 (bookworm)",
        "virtualization": "kvm",
      }
    `);
  });

  test('a laptop: hyper-threads are no cores', async () => {
    const {cpu, memory, virtualization} = await facts('ryzen-5800hs-laptop');
    expect({cpu, memory, virtualization}).toMatchInlineSnapshot(`
      {
        "cpu": {
          "architecture": "x64",
          "governor": "powersave",
          "isa": "avx2",
          "l3Bytes": 16777216,
          "logicalCores": 16,
          "model": "AMD Ryzen 7 5800HS with Radeon Graphics",
          "physicalCores": 8,
          "usableCores": 8,
          "vendor": "AuthenticAMD",
        },
        "memory": {
          "availableBytes": 12288000000,
          "cgroupLimitBytes": null,
          "cgroupVersion": 2,
          "swapTotalBytes": 2147479552,
          "totalBytes": 16518217728,
        },
        "virtualization": null,
      }
    `);
  });

  test('a container: its affinity, its CPU quota and its memory limit are the machine', async () => {
    const {cpu, memory, virtualization, os} = await facts('container-v2');
    expect({cpu, memory, virtualization, os}).toMatchInlineSnapshot(`
      {
        "cpu": {
          "architecture": "x64",
          "governor": null,
          "isa": "avx2",
          "l3Bytes": 16777216,
          "logicalCores": 8,
          "model": "AMD Ryzen 5 5600X 6-Core Processor",
          "physicalCores": 4,
          "usableCores": 2,
          "vendor": "AuthenticAMD",
        },
        "memory": {
          "availableBytes": 3221225472,
          "cgroupLimitBytes": 4294967296,
          "cgroupVersion": 2,
          "swapTotalBytes": 0,
          "totalBytes": 33554432000,
        },
        "os": "Alpine Linux v3.20",
        "virtualization": "docker",
      }
    `);
  });

  test('a virtual machine in a batch system with limits above the job', async () => {
    const {cpu, memory, virtualization, os} = await facts('vm-v1');
    expect({cpu, memory, virtualization, os}).toMatchInlineSnapshot(`
      {
        "cpu": {
          "architecture": "x64",
          "governor": null,
          "isa": "avx512-vnni",
          "l3Bytes": 56623104,
          "logicalCores": 4,
          "model": "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz",
          "physicalCores": 2,
          "usableCores": 1,
          "vendor": "GenuineIntel",
        },
        "memory": {
          "availableBytes": 6442450944,
          "cgroupLimitBytes": 8589934592,
          "cgroupVersion": 1,
          "swapTotalBytes": 0,
          "totalBytes": 32768000000,
        },
        "os": "Amazon-Linux-2",
        "virtualization": "kvm",
      }
    `);
  });

  test('a bare-metal server of a cloud: two last-level caches, no hypervisor in spite of the name in its firmware', async () => {
    const {cpu, virtualization} = await facts('bare-epyc-rapl');
    expect({cpu, virtualization}).toMatchInlineSnapshot(`
      {
        "cpu": {
          "architecture": "x64",
          "governor": "performance",
          "isa": "avx2",
          "l3Bytes": 536870912,
          "logicalCores": 8,
          "model": "AMD EPYC 7763 64-Core Processor",
          "physicalCores": 4,
          "usableCores": 4,
          "vendor": "AuthenticAMD",
        },
        "virtualization": null,
      }
    `);
  });

  test('host names become short and safe for files', async () => {
    const names = ['GPU-01.lab.example', 'Überhost', 'a'.repeat(80), '---', 'x_y z'];
    expect(await Promise.all(names.map(async (name) => (await facts('kvm-zen4', name)).host))).toEqual([
      'gpu-01',
      'u-berhost',
      'a'.repeat(32),
      'unknown',
      'x-y-z',
    ]);
  });

  test('on a system without /proc, Node answers', () => {
    const {facts: cpu} = readCpu(new FakeHost(), NODE);
    expect(cpu).toMatchObject({model: 'from Node', usableCores: 2, physicalCores: 2, logicalCores: 2, l3Bytes: null});
    expect(readMemory(new FakeHost()).totalBytes).toBeGreaterThan(0);
  });

  test.skipIf(process.platform !== 'linux')(
    'this machine has cores and memory, and fewer usable than there are',
    async () => {
      const host = await readHostFacts({catalogue: [], software: NONE, files: systemFiles()});
      expect(host.cpu.usableCores).toBeGreaterThanOrEqual(1);
      expect(host.cpu.usableCores).toBeLessThanOrEqual(host.cpu.physicalCores);
      expect(host.cpu.physicalCores).toBeLessThanOrEqual(host.cpu.logicalCores);
      expect(host.memory.availableBytes).toBeLessThanOrEqual(host.memory.totalBytes);
      expect(host.devices).not.toHaveLength(0);
    },
  );
});

describe('virtualization', () => {
  test('is named by firmware, by /sys, by the clock, or not at all', () => {
    const dmi = (vendor: string, product: string) =>
      new FakeHost()
        .set('/sys/class/dmi/id/sys_vendor', `${vendor}\n`)
        .set('/sys/class/dmi/id/product_name', `${product}\n`);
    expect([
      readVirtualization(dmi('VMware, Inc.', 'VMware7,1'), true),
      readVirtualization(dmi('Microsoft Corporation', 'Virtual Machine'), true),
      readVirtualization(dmi('innotek GmbH', 'VirtualBox'), true),
      readVirtualization(dmi('Google', 'Google Compute Engine'), true),
      readVirtualization(new FakeHost().set('/sys/hypervisor/type', 'xen\n'), true),
      readVirtualization(
        new FakeHost().set('/proc/sys/kernel/osrelease', '5.15.167.4-microsoft-standard-WSL2\n'),
        true,
      ),
      readVirtualization(new FakeHost(), true),
      readVirtualization(dmi('Amazon EC2', 'm6a.metal'), false),
    ]).toEqual(['vmware', 'hyper-v', 'virtualbox', 'kvm', 'xen', 'wsl', 'vm', null]);
  });

  test('a container is told by its files, its environment or its control group', () => {
    const name = (path: string, text: string) => readVirtualization(new FakeHost().set(path, text), false);
    expect([
      name('/.dockerenv', ''),
      name('/run/.containerenv', ''),
      name('/proc/1/environ', 'PATH=/bin\0container=lxc\0'),
      name('/proc/1/cgroup', '0::/kubepods/besteffort/pod1\n'),
      name('/proc/1/cgroup', '0::/init.scope\n'),
    ]).toEqual(['docker', 'podman', 'lxc', 'kubepods', null]);
  });
});

describe('the words for instruction sets', () => {
  test('name the widest one and what helps a quantized dot product', () => {
    expect(isaWords(['avx', 'avx2', 'avx512f', 'avx512bw', 'avx512vl', 'avx512_vnni', 'avx512_bf16'], 'x64')).toBe(
      'avx512-vnni-bf16',
    );
    expect(isaWords(['avx2', 'avx_vnni'], 'x64')).toBe('avx2-vnni');
    // Knights Landing: AVX-512 without the parts that everybody builds on.
    expect(isaWords(['avx2', 'avx512f'], 'x64')).toBe('avx2');
    expect(isaWords([], 'x64')).toBe('sse2');
    expect(isaWords(['asimd', 'asimddp', 'i8mm', 'sve'], 'arm64')).toBe('neon-dotprod-i8mm-sve');
  });
});

describe('core designs', () => {
  const cpu = (fields: Record<string, string>) => new Map(Object.entries(fields));

  test('follow from family, model and stepping', () => {
    const amd = (family: number, model: number) =>
      microarchitecture(cpu({vendor_id: 'AuthenticAMD', 'cpu family': `${family}`, model: `${model}`}));
    const intel = (model: number, stepping: number) =>
      microarchitecture(
        cpu({vendor_id: 'GenuineIntel', 'cpu family': '6', model: `${model}`, stepping: `${stepping}`}),
      );
    expect([amd(25, 17), amd(25, 1), amd(25, 80), amd(23, 49), amd(26, 2), amd(99, 0)]).toEqual([
      'zen4',
      'zen3',
      'zen3',
      'zen2',
      'zen5',
      null,
    ]);
    expect([intel(0x55, 4), intel(0x55, 7), intel(0x6a, 6), intel(0x8f, 8), intel(1, 1)]).toEqual([
      'skylake',
      'cascadelake',
      'icelake',
      'sapphirerapids',
      null,
    ]);
  });

  test('ARM parts have names, unknown ones their number', () => {
    expect(armPartName(cpu({'CPU implementer': '0x41', 'CPU part': '0xd40'}))).toBe('ARM Neoverse-V1');
    expect(armPartName(cpu({'CPU implementer': '0x41', 'CPU part': '0xfff'}))).toBe('ARM 0x41 0xfff');
  });
});

test('no reader of CPU facts throws, whatever /proc says', () => {
  const lines = fc.array(fc.stringMatching(/^(processor|model name|flags|core id|cpu family)?[\t ]*:? ?[\w :,-]*$/));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        lines.map((all) => all.join('\n')),
      ),
      (text) => {
        parseCpuInfo(text);
        const host = new FakeHost()
          .set('/proc/cpuinfo', text)
          .set('/proc/meminfo', text)
          .set('/proc/self/status', text);
        host
          .set('/proc/self/cgroup', text)
          .set('/proc/self/mountinfo', text)
          .set('/sys/devices/system/cpu/online', text);
        const {facts: cpu} = readCpu(host, NODE);
        expect(cpu.usableCores).toBeGreaterThanOrEqual(1);
        expect(cpu.logicalCores).toBeGreaterThanOrEqual(1);
        readMemory(host);
      },
    ),
    {seed: 1, numRuns: 300},
  );
});
