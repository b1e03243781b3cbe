import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {parseComputeApps} from '../../../harness/nvidia-smi/compute-apps.ts';
import {parseHeader, parseLine, parseTable} from '../../../harness/nvidia-smi/csv.ts';
import {chooseFields, parseHelp} from '../../../harness/nvidia-smi/fields.ts';
import {parseGpuList} from '../../../harness/nvidia-smi/gpu-list.ts';
import {gpuSample, sampleQuery} from '../../../harness/nvidia-smi/gpu-sample.ts';
import {parseVersion} from '../../../harness/nvidia-smi/version.ts';
import {captures, section} from '../../support/captures.ts';

const all = captures();

describe.skipIf(all.length === 0)('captures of real machines', () => {
  test.each(all)('$machine: every queried field is offered by its own help text', (capture) => {
    const offered = parseHelp(section(capture, 'capabilities :: help-query-gpu'));
    const header = parseHeader(section(capture, 'load :: query-gpu').split('\n')[0] ?? '') ?? [];
    const strangers = header.filter(({name}) => !offered.has(name)).map(({name}) => name);
    // `count` and kin are in the list; hostname is printed by newer drivers and offered by all three.
    expect(strangers).toEqual([]);
    expect(offered.size).toBeGreaterThan(150);
  });

  test.each(all)('$machine: every line has as many values as its header, and a sample reads them', (capture) => {
    const offered = parseHelp(section(capture, 'capabilities :: help-query-gpu'));
    for (const state of ['idle', 'load']) {
      const table = parseTable(section(capture, `${state} :: query-gpu`));
      expect(table?.skipped).toBe(0);
      expect(table?.rows).toHaveLength(1);
      const sample = gpuSample(table?.rows[0] ?? new Map(), sampleQuery(offered));
      expect(sample).toMatchObject({index: 0, missing: {}});
      expect(sample.uuid).toMatch(/^GPU-/);
      expect(sample.memoryUsedBytes).toBeGreaterThanOrEqual(0);
      expect(sample.smClockHz).toBeGreaterThan(1e8);
    }
  });

  test('the H200 under load reads as printed: 32362 MiB, 100 %, clocks in Hz, no throttle', () => {
    const h200 = all.find(({machine}) => machine.includes('h200'));
    if (h200 === undefined) return;
    const offered = parseHelp(section(h200, 'capabilities :: help-query-gpu'));
    const row = parseTable(section(h200, 'load :: query-gpu'))?.rows[0] ?? new Map();
    expect(gpuSample(row, sampleQuery(offered))).toMatchObject({
      timestamp: '2026/07/03 22:11:09.763',
      memoryUsedBytes: 32_362 * 1024 ** 2,
      utilizationRatio: 1,
      throttleMask: 0n,
    });
    expect(parseComputeApps(section(h200, 'load :: query-compute-apps'))).toMatchObject([
      {pid: 10_291, name: '/root/tools/memhog', usedBytes: 2566 * 1024 ** 2},
      {pid: 10_293, usedBytes: 1542 * 1024 ** 2},
      {pid: 10_309, name: './gpu_burn', usedBytes: 28_234 * 1024 ** 2},
    ]);
    expect(parseComputeApps(section(h200, 'idle :: query-compute-apps'))).toEqual([]);
    expect(parseVersion(section(h200, 'capabilities :: version'))).toEqual({driver: '590.48.01', cuda: '13.1'});
    expect(parseVersion(section(h200, 'idle :: nvidia-smi'))).toEqual({driver: '590.48.01', cuda: '13.1'});
  });

  test.each(all)('$machine: -L names one card', (capture) => {
    expect(parseGpuList(section(capture, 'capabilities :: list (-L)'))).toMatchObject([{index: 0, mig: []}]);
  });

  test.each(all)('$machine: a value is "none" exactly where the text says so', (capture) => {
    const [head = '', line = ''] = section(capture, 'load :: query-gpu').split('\n');
    const fields = parseHeader(head) ?? [];
    const row = parseLine(line, fields);
    // A second, naive reading: split at the separator, look at the brackets.
    for (const [index, text] of line.split(', ').entries()) {
      const value = row?.get(fields[index]?.name ?? '');
      const none = /^\[.*\]$|^N\/A$|^$/.test(text.trim());
      expect([fields[index]?.name, value?.kind === 'none']).toEqual([fields[index]?.name, none]);
      const naive = /^(-?[\d.]+) MiB$/.exec(text);
      if (naive !== null) expect(value).toEqual({kind: 'number', value: Number(naive[1]) * 1024 ** 2, unit: 'bytes'});
    }
  });

  test.each(all)(
    '$machine: partitioned, it has no utilization and is not taken for idle nor for busy by it',
    (capture) => {
      const [head = '', line = ''] = section(capture, 'load :: query-gpu').split('\n');
      const fields = parseHeader(head) ?? [];
      // As drivers print it (nvidia-smi -h: utilization "is not currently supported" on MIG-enabled GPUs).
      const cells = line.split(', ').map((cell, index) => {
        const name = fields[index]?.name ?? '';
        return name.startsWith('utilization.') ? '[N/A]' : name === 'mig.mode.current' ? 'Enabled' : cell;
      });
      const row = parseLine(cells.join(', '), fields) ?? new Map();
      const plain = parseLine(line, fields) ?? new Map();
      const offered = sampleQuery(parseHelp(section(capture, 'capabilities :: help-query-gpu')));
      expect(row.get('mig.mode.current')).toEqual({kind: 'text', text: 'Enabled'});
      expect(gpuSample(row, offered)).toEqual({
        ...gpuSample(plain, offered),
        utilizationRatio: null,
        missing: {utilizationRatio: 'not available'},
      });
    },
  );

  test.each(all)('$machine: a process of an instance has a pid and no size', (capture) => {
    const [head = '', ...rows] = section(capture, 'load :: query-compute-apps').split('\n');
    const hidden = rows.map((row) => row.replace(/, [^,]*$/, ', [N/A]'));
    const apps = parseComputeApps([head, ...rows].join('\n')) ?? [];
    expect(apps.length).toBeGreaterThan(0);
    expect(parseComputeApps([head, ...hidden].join('\n'))).toEqual(apps.map((app) => ({...app, usedBytes: null})));
  });

  test('a torn or mutated line never throws and never makes a number out of damage in the count of fields', () => {
    const lines = all.map((capture) => section(capture, 'load :: query-gpu').split('\n'));
    fc.assert(
      fc.property(
        fc.constantFrom(...lines),
        fc.nat(),
        fc.nat(),
        fc.string(),
        ([head = '', line = ''], from, length, junk) => {
          const at = from % (line.length + 1);
          const torn = line.slice(0, at) + junk + line.slice(at + (length % 40));
          const fields = parseHeader(head) ?? [];
          const row = parseLine(torn, fields);
          if (torn.replace(/[\r\n]+$/, '').split(', ').length !== fields.length) expect(row).toBeNull();
        },
      ),
      {numRuns: 2000},
    );
  });
});

test('old and new names of the throttle reasons are found by what the driver offers', () => {
  const old = parseHelp('"clocks_throttle_reasons.active"\nText\n"clocks.current.sm" or "clocks.sm"\n');
  expect(
    chooseFields(old, {
      mask: ['clocks_event_reasons.active', 'clocks_throttle_reasons.active'],
      sm: ['clocks.sm'],
      no: ['power.draw'],
    }),
  ).toEqual(
    new Map([
      ['mask', 'clocks_throttle_reasons.active'],
      ['sm', 'clocks.sm'],
    ]),
  );
});
