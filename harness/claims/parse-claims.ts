import {LineCounter, parseDocument} from 'yaml';
import {type ClaimsFile, ClaimsFileSchema} from '../contract/claim.ts';
import {BenchError} from '../contract/errors.ts';
import {explainIssues} from '../plan/explain-issue.ts';
import {Places} from '../plan/place.ts';

const MOST_BYTES = 1024 * 1024;
/** A file of aliases of aliases grows exponentially; no claims file needs more than a few. */
const MOST_ALIASES = 100;
const MOST_LINES = 10;

/**
 * Reads a claims file. Nothing in it is executed; unknown tags are refused.
 *
 * @param file The path as it was given, for messages.
 * @throws {BenchError} CLAIMS_INVALID with one line per mistake, each with file, line and column.
 */
export function parseClaims(text: string, file: string): ClaimsFile {
  if (text.length > MOST_BYTES) throw invalid([`${file}:1:1: larger than 1 MiB: this is no claims file`]);
  const lines = new LineCounter();
  const document = parseDocument(text, {lineCounter: lines, uniqueKeys: true, merge: true});
  const places = new Places(file, document, lines);
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) {
    throw invalid(broken.map((error) => `${places.at(error.pos[0])}: ${error.message.split('\n')[0] ?? ''}`));
  }
  let data: unknown;
  try {
    data = document.toJS({maxAliasCount: MOST_ALIASES});
  } catch (cause) {
    throw invalid([`${file}:1:1: ${cause instanceof Error ? cause.message : String(cause)}`], cause);
  }
  const parsed = ClaimsFileSchema.safeParse(data);
  if (!parsed.success) throw invalid(explainIssues(parsed.error.issues, {schema: ClaimsFileSchema, data, places}));
  const twice = duplicates(parsed.data);
  if (twice.length > 0) {
    throw invalid(twice.map(({path, id}) => `${places.of(path)}: "${id}" is the id of another one, too`));
  }
  return parsed.data;
}

function duplicates(claims: ClaimsFile): {path: (string | number)[]; id: string}[] {
  const found: {path: (string | number)[]; id: string}[] = [];
  const sentences = new Set<string>();
  for (const [index, {id, readings}] of claims.sentences.entries()) {
    if (sentences.has(id)) found.push({path: ['sentences', index, 'id'], id});
    sentences.add(id);
    const known = new Set<string>();
    for (const [at, reading] of readings.entries()) {
      if (known.has(reading.id)) found.push({path: ['sentences', index, 'readings', at, 'id'], id: reading.id});
      known.add(reading.id);
    }
  }
  return found;
}

function invalid(lines: readonly string[], cause?: unknown): BenchError {
  const more = lines.length > MOST_LINES ? [`… and ${lines.length - MOST_LINES} more`] : [];
  return new BenchError('CLAIMS_INVALID', [...lines.slice(0, MOST_LINES), ...more].join('\n'), {cause});
}
