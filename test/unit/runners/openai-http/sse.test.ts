import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {type SseEvent, SseReader} from '../../../../runners/openai-http/sse.ts';

function read(pieces: readonly (Buffer | string)[]): SseEvent[] {
  const reader = new SseReader();
  const events = pieces.flatMap((piece) => reader.push(Buffer.from(piece)));
  return [...events, ...reader.end()];
}

const message = (data: string): SseEvent => ({name: '', data});

describe('SseReader', () => {
  test('reads events, names, lines of data and comments by the rules of the standard', () => {
    const stream = [
      '\uFEFFdata: one\n\n',
      ': a comment\ndata:two\n\n',
      'event: error\ndata: {"a":1}\nid: 3\nretry: 5\n\n',
      'data: three\ndata:\ndata:  four\n\n',
      'data\n\n',
      'event: nothing\n\n',
      'unknown: field\ndata: five: six\n\n',
    ].join('');
    expect(read([stream])).toEqual([
      message('one'),
      message('two'),
      {name: 'error', data: '{"a":1}'},
      message('three\n\n four'),
      message(''),
      message('five: six'),
    ]);
  });

  test('keeps an event that the end cuts off before its blank line, and nothing else', () => {
    expect(read(['data: [DONE]'])).toEqual([message('[DONE]')]);
    expect(read(['data: [DONE]\n'])).toEqual([message('[DONE]')]);
    expect(read([': bye'])).toEqual([]);
    expect(read([''])).toEqual([]);
  });

  test('gives the same events however the bytes are cut and however lines end', () => {
    const texts = fc.array(
      fc.string({unit: 'grapheme', maxLength: 12}).filter((text) => !/[\r\n\uFEFF]/.test(text)),
      {
        maxLength: 6,
      },
    );
    fc.assert(
      fc.property(
        texts,
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.array(fc.nat(), {maxLength: 40}),
        (data, end, cuts) => {
          const bytes = Buffer.from(data.map((text) => `data: ${text}${end}: ping${end}${end}`).join(''));
          const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
          const pieces = [0, ...places].map((from, index) => bytes.subarray(from, places[index] ?? bytes.length));
          expect(read(pieces)).toEqual(data.map(message));
        },
      ),
      {numRuns: 300},
    );
  });

  test('gives up on an event that does not end', () => {
    const reader = new SseReader();
    expect(() => {
      for (let kib = 0; kib < 1100; kib++) reader.push(Buffer.alloc(1024, 'x'));
    }).toThrow(/above 1 MiB/);
    const lines = new SseReader();
    expect(() => {
      for (let kib = 0; kib < 1100; kib++) lines.push(Buffer.from(`data: ${'x'.repeat(1024)}\n`));
    }).toThrow(/above 1 MiB/);
  });
});
