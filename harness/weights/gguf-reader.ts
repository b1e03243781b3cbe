import {closeSync, fstatSync, openSync, readSync} from 'node:fs';
import {basename} from 'node:path';
import {BenchError} from '../contract/errors.ts';
import {FORMAT_NAMES, FORMATS, type Format} from '../contract/format.ts';
import type {ModelFileFacts, ModelShape, TensorBytes} from './artifact.ts';
import {asFileError} from './file-errors.ts';
import {GGML_TYPES, type GgmlType} from './ggml-types.ts';

/** A metadata value that is worth keeping; long arrays and texts (vocabulary, chat template) keep only their length. */
type Value = string | number | boolean | readonly (number | boolean)[] | {readonly skipped: number};

interface GgufTensor {
  readonly name: string;
  /** ggml's order: the first is the length of a row. */
  readonly dimensions: readonly number[];
  readonly type: GgmlType;
  readonly elements: number;
  readonly bytes: number;
  /** From the start of the file. */
  readonly offset: number;
}

export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, Value>;
  readonly tensors: readonly GgufTensor[];
  readonly fileBytes: number;
}

/** Header of everything known is below 30 MB; a larger one is hostile. */
const MAX_HEADER_BYTES = 512 * 1024 * 1024;
const WINDOW_BYTES = 256 * 1024;
const MAX_TEXT_BYTES = 64 * 1024;
const MAX_KEPT_ELEMENTS = 4096;
/** Smallest bytes that one more of these can take in the file: bounds a count before anything is made of it. */
const LEAST_KEY_BYTES = 8 + 4 + 1;
const LEAST_TENSOR_BYTES = 8 + 4 + 8 + 4 + 8;
const MAX_DIMENSIONS = 4;

type Scalar = {readonly bytes: number; readonly read: (buffer: Buffer, at: number) => number | boolean | bigint};
const SCALARS: ReadonlyMap<number, Scalar> = new Map<number, Scalar>([
  [0, {bytes: 1, read: (buffer, at) => buffer.readUInt8(at)}],
  [1, {bytes: 1, read: (buffer, at) => buffer.readInt8(at)}],
  [2, {bytes: 2, read: (buffer, at) => buffer.readUInt16LE(at)}],
  [3, {bytes: 2, read: (buffer, at) => buffer.readInt16LE(at)}],
  [4, {bytes: 4, read: (buffer, at) => buffer.readUInt32LE(at)}],
  [5, {bytes: 4, read: (buffer, at) => buffer.readInt32LE(at)}],
  [6, {bytes: 4, read: (buffer, at) => buffer.readFloatLE(at)}],
  [7, {bytes: 1, read: (buffer, at) => buffer.readUInt8(at) !== 0}],
  [10, {bytes: 8, read: (buffer, at) => buffer.readBigUInt64LE(at)}],
  [11, {bytes: 8, read: (buffer, at) => buffer.readBigInt64LE(at)}],
  [12, {bytes: 8, read: (buffer, at) => buffer.readDoubleLE(at)}],
]);
const TYPE_STRING = 8;
const TYPE_ARRAY = 9;

/**
 * A window that moves over the start of a file. Nothing is read or allocated beyond the file's length, whatever the
 * file claims. Synchronous on purpose: a header is a few MB of small fields, and one promise a field costs more than
 * reading it.
 */
class Cursor {
  readonly path: string;
  readonly fileBytes: number;
  readonly #file: number;
  readonly #window: Buffer;
  #windowStart = 0;
  #windowBytes = 0;
  #at = 0;

  constructor(path: string, file: number, fileBytes: number) {
    this.path = path;
    this.#file = file;
    this.fileBytes = fileBytes;
    this.#window = Buffer.allocUnsafe(Math.min(WINDOW_BYTES, Math.max(1, fileBytes)));
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return Math.min(this.fileBytes, MAX_HEADER_BYTES) - this.#at;
  }

  corrupt(reason: string): BenchError {
    return new BenchError('MODEL_CORRUPT', `${this.path}: ${reason} (at byte ${this.#at})`);
  }

  skip(bytes: number, what: string): void {
    if (bytes > this.left) throw this.#tooShort(bytes, what);
    this.#at += bytes;
  }

