import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {type LoadedMatrix, loadMatrix} from '../../harness/plan/load-matrix.ts';

/** Loads a matrix from text, or tells its mistakes with `FILE` for the path. Other files lie beside it. */
export async function loadText(
  text: string | Uint8Array,
  files: Readonly<Record<string, string>> = {},
): Promise<LoadedMatrix> {
  const dir = await mkdtemp(join(tmpdir(), 'bench-matrix-'));
  try {
    for (const [name, content] of Object.entries(files)) await writeFile(join(dir, name), content);
    const file = join(dir, 'm.yaml');
    await writeFile(file, text);
    return await loadMatrix(file);
  } finally {
    await rm(dir, {recursive: true});
  }
}

export async function mistakesOf(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    return String(error).replaceAll(/\S*m\.yaml/g, 'FILE');
  }
  return 'no mistake';
}

/** A small valid matrix; lines given replace those with the same key. */
export function matrixText(lines: Readonly<Record<string, string>> = {}): string {
  const all = {
    matrix: 'small',
    models: '[{name: m, source: "synthetic:bench-tiny"}]',
    formats: '[gguf-f16, gguf-q4_k_m]',
    devices: '[host-cpu]',
    workloads: '[{name: w, prompt_tokens: 8, generated_tokens: 4}]',
    ...lines,
  };
  return Object.entries(all)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('');
}
