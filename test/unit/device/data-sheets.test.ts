import {fileURLToPath} from 'node:url';
import {describe, expect, test} from 'vitest';
import type {GpuFacts} from '../../../harness/contract/device.ts';
import {loadCatalogue} from '../../../harness/device/catalogue.ts';
import {identifyGpu} from '../../../harness/device/identity.ts';

const catalogue = await loadCatalogue(fileURLToPath(new URL('../../../matrices/devices.yaml', import.meta.url)));
const MIB = 2 ** 20;
const entryOf = (name: string) => catalogue.find((entry) => entry.name === name) ?? expect.unreachable(name);

function gpu(name: string, pciId: string | null): GpuFacts {
  return {
    index: 0,
    uuid: 'GPU-0',
    name,
    memoryBytes: 16_384 * MIB,
    memoryUsedBytes: null,
    computeCapability: null,
    driver: '595.45.04',
    cuda: null,
    pciId,
    migMode: null,
  };
}

describe('names and PCI ids', () => {
  // NVIDIA/open-gpu-kernel-modules 595.45.04, README; of V100: pci.ids of 2026-08-22 and nvidia-smi.
  test.each([
    ['t4', 'Tesla T4', '1EB8'],
    ['a100-40gb', 'NVIDIA A100-SXM4-40GB', '20B0'],
    ['a100-40gb-pcie', 'NVIDIA A100-PCIE-40GB', '20F1'],
    ['a100-80gb', 'NVIDIA A100-SXM4-80GB', '20B2'],
    ['a100-80gb-pcie', 'NVIDIA A100 80GB PCIe', '20B5'],
    ['l4', 'NVIDIA L4', '27B8'],
    ['a10g', 'NVIDIA A10G', '2237'],
    ['l40s', 'NVIDIA L40S', '26B9'],
    ['h100', 'NVIDIA H100 80GB HBM3', '2330'],
    ['h100-pcie', 'NVIDIA H100 PCIe', '2331'],
    ['h200', 'NVIDIA H200', '2335'],
    ['v100-16gb', 'Tesla V100-SXM2-16GB', '1DB1'],
    ['v100-32gb', 'Tesla V100-SXM2-32GB', '1DB5'],
    ['v100-16gb-pcie', 'Tesla V100-PCIE-16GB', '1DB4'],
    ['rtx-2080-super', 'NVIDIA GeForce RTX 2080 SUPER', '1E81'],
    ['rtx-3090', 'NVIDIA GeForce RTX 3090', '2204'],
    ['rtx-4090', 'NVIDIA GeForce RTX 4090', '2684'],
  ])('%s is what the driver calls %s, 0x%s', (name, driverName, id) => {
    expect(identifyGpu(gpu(driverName, null), catalogue).name).toBe(name);
    expect(identifyGpu(gpu('Graphics Device', `0x${id}10DE`), catalogue).name).toBe(name);
  });

  test.each([
    ['NVIDIA H100 NVL', '232110DE'],
    ['NVIDIA H200 NVL', '233B10DE'],
    ['NVIDIA A100-SXM-64GB', '20B310DE'],
    ['NVIDIA GeForce RTX 4090 D', '268510DE'],
    ['NVIDIA GeForce RTX 3090 Ti', '220310DE'],
  ])('%s is a product of its own', (driverName, id) => {
    expect(identifyGpu(gpu(driverName, `0x${id}`), catalogue).entry).toBeNull();
  });
});

