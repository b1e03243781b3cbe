import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {Format} from '../../harness/contract/format.ts';
import {LocalWeightsStore} from '../../harness/weights/local-weights-store.ts';

export interface TinyModel {
  readonly path: string;
  /** Folder that may be written to; removed with the model. */
  readonly folder: string;
  remove(): Promise<void>;
}

/** A real model of a few megabytes, made by the project's own weights maker. */
export async function tinyModel(source = 'synthetic:bench-tiny', format: Format = 'gguf-f16'): Promise<TinyModel> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-tiny-'));
  const store = new LocalWeightsStore({cacheDir: folder, env: {}});
  const {path} = await store.ensure(
    {source, format, seed: 1},
    {signal: new AbortController().signal, onProgress: () => undefined},
  );
  return {path, folder, remove: () => rm(folder, {recursive: true, force: true})};
}
