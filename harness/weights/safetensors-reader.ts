import {closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {z} from 'zod';
import {BenchError} from '../contract/errors.ts';
import type {Format} from '../contract/format.ts';
import type {ModelFileFacts, ModelShape, TensorBytes} from './artifact.ts';
import {asFileError} from './file-errors.ts';

export interface SafetensorsTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly elements: number;
  readonly bytes: number;
}

/** The limit of the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;
const MAX_JSON_BYTES = 64 * 1024 * 1024;

/** Bits an element, by the names of the safetensors format. */
const DTYPE_BITS: Readonly<Record<string, number>> = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  F64: 64,
  I64: 64,
  U64: 64,
};

const TensorSchema = z.object({
  dtype: z.string().max(32),
  shape: z.array(z.int().nonnegative()).max(16),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
});
/** A part of a repository is a plain file name: nothing that leaves the folder. */
const PART_NAME = /^(?!\.)[^/\\\0]+\.safetensors$/;
const IndexSchema = z.object({weight_map: z.record(z.string(), z.string())});
const ConfigSchema = z.object({
  model_type: z.string().min(1).max(64),
  num_hidden_layers: z.int().positive().max(10_000),
  hidden_size: z.int().positive(),
  intermediate_size: z.int().positive().optional(),
  num_attention_heads: z.int().positive(),
  num_key_value_heads: z.int().positive().nullish(),
  head_dim: z.int().positive().nullish(),
  vocab_size: z.int().positive(),
  num_local_experts: z.int().positive().nullish(),
  num_experts: z.int().positive().nullish(),
  num_experts_per_tok: z.int().positive().nullish(),
  tie_word_embeddings: z.boolean().nullish(),
});
const QuantizationSchema = z.object({quant_method: z.string(), bits: z.number().optional()});

const INDEX = 'model.safetensors.index.json';
const quoted = (text: string) => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
const corrupt = (path: string, reason: string, cause?: unknown) =>
  new BenchError('MODEL_CORRUPT', `${path}: ${reason}`, {cause});

/**
 * Reads and checks the header of one safetensors file.
 *
 * @throws {BenchError} FILE_UNREADABLE, MODEL_CORRUPT (what and where).
 */
export function readSafetensorsHeader(path: string): readonly SafetensorsTensor[] {
  const {header, dataBytes} = readHeaderText(path);
  const entries = parseObject(header, path);
  const tensors: (SafetensorsTensor & {begin: number})[] = [];
  for (const [name, value] of Object.entries(entries)) {
    if (name === '__metadata__') continue;
    const parsed = TensorSchema.safeParse(value);
    if (!parsed.success) throw corrupt(path, `tensor ${quoted(name)} has no dtype, shape and data_offsets`);
    const {
      dtype,
      shape,
      data_offsets: [begin, end],
    } = parsed.data;
    const bits = Object.hasOwn(DTYPE_BITS, dtype) ? DTYPE_BITS[dtype] : undefined;
    if (bits === undefined) throw corrupt(path, `tensor ${quoted(name)} has the unknown dtype ${quoted(dtype)}`);
    const elements = shape.reduce((product, size) => product * size, 1);
    if (!Number.isSafeInteger(elements * bits) || end - begin !== (elements * bits) / 8) {
      throw corrupt(path, `tensor ${quoted(name)} is ${shape.join(' × ')} ${dtype}, but takes ${end - begin} bytes`);
    }
    if (end > dataBytes) {
      throw corrupt(
        path,
        `truncated: tensor ${quoted(name)} ends at byte ${end} of the data, the file has ${dataBytes}`,
      );
    }
    tensors.push({name, dtype, shape, elements, bytes: end - begin, begin});
  }
  let last = 0;
  for (const {name, begin, bytes} of tensors.sort((a, b) => a.begin - b.begin || a.bytes - b.bytes)) {
    if (begin !== last)
      throw corrupt(path, `tensor ${quoted(name)} begins at byte ${begin} of the data, not at ${last}`);
    last = begin + bytes;
  }
  if (last !== dataBytes) throw corrupt(path, `${dataBytes - last} bytes after the last tensor`);
  return tensors.map(({begin: _begin, ...tensor}) => tensor);
}

