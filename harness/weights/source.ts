import {resolve} from 'node:path';
import {BenchError} from '../contract/errors.ts';

/** Where a model comes from, taken apart. */
export type ModelSource =
  | {readonly kind: 'synthetic'; readonly architecture: string}
  /** Absolute: a GGUF file, or a folder in Hugging Face layout. */
  | {readonly kind: 'file'; readonly path: string}
  | {
      readonly kind: 'hf';
      /** `org/name`. */
      readonly repo: string;
      /** Path of one file inside the repository; null means its safetensors. */
      readonly file: string | null;
      /** Branch, tag or commit; null means the default branch. */
      readonly revision: string | null;
    };

export interface SourceContext {
  readonly architectures: readonly string[];
  /** A relative `file:` is taken from here: the folder of the matrix file, or the working directory. */
  readonly baseDir: string;
}

/** What the hub allows in an owner or repository name; a leading dot would also hide the folder made from it. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$/;
/** One part of a path inside a repository: not hidden (so neither `.` nor `..`), no separators, no control characters. */
const PART = /^(?!\.)[A-Za-z0-9._+ ()=,-]{1,255}$/;
const REVISION = /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$/;

function invalid(text: string, reason: string): BenchError {
  return new BenchError('MODEL_SOURCE_INVALID', `model source '${text}': ${reason}`);
}

/**
 * @param text `synthetic:<architecture>`, `file:<path>` or `hf:<org>/<repo>[/<file>][@<revision>]`.
 * @throws {BenchError} MODEL_SOURCE_INVALID with the nearest architecture name; UNSUPPORTED for `server:<name>`.
 */
export function parseSource(text: string, {architectures, baseDir}: SourceContext): ModelSource {
  const colon = text.indexOf(':');
  const scheme = colon < 0 ? '' : text.slice(0, colon);
  const rest = text.slice(colon + 1);
  switch (scheme) {
    case 'synthetic': {
      if (architectures.includes(rest)) return {kind: 'synthetic', architecture: rest};
      const near = nearest(rest, architectures);
      const help = near === null ? `known are ${architectures.join(', ')}` : `did you mean '${near}'?`;
      throw invalid(text, rest === '' ? `names no architecture; ${help}` : `no architecture named '${rest}'; ${help}`);
    }
    case 'file':
      if (rest === '') throw invalid(text, 'names no path');
      if (rest.includes('\0')) throw invalid(text, 'the path holds a NUL character');
      return {kind: 'file', path: resolve(baseDir, rest.startsWith('//') ? rest.slice(2) : rest)};
    case 'hf':
      return parseHub(text, rest);
    case 'server':
      throw new BenchError('UNSUPPORTED', `model source '${text}': only a server has it, and this runner reads files`);
    default:
      throw invalid(text, 'starts neither with synthetic: nor file: nor hf:');
  }
}

function parseHub(text: string, rest: string): ModelSource {
  const at = rest.indexOf('@');
  const path = at < 0 ? rest : rest.slice(0, at);
  const revision = at < 0 ? null : rest.slice(at + 1);
  const [owner = '', name = '', ...file] = path.split('/');
  if (!(NAME.test(owner) && NAME.test(name))) throw invalid(text, 'needs hf:<org>/<repo> with plain names');
  if (!file.every((part) => PART.test(part))) {
    throw invalid(text, `'${file.join('/')}' is no plain path inside a repository`);
  }
  if (revision !== null && !REVISION.test(revision)) throw invalid(text, `'${revision}' is no branch, tag or commit`);
  return {kind: 'hf', repo: `${owner}/${name}`, file: file.length === 0 ? null : file.join('/'), revision};
}

/** The source as text again, in one canonical spelling. */
export function formatSource(source: ModelSource): string {
  switch (source.kind) {
    case 'synthetic':
      return `synthetic:${source.architecture}`;
    case 'file':
      return `file:${source.path}`;
    case 'hf': {
      const file = source.file === null ? '' : `/${source.file}`;
      return `hf:${source.repo}${file}${source.revision === null ? '' : `@${source.revision}`}`;
    }
  }
}

/** The nearest name by edit distance; null when nothing is near (more than half of the letters differ). */
export function nearest(word: string, names: readonly string[]): string | null {
  // A long word is hostile or pasted by mistake; the distance is quadratic.
  if (word.length > 100) return null;
  let best: string | null = null;
  let bestDistance = Math.max(2, Math.floor(word.length / 2)) + 1;
  for (const name of names) {
    const distance = editDistance(word.toLowerCase(), name.toLowerCase());
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({length: b.length + 1}, (_, index) => index);
  for (let i = 0; i < a.length; i++) {
    const current = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const substitute = (previous[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      current.push(Math.min(substitute, (previous[j + 1] ?? 0) + 1, (current[j] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
