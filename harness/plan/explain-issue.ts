import {z} from 'zod';
import {didYouMean} from './nearest.ts';
import {type Places, pathText} from './place.ts';

type Path = readonly PropertyKey[];
type Issue = z.core.$ZodIssue;

export interface ExplainContext {
  readonly schema: z.ZodType;
  /** The value that was checked. */
  readonly data: unknown;
  readonly places: Places;
}

/** What zod found, as lines that a person can act on: `FILE:12:3: formats[1]: "gguf-q4km" is no format; did you mean …`. */
export function explainIssues(issues: readonly Issue[], context: ExplainContext): string[] {
  return issues.flatMap((issue) => explain(issue, [], context)).sort(byPlace);
}

/** `FILE:line:column: …`, as a reader goes through the file. */
export function byPlace(a: string, b: string): number {
  const numbers = (line: string) => /:(\d+):(\d+): /.exec(line)?.slice(1).map(Number) ?? [0, 0];
  const [lineA = 0, columnA = 0] = numbers(a);
  const [lineB = 0, columnB = 0] = numbers(b);
  return lineA - lineB || columnA - columnB;
}

function explain(issue: Issue, base: Path, context: ExplainContext): string[] {
  const path = [...base, ...issue.path];
  const value = valueAt(context.data, path);
  const line = (text: string) => [`${context.places.of(path)}: ${label(path)}${text}`];
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = keysAt(context.schema, path);
      return issue.keys.map(
        (key) =>
          `${context.places.ofKey(path, key)}: ${pathText([...path, key])}: no such key${didYouMean(key, known) || elsewhere(key, path, context) || `; known here: ${known.join(', ')}`}`,
      );
    }
    case 'invalid_value': {
      if (value === undefined) return line(`is missing: give ${oneOf(issue.values)}`);
      const words = issue.values.map(String);
      const near = didYouMean(String(value), words);
      return line(`${show(value)} is no ${noun(path)}${near || `; it is ${oneOf(issue.values)}`}`);
    }
    case 'invalid_type':
      if (value === undefined) return line(`is missing: give ${expectation(issue, keysAt(context.schema, path))}`);
      return line(
        `${value === null ? 'is empty' : `${show(value)} is ${kindOf(value)}`}, but it must be ${expectation(issue, keysAt(context.schema, path))}`,
      );
    case 'too_small':
      if (issue.origin === 'array') return line('is empty: give at least one');
      if (issue.origin === 'string') return line('is empty');
      return line(
        `${show(value)} is too small: it must be ${issue.inclusive === true ? 'at least' : 'above'} ${String(issue.minimum)}`,
      );
    case 'too_big':
      return line(
        `${show(value)} is too large: it must be ${issue.inclusive === true ? 'at most' : 'below'} ${String(issue.maximum)}`,
      );
    case 'invalid_format':
      if (issue.message.startsWith('Invalid')) return line(`${show(value)} will not do: give ${wanted(issue)}`);
      return line(`${show(value)}: ${issue.message}`);
    case 'invalid_union':
      return explainUnion(issue, path, value, context);
    case 'not_multiple_of':
    case 'invalid_key':
    case 'invalid_element':
    case 'custom':
      return line(issue.message);
  }
}

/** Of a union, the option that the value was meant to be speaks; when that cannot be seen, all options are named. */
function explainUnion(
  issue: z.core.$ZodIssueInvalidUnion,
  path: Path,
  value: unknown,
  context: ExplainContext,
): string[] {
  const meant = issue.errors.filter(
    (option) =>
      !option.some(
        (inner) => inner.path.length === 0 && (inner.code === 'invalid_type' || inner.code === 'invalid_value'),
      ),
  );
  const [only] = meant;
  if (meant.length === 1 && only !== undefined && typeof value === 'object') {
    return only.flatMap((inner) => explain(inner, path, context));
  }
  const words = issue.errors
    .flat()
    .flatMap((inner) => (inner.code === 'invalid_value' ? inner.values.map(String) : []));
  const near = typeof value === 'string' ? didYouMean(value, words) : '';
  if (near !== '') return [`${context.places.of(path)}: ${label(path)}${show(value)} will not do${near}`];
  const options = [...new Set(issue.errors.flatMap((option) => option.slice(0, 1).map(wanted)))];
  return [`${context.places.of(path)}: ${label(path)}${show(value)} will not do: give ${options.join(', or ')}`];
}

