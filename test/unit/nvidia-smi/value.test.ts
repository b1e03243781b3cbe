import fc from 'fast-check';
import {expect, test} from 'vitest';
import {parseComputeApps} from '../../../harness/nvidia-smi/compute-apps.ts';
import {parseHeader, parseLine, parseTable} from '../../../harness/nvidia-smi/csv.ts';
import {parseHelp} from '../../../harness/nvidia-smi/fields.ts';
import {parseGpuList} from '../../../harness/nvidia-smi/gpu-list.ts';
import {isThrottled, readMask, throttleReasons} from '../../../harness/nvidia-smi/gpu-sample.ts';
import {parseHex, parseValue} from '../../../harness/nvidia-smi/value.ts';
import {parseVersion} from '../../../harness/nvidia-smi/version.ts';
import {gpusOf, parseXml, valueAt} from '../../../harness/nvidia-smi/xml.ts';

test.each([
  ['[N/A]', 'not available'],
  ['N/A', 'not available'],
  ['[Not Supported]', 'not supported'],
  ['[Unknown Error]', 'unknown error'],
  ['[Insufficient Permissions]', 'insufficient permissions'],
  ['ERR!', 'unknown error'],
  ['[GPU is lost]', 'gpu is lost'],
  ['[Requested functionality has been deprecated]', 'deprecated'],
  ['', 'empty'],
])('%s is no value and says why', (text, reason) => {
  expect(parseValue(text)).toEqual({kind: 'none', reason});
});

test('numbers keep their unit and text stays text', () => {
  expect(['0 MiB', '77.73 W', '7 %', '-5', '9.0', '590.48.01', '0x04', 'P0', '1e5', '1 of 2'].map(parseValue)).toEqual([
    {kind: 'number', value: 0, unit: 'MiB'},
    {kind: 'number', value: 77.73, unit: 'W'},
    {kind: 'number', value: 7, unit: '%'},
    {kind: 'number', value: -5, unit: null},
    {kind: 'number', value: 9, unit: null},
    {kind: 'text', text: '590.48.01'},
    {kind: 'text', text: '0x04'},
    {kind: 'text', text: 'P0'},
    {kind: 'text', text: '1e5'},
    {kind: 'text', text: '1 of 2'},
  ]);
});

test('with nounits the unit comes from the header', () => {
  const fields = parseHeader('index, memory.used [MiB], clocks.current.sm [MHz], name') ?? [];
  expect(parseLine('0, 12, 1980, NVIDIA T4', fields)).toEqual(
    new Map([
      ['index', {kind: 'number', value: 0, unit: null}],
      ['memory.used', {kind: 'number', value: 12 * 1024 ** 2, unit: 'bytes'}],
      ['clocks.current.sm', {kind: 'number', value: 1.98e9, unit: 'Hz'}],
      ['name', {kind: 'text', text: 'NVIDIA T4'}],
    ]),
  );
});

test('a unit that contradicts the header is damage', () => {
  const fields = parseHeader('memory.used [MiB]') ?? [];
  expect(parseLine('5 W', fields)?.get('memory.used')).toEqual({kind: 'none', reason: 'unreadable'});
});

test('a process name may hold the separator', () => {
  const text =
    'gpu_uuid, pid, process_name, used_gpu_memory [MiB]\nGPU-1, 42, python, -m, serve, 100 MiB\nGPU-1, 43, x, [N/A]\ntorn\n';
  expect(parseComputeApps(text)).toEqual([
    {gpuUuid: 'GPU-1', pid: 42, name: 'python, -m, serve', usedBytes: 100 * 1024 ** 2},
    {gpuUuid: 'GPU-1', pid: 43, name: 'x', usedBytes: null},
  ]);
  expect(parseComputeApps('No devices were found')).toBeNull();
});

test('MIG instances belong to their card', () => {
  expect(
    parseGpuList(
      'GPU 0: NVIDIA A100 80GB PCIe (UUID: GPU-aa)\n  MIG 1g.10gb     Device  0: (UUID: MIG-11)\n  MIG 2g.20gb     Device  1: (UUID: MIG-22)\nGPU 1: NVIDIA T4 (UUID: GPU-bb)\nnoise',
    ),
  ).toMatchInlineSnapshot(`
    [
      {
        "index": 0,
        "mig": [
          {
            "device": 0,
            "profile": "1g.10gb",
            "uuid": "MIG-11",
          },
          {
            "device": 1,
            "profile": "2g.20gb",
            "uuid": "MIG-22",
          },
        ],
        "name": "NVIDIA A100 80GB PCIe",
        "uuid": "GPU-aa",
      },
      {
        "index": 1,
        "mig": [],
        "name": "NVIDIA T4",
        "uuid": "GPU-bb",
      },
    ]
  `);
});

test('idle, a set clock and sync boost are no throttle; power and heat are', () => {
  expect(isThrottled(0x1n | 0x2n | 0x10n | 0x100n)).toBe(false);
  expect(isThrottled(0x4n)).toBe(true);
  expect(throttleReasons(0x44n)).toEqual(['swPowerCap', 'hwThermalSlowdown']);
  expect(readMask({kind: 'text', text: '0x00000000000001FF'}).value).toBe(0x1ffn);
  expect(readMask({kind: 'text', text: 'Active'})).toEqual({value: null, reason: 'unreadable'});
});

test('the XML log reads as a tree with the same rule for no value', () => {
  const log = parseXml(
    '<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">\n<nvidia_smi_log><driver_version>590</driver_version><gpu id="0:83"><product_name>A &amp; B</product_name><fb_memory_usage><used>12 MiB</used></fb_memory_usage><fan_speed>N/A</fan_speed><empty/></gpu></nvidia_smi_log>\n',
  );
  const gpu = log === null ? undefined : gpusOf(log)[0];
  expect(gpu?.attributes).toEqual({id: '0:83'});
  if (gpu === undefined) return;
  expect(valueAt(gpu, 'product_name')).toEqual({kind: 'text', text: 'A & B'});
  expect(valueAt(gpu, 'fb_memory_usage', 'used')).toEqual({kind: 'number', value: 12, unit: 'MiB'});
  expect(valueAt(gpu, 'fan_speed')).toEqual({kind: 'none', reason: 'not available'});
});

test.each(['<a>', '<a></b>', '</a>', '<a/><b/>', 'text', '<a><', '<a b=c/>'])('the torn XML %s is no log', (text) => {
  const element = parseXml(text);
  expect(element === null || gpusOf(element).length === 0).toBe(true);
});

test('no reader throws, whatever it is given', () => {
  const readers = [
    parseValue,
    parseHex,
    parseHeader,
    parseHelp,
    parseTable,
    parseGpuList,
    parseComputeApps,
    parseXml,
    parseVersion,
  ];
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[<>/a-z"= [\],0-9\n]*$/)), (text) => {
      for (const read of readers) read(text);
    }),
    {numRuns: 3000},
  );
});