function readHeaderText(path: string): {header: string; dataBytes: number} {
  try {
    const file = openSync(path, 'r');
    try {
      const stats = fstatSync(file);
      if (!stats.isFile()) throw new BenchError('FILE_UNREADABLE', `${path}: not a file`);
      if (stats.size < 8) throw corrupt(path, `truncated: ${stats.size} bytes are no safetensors file`);
      const length = Buffer.alloc(8);
      readSync(file, length, 0, 8, 0);
      const headerBytes = length.readBigUInt64LE(0);
      if (headerBytes > BigInt(stats.size - 8)) {
        throw corrupt(
          path,
          `truncated or no safetensors file: its header claims ${headerBytes} bytes, the file has ${stats.size}`,
        );
      }
      if (headerBytes > BigInt(MAX_HEADER_BYTES)) throw corrupt(path, `its header claims ${headerBytes} bytes`);
      const buffer = Buffer.alloc(Number(headerBytes));
      let filled = 0;
      while (filled < buffer.length) {
        const read = readSync(file, buffer, filled, buffer.length - filled, 8 + filled);
        if (read === 0) throw corrupt(path, 'truncated while it was read');
        filled += read;
      }
      return {header: buffer.toString('utf8'), dataBytes: stats.size - 8 - buffer.length};
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw asFileError(error, path);
  }
}

function parseObject(text: string, path: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw corrupt(path, 'its JSON cannot be read', error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw corrupt(path, 'its JSON is no object');
  return value;
}

function readJson(path: string): object {
  try {
    if (statSync(path).size > MAX_JSON_BYTES) throw corrupt(path, `larger than ${MAX_JSON_BYTES} bytes`);
    return parseObject(readFileSync(path, 'utf8'), path);
  } catch (error) {
    throw asFileError(error, path);
  }
}

/** One line of what a schema misses first. */
function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue === undefined ? 'not as expected' : `${issue.path.join('.')}: ${issue.message}`;
}

/**
 * What a folder in Hugging Face layout holds. Only safetensors are read: a pickle file runs code when it is opened.
 *
 * @throws {BenchError} FILE_UNREADABLE, MODEL_CORRUPT, UNSUPPORTED (pickle only, no weights, other quantization).
 */
export function readSafetensorsFolder(folder: string): ModelFileFacts {
  const {tensors, files} = readParts(folder);
  const config = readConfig(folder);
  const quantization = quantizationOf(config.raw, folder);
  const tied = !tensors.some(({name}) => name.endsWith('lm_head.weight') || name.endsWith('lm_head.qweight'));
  const tables = tensors.filter(({name}) => /(?:^|\.)(?:embed_tokens|wte)\.weight$/.test(name));
  const counted = tensors.map((tensor) => countTensor(tensor, tables.includes(tensor), quantization));
  const {values} = config;
  const headDim = values.head_dim ?? Math.max(1, Math.floor(values.hidden_size / values.num_attention_heads));
  const shape: ModelShape = {
    family: values.model_type,
    layers: values.num_hidden_layers,
    hiddenSize: values.hidden_size,
    intermediateSize: values.intermediate_size ?? null,
    heads: values.num_attention_heads,
    kvHeads: Array.from(
      {length: values.num_hidden_layers},
      () => values.num_key_value_heads ?? values.num_attention_heads,
    ),
    keyLength: headDim,
    valueLength: headDim,
    vocabSize: values.vocab_size,
  };
  const experts = values.num_local_experts ?? values.num_experts ?? null;
  const used = values.num_experts_per_tok ?? null;
  return {
    shape,
    ...formatOf(tensors, quantization),
    tied,
    tensors: counted,
    expertShare: experts === null || used === null ? 1 : Math.min(1, used / experts),
    files,
  };
}

function readParts(folder: string): {tensors: SafetensorsTensor[]; files: string[]} {
  const names = listFolder(folder);
  if (names.includes(INDEX)) return readSharded(folder, names);
  const files = names.filter((name) => PART_NAME.test(name) && !name.startsWith('adapter_')).sort();
  const only = files.includes('model.safetensors') ? 'model.safetensors' : files[0];
  if (only === undefined) {
    const pickle = names.find((name) => /\.(?:bin|pt|pth|ckpt|pkl|pickle)$/.test(name));
    throw new BenchError(
      'UNSUPPORTED',
      pickle === undefined
        ? `${folder}: no model.safetensors in it`
        : `${folder}: only pickle weights (${pickle}), which run code when they are opened; convert them to safetensors first`,
    );
  }
  if (files.length > 1 && only !== 'model.safetensors') {
    throw new BenchError('UNSUPPORTED', `${folder}: ${files.length} safetensors files without ${INDEX}`);
  }
  return {tensors: [...readSafetensorsHeader(join(folder, only))], files: [only]};
}

function readSharded(folder: string, names: readonly string[]): {tensors: SafetensorsTensor[]; files: string[]} {
  const path = join(folder, INDEX);
  const parsed = IndexSchema.safeParse(readJson(path));
  if (!parsed.success) throw corrupt(path, firstIssue(parsed.error));
  const wanted = Object.entries(parsed.data.weight_map);
  const files = [...new Set(wanted.map(([, file]) => file))].sort();
  if (files.length === 0) throw corrupt(path, 'its weight_map is empty');
  const found = new Map<string, SafetensorsTensor>();
  const origin = new Map<string, string>();
  for (const file of files) {
    if (!PART_NAME.test(file)) throw corrupt(path, `${quoted(file)} is no plain safetensors file name`);
    if (!names.includes(file)) throw corrupt(path, `names ${quoted(file)}, which is not there`);
    for (const tensor of readSafetensorsHeader(join(folder, file))) {
      if (found.has(tensor.name)) throw corrupt(path, `tensor ${quoted(tensor.name)} is in two files`);
      found.set(tensor.name, tensor);
      origin.set(tensor.name, file);
    }
  }
  for (const [name, file] of wanted) {
    if (origin.get(name) !== file) throw corrupt(path, `tensor ${quoted(name)} is not in ${quoted(file)}`);
  }
  return {tensors: [...found.values()], files};
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    throw asFileError(error, folder);
  }
}