describe('figures', () => {
  test('are those of the sources that the catalogue names', () => {
    const giga = (value: number | null) => (value === null ? null : value / 1e9);
    const table = catalogue.map((entry) =>
      [
        entry.name,
        entry.memory_bytes === null ? null : entry.memory_bytes / 2 ** 30,
        giga(entry.memory_bandwidth_bytes_per_s),
        entry.fp16_flops === null ? null : entry.fp16_flops / 1e12,
        entry.tdp_w,
        entry.compute_capability,
        giga(entry.sm_clock_hz),
      ].join(' | '),
    );
    expect(table).toMatchInlineSnapshot(`
      [
        "t4 | 16 | 320 | 65 | 70 | 7.5 | 0.585",
        "a100-40gb | 40 | 1555 | 312 | 400 | 8.0 | ",
        "a100-40gb-pcie | 40 | 1555 | 312 | 250 | 8.0 | 0.765",
        "a100-80gb | 80 | 2039 | 312 | 400 | 8.0 | ",
        "a100-80gb-pcie | 80 | 1935 | 312 | 300 | 8.0 | 1.065",
        "l4 | 24 | 300 | 121 | 72 | 8.9 | 0.795",
        "a10g | 24 | 600 |  | 300 | 8.6 | ",
        "l40s | 48 | 864 |  | 350 | 8.9 | 1.065",
        "h100 | 80 | 3350 | 989.4 | 700 | 9.0 | ",
        "h100-pcie | 80 | 2000 | 756 | 350 | 9.0 | 1.125",
        "h200 | 141 | 4800 | 989.5 | 700 | 9.0 | ",
        "v100-16gb | 16 | 900 | 125 | 300 | 7.0 | ",
        "v100-32gb | 32 | 900 | 125 | 300 | 7.0 | ",
        "v100-16gb-pcie | 16 | 900 | 112 | 250 | 7.0 | ",
        "rtx-2080-super | 8 | 496 |  | 250 | 7.5 | 1.65",
        "rtx-3090 | 24 | 936 | 71 | 350 | 8.6 | 1.395",
        "rtx-4090 | 24 | 1008 | 165.2 | 450 | 8.9 | 2.235",
        "ryzen-7-5800hs |  |  |  | 35 |  | ",
        "ryzen-9-7950x |  | 83.2 |  | 170 |  | ",
        "epyc-7763 |  | 204.8 |  | 280 |  | ",
        "xeon-platinum-8375c |  | 204.8 |  |  |  | ",
      ]
    `);
  });

  // nvidia-smi -q in the captures of utkuozdemir/nvidia_gpu_exporter: default power limit, total memory.
  test.each([
    ['h100', 700, 81_559],
    ['h200', 700, 143_771],
    ['l40s', 350, 46_068],
    ['rtx-2080-super', 250, 8192],
  ])('of %s agree with a captured card: %i W, %i MiB', (name, watts, mib) => {
    const {tdp_w, memory_bytes} = entryOf(name);
    expect(tdp_w).toBe(watts);
    // What ECC and the driver keep back is missing from the card's own total.
    expect((mib * MIB) / (memory_bytes ?? Number.NaN)).toBeGreaterThan(0.93);
    expect((mib * MIB) / (memory_bytes ?? Number.NaN)).toBeLessThanOrEqual(1);
  });

  test('of a PCIe card differ from those of the module, so neither stands for the other', () => {
    const figures = (name: string) => {
      const {memory_bandwidth_bytes_per_s, fp16_flops, tdp_w} = entryOf(name);
      return [memory_bandwidth_bytes_per_s, fp16_flops, tdp_w];
    };
    const cards = catalogue.filter(({name}) => name.endsWith('-pcie'));
    expect(cards.length).toBe(4);
    for (const {name} of cards) expect(figures(name)).not.toEqual(figures(name.replace(/-pcie$/, '')));
  });

  test('that are missing are told in the source', () => {
    for (const entry of catalogue) {
      const {source, kind, sm_clock_hz, fp16_flops, tdp_w, memory_bandwidth_bytes_per_s} = entry;
      const said = (value: number | null, words: RegExp) =>
        expect([entry.name, value !== null || words.test(source)]).toEqual([entry.name, true]);
      if (kind === 'cuda') said(sm_clock_hz, /Base clock not confirmed: left out/);
      if (kind === 'cuda') said(fp16_flops, /FP16 rate (not confirmed: )?left out/);
      said(tdp_w, /Power limit not confirmed: left out/);
      said(memory_bandwidth_bytes_per_s, /Bandwidth not confirmed: left out/);
    }
  });
});
