import {fileURLToPath} from 'node:url';
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {BenchError} from '../../../harness/contract/errors.ts';
import {loadCatalogue, parseCatalogue} from '../../../harness/device/catalogue.ts';

const PATH = fileURLToPath(new URL('../../../matrices/devices.yaml', import.meta.url));
const T4 = `devices:
  - name: t4
    title: NVIDIA T4
    kind: cuda
    memory_bytes: 17179869184
    memory_bandwidth_bytes_per_s: 320.0e+9
    fp16_flops: null
    tdp_w: 70
    compute_capability: "7.5"
    sm_clock_hz: null
    match: {names: [Tesla T4]}
    source: data sheet
`;

const fails = (text: string) => {
  try {
    parseCatalogue(text, 'devices.yaml');
  } catch (error) {
    return error instanceof BenchError ? `${error.code} ${error.message}` : error;
  }
  return 'accepted';
};

describe('the catalogue that ships with bench', () => {
  test('is valid, and every name, PCI id and self-given name belongs to one device', async () => {
    const devices = await loadCatalogue(PATH);
    const unique = (all: readonly string[]) => expect(new Set(all).size).toBe(all.length);
    unique(devices.map(({name}) => name));
    unique(devices.flatMap(({match}) => match.pci_ids));
    unique(
      devices.flatMap(({match, name}) =>
        match.names.map((own) => (match.by_memory ? `${own} ${name}` : own.toLowerCase())),
      ),
    );
    expect(devices.map(({name}) => name)).toEqual(
      expect.arrayContaining(['t4', 'a100-40gb', 'a100-80gb', 'h100', 'h200', 'ryzen-7-5800hs']),
    );
  });

  test('holds GPUs with memory and bandwidth, and CPUs without a tensor rate', async () => {
    for (const device of await loadCatalogue(PATH)) {
      if (device.memory_bandwidth_bytes_per_s !== null) {
        expect(device.memory_bandwidth_bytes_per_s).toBeGreaterThan(20e9);
        expect(device.memory_bandwidth_bytes_per_s).toBeLessThan(10e12);
      }
      if (device.kind === 'cpu') expect([device.fp16_flops, device.compute_capability]).toEqual([null, null]);
      else expect([device.memory_bytes, device.memory_bandwidth_bytes_per_s]).not.toContain(null);
    }
  });
});

describe('a mistake in a catalogue', () => {
  test('is told with file, line and key', () => {
    expect([
      fails(T4),
      fails(T4.replace('70', 'seventy')),
      fails(T4.replace('tdp_w', 'tdp_watt')),
      fails(T4.replace('    source: data sheet\n', '')),
      fails(T4 + T4.slice(T4.indexOf('  -'))),
      fails('devices: [{name: t4'),
      fails('- t4\n'),
      fails(''),
      fails('devices: &a [*a]'),
    ]).toMatchInlineSnapshot(`
      [
        "accepted",
        "CATALOG_INVALID devices.yaml:8: devices.0.tdp_w: Invalid input: expected number, received string",
        "CATALOG_INVALID devices.yaml:8: devices.0.tdp_watt: no such key",
        "CATALOG_INVALID devices.yaml:2: devices.0.source: Invalid input: expected string, received undefined",
        "CATALOG_INVALID devices.yaml:13: devices.1.name: t4 appears twice",
        "CATALOG_INVALID devices.yaml:1: Flow map in block collection must be sufficiently indented and end with a } at line 1, column 20:",
        "CATALOG_INVALID devices.yaml:1: file: Invalid input: expected object, received array",
        "CATALOG_INVALID devices.yaml:1: file: Invalid input: expected object, received null",
        "CATALOG_INVALID devices.yaml:1: devices.0: Invalid input: expected object, received array",
      ]
    `);
  });

  test('a file that is not there is unreadable', async () => {
    await expect(loadCatalogue('/nowhere/devices.yaml')).rejects.toMatchObject({code: 'FILE_UNREADABLE'});
  });

  test('any text is either a catalogue or one line of complaint', () => {
    const yamlish = fc
      .array(fc.constantFrom('devices:', '  - name: t4', ' x: [', '&a', '*a', '- ', '\t', '"', '}', '<<: *a', '\n'))
      .map((parts) => parts.join('\n'));
    fc.assert(
      fc.property(fc.oneof(fc.string(), yamlish), (text) => {
        expect(fails(text)).toMatch(/^(accepted|CATALOG_INVALID devices\.yaml:\d+: .+)$/);
      }),
      {seed: 1, numRuns: 300},
    );
  });
});