  /** @param bytes At most the window. The result is only valid until the next call. */
  take(bytes: number, what: string): Buffer {
    if (bytes > this.left || bytes > this.#window.length) throw this.#tooShort(bytes, what);
    const inside = this.#at - this.#windowStart;
    if (inside < 0 || inside + bytes > this.#windowBytes) {
      this.#windowStart = this.#at;
      this.#windowBytes = 0;
      const want = Math.min(this.#window.length, this.fileBytes - this.#at);
      while (this.#windowBytes < want) {
        const read = readSync(
          this.#file,
          this.#window,
          this.#windowBytes,
          want - this.#windowBytes,
          this.#windowStart + this.#windowBytes,
        );
        // The file became shorter while it was read.
        if (read === 0) throw this.#tooShort(bytes, what);
        this.#windowBytes += read;
      }
    }
    const start = this.#at - this.#windowStart;
    this.#at += bytes;
    return this.#window.subarray(start, start + bytes);
  }

  u32(what: string): number {
    return this.take(4, what).readUInt32LE(0);
  }

  /** A length, count or offset: larger than the file can never be right. */
  size(what: string): number {
    const value = this.take(8, what).readBigUInt64LE(0);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.corrupt(`${what} is ${value}`);
    return Number(value);
  }

  /** Null when it is longer than anything that matters here; it is skipped then. */
  text(what: string): string | null {
    const bytes = this.size(`the length of ${what}`);
    if (bytes > MAX_TEXT_BYTES) {
      this.skip(bytes, what);
      return null;
    }
    return this.take(bytes, what).toString('utf8');
  }

  #tooShort(bytes: number, what: string): BenchError {
    return this.corrupt(
      this.fileBytes > MAX_HEADER_BYTES && this.#at + bytes > MAX_HEADER_BYTES
        ? `its header is larger than ${MAX_HEADER_BYTES} bytes`
        : `truncated: ${what} needs ${bytes} more bytes, the file has ${this.fileBytes}`,
    );
  }
}

/** Text of a file inside a message: quoted, short, without control characters. */
const quoted = (text: string) => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);

/**
 * Reads and checks the header of a GGUF file: every count against what the file can hold, every tensor against its end.
 *
 * @throws {BenchError} FILE_UNREADABLE, MODEL_CORRUPT (what and where), UNSUPPORTED (version, byte order).
 */
