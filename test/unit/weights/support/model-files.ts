import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';

type Scalar =
  | {readonly type: 'u32' | 'u64' | 'f32' | 'bool'; readonly value: number}
  | {readonly type: 'string'; readonly value: string};
export type GgufValue =
  | Scalar
  | {readonly type: 'strings'; readonly value: readonly string[]}
  | {readonly type: 'i32s'; readonly value: readonly number[]};

export interface GgufTensorPlan {
  readonly name: string;
  readonly dimensions: readonly number[];
  /** ggml type number. */
  readonly type: number;
  readonly bytes: number;
}

const u32 = (value: number) => {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
};
const u64 = (value: number) => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
};
const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
const f32 = (value: number) => {
  const buffer = Buffer.alloc(4);
  buffer.writeFloatLE(value);
  return buffer;
};

function encode(value: GgufValue): Buffer {
  switch (value.type) {
    case 'u32':
      return Buffer.concat([u32(4), u32(value.value)]);
    case 'u64':
      return Buffer.concat([u32(10), u64(value.value)]);
    case 'f32':
      return Buffer.concat([u32(6), f32(value.value)]);
    case 'bool':
      return Buffer.concat([u32(7), Buffer.from([value.value])]);
    case 'string':
      return Buffer.concat([u32(8), text(value.value)]);
    case 'strings':
      return Buffer.concat([u32(9), u32(8), u64(value.value.length), ...value.value.map(text)]);
    case 'i32s':
      return Buffer.concat([u32(9), u32(5), u64(value.value.length), ...value.value.map((item) => u32(item))]);
  }
}

/** A GGUF file, written down field by field, independent of the writer under harness/weights. */
export function ggufBytes(
  metadata: Readonly<Record<string, GgufValue>>,
  tensors: readonly GgufTensorPlan[],
  version = 3,
): Buffer {
  let offset = 0;
  const infos = tensors.map(({name, dimensions, type, bytes}) => {
    const info = Buffer.concat([text(name), u32(dimensions.length), ...dimensions.map(u64), u32(type), u64(offset)]);
    offset += Math.ceil(bytes / 32) * 32;
    return info;
  });
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    u32(version),
    u64(tensors.length),
    u64(Object.keys(metadata).length),
    ...Object.entries(metadata).flatMap(([key, value]) => [text(key), encode(value)]),
    ...infos,
  ]);
  const padding = Buffer.alloc((32 - (head.length % 32)) % 32);
  return Buffer.concat([head, padding, Buffer.alloc(offset)]);
}

export const GGUF_METADATA: Readonly<Record<string, GgufValue>> = {
  'general.architecture': {type: 'string', value: 'llama'},
  'general.file_type': {type: 'u32', value: 1},
  'llama.block_count': {type: 'u32', value: 1},
  'llama.embedding_length': {type: 'u32', value: 64},
  'llama.feed_forward_length': {type: 'u32', value: 128},
  'llama.attention.head_count': {type: 'u32', value: 4},
  'llama.attention.head_count_kv': {type: 'u32', value: 2},
  'tokenizer.ggml.tokens': {type: 'strings', value: ['a', 'b', 'c']},
};

export const GGUF_TENSORS: readonly GgufTensorPlan[] = [
  {name: 'token_embd.weight', dimensions: [64, 32], type: 1, bytes: 4096},
  {name: 'blk.0.ffn_up.weight', dimensions: [64, 128], type: 1, bytes: 16_384},
  {name: 'output_norm.weight', dimensions: [64], type: 0, bytes: 256},
];

/** One block of a `llama` with F16 matrices, 10 304 weights. */
export const tinyGguf = (
  metadata: Readonly<Record<string, GgufValue>> = {},
  tensors: readonly GgufTensorPlan[] = GGUF_TENSORS,
) => ggufBytes({...GGUF_METADATA, ...metadata}, tensors);

export interface SafetensorsPlan {
  readonly [name: string]: {readonly dtype: string; readonly shape: readonly number[]; readonly bytes: number};
}

export function safetensorsBytes(plan: SafetensorsPlan): Buffer {
  let offset = 0;
  const header = Object.fromEntries(
    Object.entries(plan).map(([name, {dtype, shape, bytes}]) => {
      const begin = offset;
      offset += bytes;
      return [name, {dtype, shape, data_offsets: [begin, offset]}];
    }),
  );
  const json = Buffer.from(JSON.stringify({__metadata__: {format: 'pt'}, ...header}));
  return Buffer.concat([u64(json.length), json, Buffer.alloc(offset)]);
}

export const CONFIG = {
  model_type: 'llama',
  num_hidden_layers: 1,
  hidden_size: 64,
  intermediate_size: 128,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 32,
};

export const SAFETENSORS: SafetensorsPlan = {
  'model.embed_tokens.weight': {dtype: 'BF16', shape: [32, 64], bytes: 4096},
  'model.layers.0.mlp.up_proj.weight': {dtype: 'BF16', shape: [128, 64], bytes: 16_384},
  'model.norm.weight': {dtype: 'BF16', shape: [64], bytes: 128},
};

export function writeModelFolder(dir: string, config: object = CONFIG, plan: SafetensorsPlan = SAFETENSORS): void {
  mkdirSync(dir, {recursive: true});
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config));
  writeFileSync(join(dir, 'model.safetensors'), safetensorsBytes(plan));
}
