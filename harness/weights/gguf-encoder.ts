/** Metadata types of GGUF v3 (`enum gguf_type` in gguf.h). */
const TYPE = {u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9, u64: 10} as const;

export type MetadataValue =
  | {readonly type: 'u32' | 'u64' | 'f32'; readonly value: number}
  | {readonly type: 'bool'; readonly value: boolean}
  | {readonly type: 'string'; readonly value: string}
  | {readonly type: 'strings'; readonly value: readonly string[]}
  | {readonly type: 'i32s'; readonly value: readonly number[]};

export interface TensorEntry {
  readonly name: string;
  /** Fastest-running dimension first: the reverse of PyTorch's shape. */
  readonly dimensions: readonly number[];
  /** Number of `enum ggml_type`. */
  readonly ggmlType: number;
  readonly bytes: number;
}

export const GGUF_ALIGNMENT = 32;

/** Bytes up to the next multiple of the alignment. */
export const ggufPadding = (bytes: number): number => (GGUF_ALIGNMENT - (bytes % GGUF_ALIGNMENT)) % GGUF_ALIGNMENT;

/** Everything of a GGUF v3 file that comes before the tensor data, padding included. Tensors follow in the given order. */
export function encodeGgufHeader(
  metadata: ReadonlyMap<string, MetadataValue>,
  tensors: readonly TensorEntry[],
): Uint8Array {
  const out = new Bytes();
  out.raw('GGUF');
  out.u32(3);
  out.u64(tensors.length);
  out.u64(metadata.size);
  for (const [key, value] of metadata) encodeEntry(out, key, value);
  let offset = 0;
  for (const {name, dimensions, ggmlType, bytes} of tensors) {
    out.string(name);
    out.u32(dimensions.length);
    for (const size of dimensions) out.u64(size);
    out.u32(ggmlType);
    out.u64(offset);
    offset += bytes + ggufPadding(bytes);
  }
  out.zeros(ggufPadding(out.length));
  return out.take();
}

function encodeEntry(out: Bytes, key: string, entry: MetadataValue): void {
  out.string(key);
  switch (entry.type) {
    case 'u32':
      out.u32(TYPE.u32);
      out.u32(entry.value);
      return;
    case 'u64':
      out.u32(TYPE.u64);
      out.u64(entry.value);
      return;
    case 'f32':
      out.u32(TYPE.f32);
      out.f32(entry.value);
      return;
    case 'bool':
      out.u32(TYPE.bool);
      out.u8(entry.value ? 1 : 0);
      return;
    case 'string':
      out.u32(TYPE.string);
      out.string(entry.value);
      return;
    case 'strings':
      out.u32(TYPE.array);
      out.u32(TYPE.string);
      out.u64(entry.value.length);
      for (const text of entry.value) out.string(text);
      return;
    case 'i32s':
      out.u32(TYPE.array);
      out.u32(TYPE.i32);
      out.u64(entry.value.length);
      for (const number of entry.value) out.u32(number);
      return;
  }
}

/** A little-endian buffer that grows. */
class Bytes {
  #buffer = Buffer.alloc(1 << 16);
  length = 0;

  u8(value: number): void {
    this.#reserve(1);
    this.length = this.#buffer.writeUInt8(value, this.length);
  }

  u32(value: number): void {
    this.#reserve(4);
    this.length = this.#buffer.writeUInt32LE(value >>> 0, this.length);
  }

  u64(value: number): void {
    this.#reserve(8);
    this.length = this.#buffer.writeBigUInt64LE(BigInt(value), this.length);
  }

  f32(value: number): void {
    this.#reserve(4);
    this.length = this.#buffer.writeFloatLE(value, this.length);
  }

  /** Length in bytes as u64, then UTF-8. */
  string(text: string): void {
    this.u64(Buffer.byteLength(text));
    this.raw(text);
  }

  raw(text: string): void {
    this.#reserve(3 * text.length);
    this.length += this.#buffer.write(text, this.length);
  }

  zeros(count: number): void {
    this.#reserve(count);
    this.#buffer.fill(0, this.length, this.length + count);
    this.length += count;
  }

  take(): Uint8Array {
    return this.#buffer.subarray(0, this.length);
  }

  #reserve(bytes: number): void {
    if (this.length + bytes <= this.#buffer.length) return;
    const larger = Buffer.alloc(Math.max(2 * this.#buffer.length, this.length + bytes));
    this.#buffer.copy(larger, 0, 0, this.length);
    this.#buffer = larger;
  }
}