export function readGgufHeader(path: string): GgufHeader {
  try {
    const file = openSync(path, 'r');
    try {
      const stats = fstatSync(file);
      if (!stats.isFile()) throw new BenchError('FILE_UNREADABLE', `${path}: not a file`);
      return parse(new Cursor(path, file, stats.size));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw asFileError(error, path);
  }
}

function parse(cursor: Cursor): GgufHeader {
  if (cursor.fileBytes === 0) throw cursor.corrupt('the file is empty');
  if (cursor.fileBytes < 24) throw cursor.corrupt(`truncated: ${cursor.fileBytes} bytes are no GGUF file`);
  const magic = cursor.take(4, 'the magic');
  if (magic.toString('latin1') !== 'GGUF') {
    throw cursor.corrupt(`not a GGUF file: it begins with ${quoted(magic.toString('latin1'))}`);
  }
  const version = cursor.u32('the version');
  if (version !== 2 && version !== 3) {
    const swapped = version === 0x0200_0000 || version === 0x0300_0000;
    throw new BenchError(
      'UNSUPPORTED',
      `${cursor.path}: ${swapped ? 'GGUF in big-endian byte order' : `GGUF version ${version}`}; versions 2 and 3 in little-endian order can be read`,
    );
  }
  const tensorCount = cursor.size('the number of tensors');
  const keyCount = cursor.size('the number of metadata keys');
  if (tensorCount > cursor.left / LEAST_TENSOR_BYTES) {
    throw cursor.corrupt(`claims ${tensorCount} tensors, more than ${cursor.fileBytes} bytes can hold`);
  }
  if (keyCount > cursor.left / LEAST_KEY_BYTES) {
    throw cursor.corrupt(`claims ${keyCount} metadata keys, more than ${cursor.fileBytes} bytes can hold`);
  }
  const metadata = new Map<string, Value>();
  for (let index = 0; index < keyCount; index++) {
    const key = cursor.text(`metadata key ${index}`);
    if (key === null || key === '') throw cursor.corrupt(`metadata key ${index} has no usable name`);
    if (metadata.has(key)) throw cursor.corrupt(`metadata key ${quoted(key)} appears twice`);
    metadata.set(key, readValue(cursor, cursor.u32(`the type of ${quoted(key)}`), key));
  }
  const infos: TensorInfo[] = [];
  const names = new Set<string>();
  for (let index = 0; index < tensorCount; index++) {
    const info = readTensorInfo(cursor, index);
    if (names.has(info.name)) throw cursor.corrupt(`tensor ${quoted(info.name)} appears twice`);
    names.add(info.name);
    infos.push(info);
  }
  return {metadata, tensors: placeTensors(cursor, infos, metadata), fileBytes: cursor.fileBytes};
}

function readValue(cursor: Cursor, type: number, key: string): Value {
  const what = `metadata ${quoted(key)}`;
  if (type === TYPE_STRING) return cursor.text(what) ?? {skipped: 1};
  const scalar = SCALARS.get(type);
  if (scalar !== undefined) return toValue(cursor, scalar.read(cursor.take(scalar.bytes, what), 0), what);
  if (type !== TYPE_ARRAY) throw cursor.corrupt(`${what} has the unknown type ${type}`);

  const elementType = cursor.u32(`the element type of ${what}`);
  const length = cursor.size(`the length of ${what}`);
  if (elementType === TYPE_STRING) {
    if (length > cursor.left / 8) throw cursor.corrupt(`${what} claims ${length} texts, more than the file can hold`);
    for (let index = 0; index < length; index++) {
      cursor.skip(cursor.size(`the length of text ${index} of ${what}`), `text ${index} of ${what}`);
    }
    return {skipped: length};
  }
  const element = SCALARS.get(elementType);
  if (element === undefined) throw cursor.corrupt(`${what} is an array of the unknown type ${elementType}`);
  if (length > cursor.left / element.bytes) {
    throw cursor.corrupt(`${what} claims ${length} elements, more than the file can hold`);
  }
  if (length > MAX_KEPT_ELEMENTS) {
    cursor.skip(length * element.bytes, what);
    return {skipped: length};
  }
  return Array.from({length}, () => toValue(cursor, element.read(cursor.take(element.bytes, what), 0), what));
}

function toValue(cursor: Cursor, value: number | boolean | bigint, what: string): number | boolean {
  if (typeof value !== 'bigint') return value;
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw cursor.corrupt(`${what} is ${value}`);
  return number;
}

type TensorInfo = Omit<GgufTensor, 'offset'> & {readonly relativeOffset: number};

function readTensorInfo(cursor: Cursor, index: number): TensorInfo {
  const name = cursor.text(`the name of tensor ${index}`);
  if (name === null || name === '') throw cursor.corrupt(`tensor ${index} has no usable name`);
  const what = `tensor ${quoted(name)}`;
  const dimensionCount = cursor.u32(`the number of dimensions of ${what}`);
  if (dimensionCount < 1 || dimensionCount > MAX_DIMENSIONS) {
    throw cursor.corrupt(`${what} has ${dimensionCount} dimensions`);
  }
  const dimensions = Array.from({length: dimensionCount}, () => cursor.size(`a dimension of ${what}`));
  const elements = dimensions.reduce((product, size) => product * size, 1);
  if (!Number.isSafeInteger(elements) || elements < 1) {
    throw cursor.corrupt(`${what} has the shape ${dimensions.join(' × ')}`);
  }
  const typeNumber = cursor.u32(`the type of ${what}`);
  const type = GGML_TYPES.get(typeNumber);
  if (type === undefined) throw cursor.corrupt(`${what} has the unknown type ${typeNumber}`);
  const row = dimensions[0] ?? 0;
  if (row % type.block !== 0) {
    throw cursor.corrupt(`${what} has rows of ${row} weights, ${type.name} needs a multiple of ${type.block}`);
  }
  const bytes = (elements / type.block) * type.bytes;
  return {name, dimensions, type, elements, bytes, relativeOffset: cursor.size(`the offset of ${what}`)};
}

function placeTensors(
  cursor: Cursor,
  infos: readonly TensorInfo[],
  metadata: ReadonlyMap<string, Value>,
): GgufTensor[] {
  const alignment = metadata.get('general.alignment') ?? 32;
  if (typeof alignment !== 'number' || !Number.isInteger(Math.log2(alignment)) || alignment > 2 ** 20) {
    throw cursor.corrupt('general.alignment is no power of two');
  }
  const start = Math.ceil(cursor.at / alignment) * alignment;
  let end = 0;
  for (const {name, relativeOffset, bytes} of [...infos].sort((a, b) => a.relativeOffset - b.relativeOffset)) {
    const what = `tensor ${quoted(name)}`;
    if (relativeOffset % alignment !== 0)
      throw cursor.corrupt(`${what} begins at ${relativeOffset}, not aligned to ${alignment}`);
    if (relativeOffset < end) throw cursor.corrupt(`${what} overlaps the tensor before it`);
    end = relativeOffset + bytes;
    if (start + end > cursor.fileBytes) {
      throw cursor.corrupt(`truncated: ${what} ends at byte ${start + end}, the file has ${cursor.fileBytes}`);
    }
  }
  return infos.map(({relativeOffset, ...info}) => ({...info, offset: start + relativeOffset}));
}

/**
 * What a GGUF file holds, for counting and for checking it against the format asked for.
 *
 * @throws {BenchError} FILE_UNREADABLE, MODEL_CORRUPT, UNSUPPORTED.
 */
export function readGguf(path: string): ModelFileFacts {
  const {metadata, tensors} = readGgufHeader(path);
  const corrupt = (reason: string) => new BenchError('MODEL_CORRUPT', `${path}: ${reason}`);
  const split = metadata.get('split.count');
  if (typeof split === 'number' && split > 1) {
    throw new BenchError(
      'UNSUPPORTED',
      `${path}: one of ${split} parts of a split model; join them with llama-gguf-split --merge`,
    );
  }
  const family = metadata.get('general.architecture');
  if (typeof family !== 'string' || family === '') throw corrupt('general.architecture is missing');
  if (tensors.length === 0) throw corrupt('it holds no tensors (only a vocabulary)');

  const count = (key: string): number | null => {
    const value = metadata.get(`${family}.${key}`);
    if (value === undefined) return null;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > 2 ** 31) {
      throw corrupt(`${family}.${key} is no positive number`);
    }
    return value;
  };
  const needed = (key: string): number => {
    const value = count(key);
    if (value === null) throw corrupt(`${family}.${key} is missing`);
    return value;
  };
  const layers = needed('block_count');
  // More blocks than tensors cannot be; it also bounds what is made per layer below.
  if (layers > tensors.length)
    throw corrupt(`${family}.block_count is ${layers}, but it holds ${tensors.length} tensors`);
  const hiddenSize = needed('embedding_length');
  const perLayer = (key: string, otherwise: number): number[] => {
    const value = metadata.get(`${family}.${key}`);
    if (!Array.isArray(value)) return Array.from({length: layers}, () => count(key) ?? otherwise);
    // Layers without attention (hybrid models) have 0.
    if (value.length !== layers || !value.every((item) => Number.isInteger(item) && item >= 0 && item < 2 ** 20)) {
      throw corrupt(`${family}.${key} does not hold one number for each of ${layers} layers`);
    }
    return value.map(Number);
  };
  const heads = perLayer('attention.head_count', 0).reduce((most, count) => Math.max(most, count), 0);
  if (heads === 0) throw corrupt(`${family}.attention.head_count is missing`);
  const kvHeads = perLayer('attention.head_count_kv', heads);
  const headDim = Math.max(1, Math.floor(hiddenSize / heads));
  const embedding = tensors.find((tensor) => tensor.name === 'token_embd.weight');
  if (embedding === undefined) throw corrupt('it has no tensor token_embd.weight');
  const intermediate = metadata.get(`${family}.feed_forward_length`);
  const shape: ModelShape = {
    family,
    layers,
    hiddenSize,
    intermediateSize: typeof intermediate === 'number' ? intermediate : null,
    heads,
    kvHeads,
    keyLength: count('attention.key_length') ?? headDim,
    valueLength: count('attention.value_length') ?? headDim,
    vocabSize: embedding.dimensions[1] ?? 1,
  };
  const experts = metadata.get(`${family}.expert_count`);
  const expertsUsed = metadata.get(`${family}.expert_used_count`);
  const expertShare =
    typeof experts === 'number' && typeof expertsUsed === 'number' && experts > 0 && expertsUsed > 0
      ? Math.min(1, expertsUsed / experts)
      : 1;
  const fileType = metadata.get('general.file_type');
  const {format, text} = recogniseFormat(tensors, typeof fileType === 'number' ? fileType : null);
  return {
    shape,
    format,
    formatText: text,
    tied: !tensors.some((tensor) => tensor.name === 'output.weight'),
    tensors: tensors.map(countTensor),
    expertShare,
    files: [basename(path)],
  };
}

