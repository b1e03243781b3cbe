import fc from 'fast-check';
import {expect, test} from 'vitest';
import {timestampDifferenceMs} from '../../../harness/nvidia-smi/gpu-sample.ts';
import {SampleStream, type StreamItem} from '../../../harness/nvidia-smi/sample-stream.ts';

const TEXT = `timestamp, index, memory.used [MiB], power.draw [W], clocks_throttle_reasons.active
2026/11/02 09:00:00.000, 0, 2, 9.52, 0x0000000000000001
2026/11/02 09:00:00.100, 0, 2502, [N/A], 0x0000000000000000
`;

function read(pieces: readonly string[]): StreamItem[] {
  const stream = new SampleStream();
  return pieces.flatMap((piece) => stream.push(piece));
}

test('units come from the header, no value stays no value', () => {
  expect(read([TEXT])).toMatchObject([
    {sample: {index: 0, memoryUsedBytes: 2 * 1024 ** 2, powerW: 9.52, throttleMask: 1n}},
    {sample: {memoryUsedBytes: 2502 * 1024 ** 2, powerW: null, missing: {powerW: 'not available'}}},
  ]);
});

test('it makes no difference where the pieces end', () => {
  const whole = read([TEXT]);
  fc.assert(
    fc.property(fc.array(fc.nat(TEXT.length), {maxLength: 6}), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), TEXT.length];
      const pieces = at.slice(1).map((end, index) => TEXT.slice(at[index], end));
      expect(read(pieces)).toEqual(whole);
    }),
  );
});

test('what comes before the header, between lines or in place of one is garbage, and a header again is nothing', () => {
  const [head = ''] = TEXT.split('\n');
  expect(read([`No devices were found\n${TEXT}torn, 0\n${head}\n\n`])).toMatchObject([
    {garbage: 'No devices were found'},
    {sample: {}},
    {sample: {}},
    {garbage: 'torn, 0'},
  ]);
});

test('a line without end does not fill the memory', () => {
  const stream = new SampleStream();
  stream.push(TEXT);
  for (let count = 0; count < 100; count++) expect(stream.push('x'.repeat(1000))).toEqual([]);
  expect(stream.push('\n2026/11/02 09:00:00.200, 0, 3, 9.52, 0x0000000000000001\n').at(-1)).toMatchObject({
    sample: {memoryUsedBytes: 3 * 1024 ** 2},
  });
});

test('times of one host can be subtracted', () => {
  expect(timestampDifferenceMs('2026/11/02 09:00:59.900', '2026/11/02 09:01:00.150')).toBe(250);
  expect(timestampDifferenceMs(null, '2026/11/02 09:01:00.150')).toBeNull();
});