function wanted(issue: Issue): string {
  if (issue.code === 'invalid_value') return oneOf(issue.values);
  if (issue.code === 'invalid_type') return issue.message.startsWith('Invalid') ? expectation(issue) : issue.message;
  if (issue.code === 'too_small' && issue.origin !== 'string')
    return `a number ${issue.inclusive === true ? 'of at least' : 'above'} ${String(issue.minimum)}`;
  if (issue.code === 'invalid_format') {
    if (!issue.message.startsWith('Invalid')) return issue.message;
    return PATTERN_WORDS[issue.pattern ?? ''] ?? `a text like ${issue.pattern ?? issue.format}`;
  }
  return issue.message;
}

const PATTERN_WORDS: Readonly<Record<string, string>> = {
  '/^[a-z0-9][a-z0-9-]*$/': 'a name of lower-case letters, digits and "-"',
  '/^shared:\\d+$/': 'off, or shared:N with a number of tokens',
};

/** @param keys What a map may hold, where that is known. */
function expectation(issue: z.core.$ZodIssueInvalidType, keys: readonly string[] = []): string {
  const words: Readonly<Record<string, string>> = {
    array: 'a list ([…])',
    object: keys.length === 0 ? 'a map (key: value)' : `a map ({${keys.join(': …, ')}: …})`,
    record: 'a map (key: value)',
    string: 'a text',
    number: 'a number',
    int: 'a whole number',
    boolean: 'true or false',
  };
  return words[issue.expected] ?? issue.expected;
}

function kindOf(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'string') return 'a text';
  if (typeof value === 'boolean') return 'true or false';
  return typeof value === 'number' ? 'a number' : typeof value;
}

/** The value in the message, short: files may hold anything. */
function show(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function oneOf(values: readonly unknown[]): string {
  const words = values.map(String);
  return words.length === 1 ? `${words[0]}` : `one of ${words.join(', ')}`;
}

/** Where a key that is unknown here is at home: `threads` at the top of a file is meant for `settings`. */
function elsewhere(key: string, path: Path, {schema}: ExplainContext): string {
  const sections = keysAt(schema, []);
  if (path.length > 0 && sections.includes(key)) return '; it belongs to the top of the file';
  const home = sections.find(
    (section) => section !== path[0] && [[section], [section, 0]].some((place) => keysAt(schema, place).includes(key)),
  );
  return home === undefined ? '' : `; it belongs into ${home}`;
}

function label(path: Path): string {
  return path.length === 0 ? '' : `${pathText(path)}: `;
}

const NOUNS: Readonly<Record<string, string>> = {
  formats: 'format',
  isa: 'instruction set cap',
  order: 'order',
  kv_type: 'type of the KV cache',
  engine_build: 'build of the engine',
  loop: 'loop',
};

function noun(path: Path): string {
  const name = path.findLast((key) => typeof key === 'string');
  return NOUNS[String(name)] ?? `value for ${String(name)}`;
}

function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Object.entries(value).find(([name]) => name === String(key))?.[1];
  }
  return value;
}

/** The keys that the schema knows at a path, for "did you mean". */
export function keysAt(schema: z.ZodType, path: Path): string[] {
  let options = optionsOf(schema);
  for (const key of path) {
    options = options.flatMap((option) => {
      // The casts: zod's classes type their children as the core type, which is what every schema is made of.
      if (option instanceof z.ZodArray) return optionsOf(option.element as z.ZodType);
      if (option instanceof z.ZodRecord) return optionsOf(option.valueType as z.ZodType);
      if (option instanceof z.ZodObject) {
        const child: unknown = option.shape[String(key)];
        return child instanceof z.ZodType ? optionsOf(child) : [];
      }
      return [];
    });
  }
  return [
    ...new Set(
      options.flatMap((option) => {
        if (option instanceof z.ZodObject) return Object.keys(option.shape);
        if (option instanceof z.ZodRecord && option.keyType instanceof z.ZodEnum)
          return option.keyType.options.map(String);
        return [];
      }),
    ),
  ];
}

function optionsOf(schema: z.ZodType): z.ZodType[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return optionsOf(schema.unwrap() as z.ZodType);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((option) => optionsOf(option as z.ZodType));
  return [schema];
}