function countTensor({name, elements, bytes, dimensions}: GgufTensor): TensorBytes {
  const table = name === 'token_embd.weight';
  return {
    name,
    // Factors of rotary embeddings are constants, not weights.
    parameters: name.startsWith('rope_') ? 0 : elements,
    bytes,
    read: table ? 'row' : /\.ffn_(?:gate|up|down|gate_up)_exps\.weight$/.test(name) ? 'expert' : 'all',
    rows: table ? (dimensions[1] ?? 1) : 1,
  };
}

/** What llama.cpp's quantizer takes instead where a row is no multiple of 256 (llama-quant.cpp, tensor_type_fallback). */
const FALLBACK: Readonly<Record<string, string>> = {
  Q2_K: 'IQ4_NL',
  Q3_K: 'IQ4_NL',
  IQ4_XS: 'IQ4_NL',
  Q4_K: 'Q5_0',
  Q5_K: 'Q5_1',
  Q6_K: 'Q8_0',
};

/**
 * The format by what the tensors are, with the label `general.file_type` only to tell mixtures apart that share their
 * types (Q4_K_M and Q4_K_S). A label that the matrices of the blocks contradict is not believed.
 */
function recogniseFormat(
  tensors: readonly GgufTensor[],
  fileType: number | null,
): {format: Format | null; text: string} {
  const shares = new Map<string, number>();
  let total = 0;
  const matrices = tensors.filter((tensor) => tensor.dimensions.length > 1);
  const inBlocks = matrices.filter((tensor) => tensor.name.startsWith('blk.'));
  for (const {type, elements} of inBlocks.length > 0 ? inBlocks : matrices) {
    shares.set(type.name, (shares.get(type.name) ?? 0) + elements);
    total += elements;
  }
  const share = (type: string | undefined) => (type === undefined ? 0 : (shares.get(type) ?? 0) / total);
  const holds = [...shares.keys()].sort().join(' and ') || 'without matrices';
  const labelled = fileType === null ? undefined : FORMAT_NAMES.find((name) => ftypeOf(name) === fileType);
  if (labelled !== undefined) {
    const base = baseType(labelled);
    const mixture = base.includes('_K') || base.startsWith('IQ4');
    if (mixture ? share(base) >= 0.1 || share(FALLBACK[base]) >= 0.1 : share(base) >= 0.95) {
      return {format: labelled, text: labelled};
    }
    return {format: null, text: `labelled ${labelled} but really ${holds}`};
  }
  if (fileType !== null) return {format: null, text: `${holds} (general.file_type ${fileType})`};
  // Without the label, K-quants cannot be told apart; the plain types can.
  const pure = FORMAT_NAMES.find(
    (name) => ftypeOf(name) !== null && !baseType(name).includes('_K') && share(baseType(name)) >= 0.95,
  );
  return pure === undefined ? {format: null, text: `${holds}, without general.file_type`} : {format: pure, text: pure};
}

function ftypeOf(format: Format): number | null {
  const facts = FORMATS[format];
  return 'ftype' in facts ? facts.ftype : null;
}

/** `Q4_K_M` is mostly `Q4_K`. */
function baseType(format: Format): string {
  const facts = FORMATS[format];
  return 'ggml' in facts ? facts.ggml.replace(/_[SML]$/, '') : '';
}
