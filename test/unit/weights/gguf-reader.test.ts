import {truncateSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {BenchError} from '../../../harness/contract/errors.ts';
import {bytesPerToken, kvBytesPerToken, parametersOf, weightsBytesOf} from '../../../harness/weights/artifact.ts';
import {readGguf, readGgufHeader} from '../../../harness/weights/gguf-reader.ts';
import {
  GGUF_METADATA,
  GGUF_TENSORS,
  type GgufTensorPlan,
  type GgufValue,
  ggufBytes,
  tinyGguf,
} from './support/model-files.ts';
import {temporaryDir} from './support/temporary.ts';

function write(bytes: Buffer): string {
  const path = join(temporaryDir(), 'model.gguf');
  writeFileSync(path, bytes);
  return path;
}

/** The error's line with the folder taken out. */
function refusal(bytes: Buffer): string {
  const path = write(bytes);
  try {
    readGguf(path);
  } catch (error) {
    if (error instanceof BenchError) return `${error.code}: ${error.message.replace(path, 'FILE')}`;
    throw error;
  }
  return 'accepted';
}

const u64At = (bytes: Buffer, at: number, value: bigint) => {
  const copy = Buffer.from(bytes);
  copy.writeBigUInt64LE(value, at);
  return copy;
};

describe('a sound file', () => {
  test('is counted: weights, bytes, KV cache and what a token reads', () => {
    const file = readGguf(write(tinyGguf()));
    expect({
      format: file.format,
      tied: file.tied,
      parameters: parametersOf(file.tensors),
      weightsBytes: weightsBytesOf(file.tensors),
      bytesPerToken: bytesPerToken(file),
      kvBytesPerToken: kvBytesPerToken(file.shape),
      shape: file.shape,
    }).toMatchInlineSnapshot(`
      {
        "bytesPerToken": 20736,
        "format": "gguf-f16",
        "kvBytesPerToken": 128,
        "parameters": 10304,
        "shape": {
          "family": "llama",
          "heads": 4,
          "hiddenSize": 64,
          "intermediateSize": 128,
          "keyLength": 16,
          "kvHeads": [
            2,
          ],
          "layers": 1,
          "valueLength": 16,
          "vocabSize": 32,
        },
        "tied": true,
        "weightsBytes": 20736,
      }
    `);
  });

  test('reads one row of the embedding table for a token when the output head is its own tensor', () => {
    const head: GgufTensorPlan = {name: 'output.weight', dimensions: [64, 32], type: 1, bytes: 4096};
    const file = readGguf(write(tinyGguf({}, [...GGUF_TENSORS, head])));
    expect(file.tied).toBe(false);
    expect(bytesPerToken(file)).toBe(16_384 + 256 + 4096 + 4096 / 32);
  });

  test('reads the chosen experts only', () => {
    const experts: GgufTensorPlan = {name: 'blk.0.ffn_up_exps.weight', dimensions: [64, 32, 8], type: 1, bytes: 32_768};
    const count: Record<string, GgufValue> = {
      'llama.expert_count': {type: 'u32', value: 8},
      'llama.expert_used_count': {type: 'u32', value: 2},
    };
    expect(bytesPerToken(readGguf(write(tinyGguf(count, [...GGUF_TENSORS, experts]))))).toBe(
      4096 + 16_384 + 256 + 8192,
    );
  });

  test('may give the KV heads layer by layer', () => {
    const file = readGguf(write(tinyGguf({'llama.attention.head_count_kv': {type: 'i32s', value: [1]}})));
    expect(kvBytesPerToken(file.shape)).toBe(1 * (16 + 16) * 2);
  });

  test('keeps only the length of its vocabulary', () => {
    expect(readGgufHeader(write(tinyGguf())).metadata.get('tokenizer.ggml.tokens')).toEqual({skipped: 3});
  });
});

describe('the format', () => {
  const block = (type: number, bytes: number): GgufTensorPlan[] => [
    {name: 'token_embd.weight', dimensions: [256, 32], type: 1, bytes: 16_384},
    {name: 'blk.0.ffn_up.weight', dimensions: [256, 32], type, bytes},
  ];
  const formatOf = (fileType: number | null, tensors: readonly GgufTensorPlan[]) => {
    const {'general.file_type': label, ...rest} = GGUF_METADATA;
    return readGguf(
      write(
        ggufBytes(
          fileType === null ? rest : {...rest, 'general.file_type': {...label, type: 'u32', value: fileType}},
          tensors,
        ),
      ),
    );
  };

  test('is the labelled one when the tensors agree', () => {
    expect(formatOf(15, block(12, 4608)).format).toBe('gguf-q4_k_m');
    expect(formatOf(7, block(8, 8704)).format).toBe('gguf-q8_0');
  });

  test('is not believed when the tensors are of another type', () => {
    expect(formatOf(15, block(8, 8704))).toMatchObject({
      format: null,
      formatText: 'labelled gguf-q4_k_m but really Q8_0',
    });
  });

  test('without a label is told from plain types, but not from K-quants', () => {
    expect(formatOf(null, block(8, 8704)).format).toBe('gguf-q8_0');
    expect(formatOf(null, block(12, 4608))).toMatchObject({
      format: null,
      formatText: 'Q4_K, without general.file_type',
    });
  });

  test('that is none of ours is named', () => {
    expect(formatOf(24, block(29, 1792)).formatText).toBe('IQ1_M (general.file_type 24)');
  });
});

describe('a broken file is refused in one line', () => {
  const whole = tinyGguf();
  test.each<[string, Buffer]>([
    ['empty', Buffer.alloc(0)],
    ['short', Buffer.from('GGUF')],
    ['another kind', Buffer.from('PK\u0003\u0004'.padEnd(64))],
    ['version', Buffer.concat([Buffer.from('GGUF'), Buffer.from([9, 0, 0, 0]), Buffer.alloc(64)])],
    ['big endian', Buffer.concat([Buffer.from('GGUF'), Buffer.from([0, 0, 0, 3]), Buffer.alloc(64)])],
    ['absurd number of tensors', u64At(whole, 8, 2n ** 40n)],
    ['absurd number of keys', u64At(whole, 16, 2n ** 63n)],
    ['absurd key length', u64At(whole, 24, 2n ** 50n)],
    ['cut in the header', whole.subarray(0, 200)],
    ['cut in the tensors', whole.subarray(0, whole.length - 300)],
    ['no heads', tinyGguf({'llama.attention.head_count': {type: 'u32', value: 0}})],
    ['too many layers', tinyGguf({'llama.block_count': {type: 'u32', value: 2_000_000}})],
    ['no architecture', ggufBytes({}, GGUF_TENSORS)],
    ['no tensors', ggufBytes(GGUF_METADATA, [])],
    ['twice', tinyGguf({}, [...GGUF_TENSORS, ...GGUF_TENSORS])],
    ['odd rows', tinyGguf({}, [{name: 'token_embd.weight', dimensions: [63, 2], type: 8, bytes: 64}])],
    ['unknown type', tinyGguf({}, [{name: 'token_embd.weight', dimensions: [64], type: 77, bytes: 64}])],
    ['zero dimension', tinyGguf({}, [{name: 'token_embd.weight', dimensions: [64, 0], type: 0, bytes: 64}])],
    ['overlap', tinyGguf({}, [{...(GGUF_TENSORS[0] as GgufTensorPlan), bytes: 32}, ...GGUF_TENSORS.slice(1)])],
    ['one of several', tinyGguf({'split.count': {type: 'u32', value: 3}})],
    ['alignment', tinyGguf({'general.alignment': {type: 'u32', value: 33}})],
  ])('%s', (_name, bytes) => {
    expect(refusal(bytes)).toMatchSnapshot();
  });

  test('that is a folder, or not there', () => {
    const dir = temporaryDir();
    expect(() => readGguf(dir)).toThrow(/not a file/);
    expect(() => readGguf(join(dir, 'no.gguf'))).toThrow(/no such file or folder/);
  });
});

test('whatever bytes are changed, the reader answers or refuses, within the memory of the file', () => {
  const whole = tinyGguf();
  const headerBytes = whole.length - (4096 + 16_384 + 256);
  const path = write(whole);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(headerBytes - 1), fc.integer({min: 0, max: 255})), {minLength: 1, maxLength: 12}),
      fc.option(fc.nat(whole.length)),
      (changes, cut) => {
        const bytes = Buffer.from(whole);
        for (const [at, value] of changes) bytes[at] = value;
        writeFileSync(path, bytes);
        if (cut !== null) truncateSync(path, cut);
        const before = process.memoryUsage().arrayBuffers;
        try {
          readGguf(path);
        } catch (error) {
          if (!(error instanceof BenchError)) throw error;
          expect(error.message).not.toContain('\n');
        }
        // The window is the only buffer, and never larger than the file.
        expect(process.memoryUsage().arrayBuffers - before).toBeLessThanOrEqual(whole.length + 65_536);
      },
    ),
    {numRuns: 1500},
  );
});

test('eight bytes of the header turned into any number are answered or refused', () => {
  const whole = tinyGguf();
  const path = write(whole);
  fc.assert(
    fc.property(fc.nat(600), fc.bigInt({min: 0n, max: 2n ** 64n - 1n}), (at, value) => {
      writeFileSync(path, u64At(whole, at, value));
      try {
        readGguf(path);
      } catch (error) {
        if (!(error instanceof BenchError)) throw error;
      }
    }),
    {numRuns: 1000},
  );
});
