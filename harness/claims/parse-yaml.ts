import {LineCounter, parseDocument} from 'yaml';
import type {z} from 'zod';
import {BenchError, type BenchErrorCode} from '../contract/errors.ts';
import {explainIssues} from '../plan/explain-issue.ts';
import {Places} from '../plan/place.ts';

const MOST_BYTES = 1024 * 1024;
/** A file of aliases of aliases grows exponentially. */
const MOST_ALIASES = 100;
const MOST_LINES = 10;

export interface ParsedYaml<Value> {
  readonly value: Value;
  readonly places: Places;
}

/**
 * Reads a small YAML file of a known shape. Nothing in it is executed; unknown tags are refused.
 *
 * @param file The path as it was given, for messages.
 * @param code Of the error: one line per mistake, each with file, line and column.
 * @param merge Whether `<<: *anchor` puts the keys of another map in.
 * @throws {BenchError}
 */
export function parseYaml<Schema extends z.ZodType>(
  text: string,
  file: string,
  schema: Schema,
  code: BenchErrorCode,
  {merge = false}: {readonly merge?: boolean} = {},
): ParsedYaml<z.output<Schema>> {
  if (text.length > MOST_BYTES) throw mistakes(code, [`${file}:1:1: larger than 1 MiB: this is no such file`]);
  const lines = new LineCounter();
  const document = parseDocument(text, {lineCounter: lines, uniqueKeys: true, merge});
  const places = new Places(file, document, lines);
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) {
    throw mistakes(
      code,
      broken.map((error) => `${places.at(error.pos[0])}: ${error.message.split('\n')[0] ?? ''}`),
    );
  }
  let data: unknown;
  try {
    data = document.toJS({maxAliasCount: MOST_ALIASES});
  } catch (cause) {
    throw mistakes(code, [`${file}:1:1: ${cause instanceof Error ? cause.message : String(cause)}`], cause);
  }
  const parsed = schema.safeParse(data);
  if (!parsed.success) throw mistakes(code, explainIssues(parsed.error.issues, {schema, data, places}));
  return {value: parsed.data, places};
}

/** Several mistakes of one file as one error, the first ones only. */
export function mistakes(code: BenchErrorCode, lines: readonly string[], cause?: unknown): BenchError {
  const more = lines.length > MOST_LINES ? [`… and ${lines.length - MOST_LINES} more`] : [];
  return new BenchError(code, [...lines.slice(0, MOST_LINES), ...more].join('\n'), {cause});
}