function readConfig(folder: string): {raw: object; values: z.infer<typeof ConfigSchema>} {
  const path = join(folder, 'config.json');
  const raw = readJson(path);
  // Models that also see keep the language model's figures one level down.
  const nested: unknown = 'text_config' in raw ? raw.text_config : null;
  const parsed = ConfigSchema.safeParse(typeof nested === 'object' && nested !== null ? {...raw, ...nested} : raw);
  if (!parsed.success) throw corrupt(path, firstIssue(parsed.error));
  return {raw, values: parsed.data};
}

interface Quantization {
  readonly bits: number;
}

function quantizationOf(config: object, folder: string): Quantization | null {
  const value: unknown = 'quantization_config' in config ? config.quantization_config : null;
  if (value === null || value === undefined) return null;
  const parsed = QuantizationSchema.safeParse(value);
  if (!parsed.success) throw corrupt(join(folder, 'config.json'), `quantization_config: ${firstIssue(parsed.error)}`);
  const {quant_method: method, bits} = parsed.data;
  if (method === 'gptq' && bits === 4) return {bits};
  throw new BenchError(
    'UNSUPPORTED',
    `${folder}: quantized by ${quoted(method)}${bits === undefined ? '' : ` to ${bits} bits`}; of quantized safetensors, 4-bit GPTQ can be run`,
  );
}

function countTensor(
  {name, dtype, elements, bytes, shape}: SafetensorsTensor,
  table: boolean,
  quantization: Quantization | null,
): TensorBytes {
  let parameters = elements;
  if (quantization !== null) {
    // Eight 4-bit weights in one 32-bit word; scales, zeros and group numbers are no weights of their own.
    if (name.endsWith('.qweight')) parameters = elements * Math.floor((DTYPE_BITS[dtype] ?? 0) / quantization.bits);
    else if (/\.(?:qzeros|scales|g_idx)$/.test(name)) parameters = 0;
  }
  const expert = /\.experts\./.test(name);
  return {name, parameters, bytes, read: table ? 'row' : expert ? 'expert' : 'all', rows: table ? (shape[0] ?? 1) : 1};
}

const FORMAT_OF: Readonly<Record<string, Format>> = {F32: 'fp32', BF16: 'bf16', F16: 'fp16'};

/** By the matrices: norms are often kept wider. */
function formatOf(
  tensors: readonly SafetensorsTensor[],
  quantization: Quantization | null,
): {format: Format | null; formatText: string} {
  if (quantization !== null) {
    return tensors.some(({name}) => name.endsWith('.qweight'))
      ? {format: 'gptq-4bit', formatText: 'gptq-4bit'}
      : {format: null, formatText: 'said to be GPTQ, but without any qweight'};
  }
  const bytes = new Map<string, number>();
  for (const tensor of tensors) {
    if (tensor.shape.length > 1) bytes.set(tensor.dtype, (bytes.get(tensor.dtype) ?? 0) + tensor.elements);
  }
  const dtypes = [...bytes.keys()].sort();
  const only = dtypes[0];
  if (only === undefined) return {format: null, formatText: 'without matrices'};
  const format = dtypes.length === 1 && Object.hasOwn(FORMAT_OF, only) ? FORMAT_OF[only] : undefined;
  return format === undefined ? {format: null, formatText: dtypes.join(' and ')} : {format, formatText: format};
}
