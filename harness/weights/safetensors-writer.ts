import {mkdir} from 'node:fs/promises';
import {join} from 'node:path';
import {asFileError} from './file-errors.ts';
import {writeJson} from './huggingface-files.ts';
import {WeightsFile} from './weights-file.ts';

export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: 'F32' | 'F16' | 'BF16' | 'I32';
  readonly shape: readonly number[];
  readonly bytes: number;
}

/** Entries that are computed together; `write` appends exactly their bytes, in their order. */
export interface SafetensorsGroup {
  readonly entries: readonly SafetensorsEntry[];
  write(file: WeightsFile, onChunk: () => void): Promise<void>;
}

/** Hugging Face's own limit of a shard was this for years, and every loader copes with it. */
const SHARD_BYTES = 5e9;

/**
 * model.safetensors, or shards with their index.
 * @param onChunk Called often with the bytes written so far over all shards; throws to stop.
 * @throws {BenchError} DISK_FULL, FILE_UNREADABLE, and whatever `onChunk` throws.
 */
export async function writeSafetensors(
  folder: string,
  groups: readonly SafetensorsGroup[],
  onChunk: (doneBytes: number) => void,
  shardBytes: number = SHARD_BYTES,
): Promise<{readonly fileBytes: number; readonly weightsBytes: number}> {
  await mkdir(folder, {recursive: true}).catch((error: unknown) => {
    throw asFileError(error, folder);
  });
  const shards = divide(groups, shardBytes);
  const name = (index: number) =>
    shards.length === 1
      ? 'model.safetensors'
      : `model-${String(index + 1).padStart(5, '0')}-of-${String(shards.length).padStart(5, '0')}.safetensors`;
  let fileBytes = 0;
  for (const [index, shard] of shards.entries()) {
    const before = fileBytes;
    fileBytes += await writeShard(join(folder, name(index)), shard, (position) => onChunk(before + position));
  }
  const weightsBytes = groups.reduce((sum, group) => sum + groupBytes(group), 0);
  if (shards.length > 1) {
    const map = shards.flatMap((shard, index) =>
      shard.flatMap(({entries}) => entries.map((entry) => [entry.name, name(index)] as const)),
    );
    await writeJson(join(folder, 'model.safetensors.index.json'), {
      metadata: {total_size: weightsBytes},
      weight_map: Object.fromEntries(map),
    });
  }
  return {fileBytes, weightsBytes};
}

/** Length (u64), JSON with the metadata that transformers asks for, blanks up to a multiple of 8. */
export function encodeSafetensorsHeader(entries: readonly SafetensorsEntry[]): Uint8Array {
  let offset = 0;
  const tensors = entries.map(({name, dtype, shape, bytes}) => {
    const begin = offset;
    offset += bytes;
    return [name, {dtype, shape, data_offsets: [begin, offset]}] as const;
  });
  const json = JSON.stringify({__metadata__: {format: 'pt'}, ...Object.fromEntries(tensors)});
  const length = Math.ceil(Buffer.byteLength(json) / 8) * 8;
  const header = Buffer.alloc(8 + length, ' ');
  header.writeBigUInt64LE(BigInt(length));
  header.write(json, 8);
  return header;
}

async function writeShard(
  path: string,
  groups: readonly SafetensorsGroup[],
  onChunk: (position: number) => void,
): Promise<number> {
  const header = encodeSafetensorsHeader(groups.flatMap(({entries}) => entries));
  const total = groups.reduce((sum, group) => sum + groupBytes(group), header.length);
  const file = await WeightsFile.create(path, total);
  try {
    await file.appendOwn(header);
    for (const group of groups) {
      await group.write(file, () => onChunk(file.position));
      onChunk(file.position);
    }
  } catch (error) {
    await file.abandon();
    throw error;
  }
  await file.finish();
  return total;
}

function divide(groups: readonly SafetensorsGroup[], shardBytes: number): SafetensorsGroup[][] {
  const shards: SafetensorsGroup[][] = [];
  let current: SafetensorsGroup[] = [];
  let bytes = 0;
  for (const group of groups) {
    const more = groupBytes(group);
    if (current.length > 0 && bytes + more > shardBytes) {
      shards.push(current);
      current = [];
      bytes = 0;
    }
    current.push(group);
    bytes += more;
  }
  return [...shards, current];
}

function groupBytes({entries}: SafetensorsGroup): number {
  return entries.reduce((sum, {bytes}) => sum + bytes, 0);
}
