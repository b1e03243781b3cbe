import {createHash} from 'node:crypto';
import type {EntryKey} from '../../../../harness/weights/cache-entry.ts';
import type {MadeModel} from '../../../../harness/weights/model-cache.ts';

export const KEY: EntryKey = {source: 'synthetic:bench-tiny', seed: 1, format: 'gguf-f16', generator: 'test'};

const CHUNK_BYTES = 64 * 1024;

export const chunkOf = (index: number): Buffer => Buffer.alloc(CHUNK_BYTES, index % 251);

/** What a maker returns that has written `chunks` chunks to model.gguf. */
export function factsOf(chunks: number): MadeModel {
  const hash = createHash('sha256');
  for (let index = 0; index < chunks; index++) hash.update(chunkOf(index));
  const sha256 = hash.digest('hex');
  return {
    main: 'model.gguf',
    files: [{name: 'model.gguf', sha256}],
    facts: {
      format: 'gguf-f16',
      weightsBytes: chunks * CHUNK_BYTES,
      sha256,
      parameters: (chunks * CHUNK_BYTES) / 2,
      architectureName: 'bench-tiny',
      bitsPerWeight: 16,
      bytesPerToken: chunks * CHUNK_BYTES,
      kvBytesPerToken: 128,
      sourceText: 'synthetic:bench-tiny seed 1',
      synthetic: true,
    },
  };
}
