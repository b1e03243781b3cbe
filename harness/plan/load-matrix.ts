import {createHash} from 'node:crypto';
import {readFile, stat} from 'node:fs/promises';
import {dirname, resolve} from 'node:path';
import {type Document, LineCounter, parseDocument, visit, type YAMLError} from 'yaml';
import {BenchError, type BenchErrorCode} from '../contract/errors.ts';
import {type Matrix, MatrixSchema} from '../contract/matrix.ts';
import {byPlace, explainIssues} from './explain-issue.ts';
import {matrixMistakes} from './matrix-mistakes.ts';
import {Places, pathText} from './place.ts';
import {type PromptsFile, readPromptsFile} from './prompts-file.ts';

export interface LoadedMatrix {
  readonly matrix: Matrix;
  /** The path as it was given, for messages. */
  readonly file: string;
  readonly text: string;
  readonly sha256: string;
  /** Folder of the file, absolute. */
  readonly dir: string;
  /** By the name the matrix gives them. */
  readonly prompts: ReadonlyMap<string, PromptsFile>;
  readonly places: Places;
}

const MOST_BYTES = 1024 * 1024;
/** A file of aliases of aliases grows exponentially; no matrix needs more than a few. */
const MOST_ALIASES = 100;
const MOST_LINES = 10;
const TOO_DEEP = 'nested too deeply to be a matrix file';

/**
 * Reads and checks a matrix file. Nothing in it is executed; tags are refused.
 *
 * @throws {BenchError} FILE_UNREADABLE; MATRIX_INVALID with one line per mistake, each with file, line and column.
 */
export async function loadMatrix(path: string): Promise<LoadedMatrix> {
  const text = await readText(path);
  const lines = new LineCounter();
  const document = parse(text, path, lines);
  const places = new Places(path, document, lines);
  const broken = [...document.errors, ...document.warnings];
  if (broken.some((error) => error.code === 'RESOURCE_EXHAUSTION')) throw invalid([`${path}:1:1: ${TOO_DEEP}`]);
  if (broken.length > 0) throw invalid(broken.map((error) => `${places.at(error.pos[0])}: ${yamlText(error, text)}`));
  const data = toData(document, path, places);
  const parsed = MatrixSchema.safeParse(data);
  if (!parsed.success) throw invalid(explainIssues(parsed.error.issues, {schema: MatrixSchema, data, places}));
  const matrix = parsed.data;
  const dir = dirname(resolve(path));
  const prompts = new Map<string, PromptsFile>();
  const mistakes = matrixMistakes(matrix);
  for (const [index, workload] of matrix.workloads.entries()) {
    if (workload.prompts === undefined || prompts.has(workload.prompts)) continue;
    const read = await readPromptsFile(resolve(dir, workload.prompts), workload.prompts);
    if ('problem' in read) mistakes.push({path: ['workloads', index, 'prompts'], text: read.problem});
    else prompts.set(workload.prompts, read);
  }
  if (mistakes.length > 0) throw mistaken(places, mistakes);
  return {matrix, file: path, text, sha256: createHash('sha256').update(text).digest('hex'), dir, prompts, places};
}

/** One error of many mistakes: each its own line, the first ten. */
export function mistaken(
  places: Places,
  mistakes: readonly {readonly path: readonly PropertyKey[]; readonly text: string}[],
): BenchError {
  return invalid(
    mistakes
      .map(({path, text}) => `${places.of(path)}: ${path.length === 0 ? '' : `${pathText(path)}: `}${text}`)
      .sort(byPlace),
  );
}

function failure(code: BenchErrorCode, message: string, cause: unknown): BenchError {
  return new BenchError(code, message, {cause});
}

function invalid(lines: readonly string[]): BenchError {
  const shown = lines.slice(0, MOST_LINES);
  const rest = lines.length - shown.length;
  if (rest > 0) shown.push(`… and ${rest} more`);
  return new BenchError('MATRIX_INVALID', shown.join('\n'));
}

async function readText(path: string): Promise<string> {
  try {
    const facts = await stat(path);
    if (facts.isDirectory()) throw new BenchError('FILE_UNREADABLE', `${path}: is a folder, not a matrix file`);
    if (facts.size > MOST_BYTES) {
      throw new BenchError(
        'MATRIX_INVALID',
        `${path}: is larger than ${MOST_BYTES / 1024} KiB: this is no matrix file`,
      );
    }
    return new TextDecoder('utf-8', {fatal: true}).decode(await readFile(path));
  } catch (error) {
    if (error instanceof BenchError) throw error;
    if (error instanceof TypeError) throw failure('MATRIX_INVALID', `${path}: is no UTF-8 text`, error);
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    const text = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
    throw failure('FILE_UNREADABLE', `${path}: ${text}`, error);
  }
}

function parse(text: string, path: string, lineCounter: LineCounter): Document {
  try {
    return parseDocument(text, {lineCounter, prettyErrors: false, version: '1.2', schema: 'core', merge: false});
  } catch (error) {
    // The parser is recursive: thousands of brackets end its stack.
    throw failure('MATRIX_INVALID', `${path}:1:1: ${TOO_DEEP}`, error);
  }
}

function yamlText(error: YAMLError, text: string): string {
  const at = text.slice(error.pos[0]).split('\n', 1)[0]?.trim().slice(0, 40) ?? '';
  if (error.code === 'DUPLICATE_KEY') return `${at.split(':', 1)[0] ?? at}: this key appears twice`;
  // What stands there is a word on a line of its own, where a key with its value is due.
  if (error.code === 'MULTILINE_IMPLICIT_KEY') return `${at}: the colon after this key is missing`;
  if (error.code === 'TAB_AS_INDENT') return 'a tab: indent with blanks';
  if (error.code === 'TAG_RESOLVE_FAILED') return `${at}: tags are not allowed in a matrix file`;
  if (error.code === 'MULTIPLE_DOCS') return 'a matrix file holds one YAML document, this one holds several';
  return error.message.split('\n', 1)[0] ?? error.code;
}

function toData(document: Document, path: string, places: Places): unknown {
  const tagged: number[] = [];
  visit(document, {
    // A tag is only set where one is written. `!!set` and the like resolve without a warning; a matrix needs none.
    Node(_key, node) {
      if (node.tag !== undefined) tagged.push(node.range?.[0] ?? 0);
    },
  });
  if (tagged.length > 0) {
    throw invalid(tagged.map((offset) => `${places.at(offset)}: tags are not allowed in a matrix file`));
  }
  if (document.contents === null) throw invalid([`${path}:1:1: the file is empty`]);
  try {
    const data: unknown = document.toJS({maxAliasCount: MOST_ALIASES});
    // Throws for a list that holds itself through an alias.
    JSON.stringify(data);
    return data;
  } catch (error) {
    const reason =
      error instanceof TypeError
        ? 'an alias stands inside its own anchor'
        : aliasReason(error instanceof Error ? error.message : '');
    throw failure('MATRIX_INVALID', `${path}:1:1: ${reason}`, error);
  }
}

function aliasReason(message: string): string {
  return message.startsWith('Excessive') ? `more than ${MOST_ALIASES} aliases` : message;
}
