import {readFile} from 'node:fs/promises';
import {type Document, isNode, LineCounter, parseDocument} from 'yaml';
import {z} from 'zod';
import {type DeviceEntry, DeviceEntrySchema} from '../contract/device.ts';
import {BenchError} from '../contract/errors.ts';

const CatalogueSchema = z.strictObject({devices: z.array(DeviceEntrySchema)});

/**
 * Reads devices.yaml.
 *
 * @throws {BenchError} FILE_UNREADABLE, or CATALOG_INVALID with file, line and key.
 */
export async function loadCatalogue(path: string): Promise<DeviceEntry[]> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new BenchError('FILE_UNREADABLE', `${path}: cannot be read`, {cause});
  });
  return parseCatalogue(text, path);
}

/** @throws {BenchError} CATALOG_INVALID */
export function parseCatalogue(text: string, path: string): DeviceEntry[] {
  const lines = new LineCounter();
  const document = parseDocument(text, {lineCounter: lines});
  const fail = (offset: number, message: string): never => {
    throw new BenchError('CATALOG_INVALID', `${path}:${lines.linePos(offset).line || 1}: ${message}`);
  };
  const syntax = document.errors[0];
  if (syntax !== undefined) return fail(syntax.pos[0], syntax.message.split('\n')[0] ?? syntax.code);
  const parsed = CatalogueSchema.safeParse(toJs(document, fail));
  if (!parsed.success) {
    const {path: keys, message} = worst(parsed.error);
    return fail(offsetOf(document, keys), `${keys.join('.') || 'file'}: ${message}`);
  }
  const {devices} = parsed.data;
  for (const [index, {name}] of devices.entries()) {
    if (devices.findIndex((other) => other.name === name) < index) {
      fail(offsetOf(document, ['devices', index, 'name']), `devices.${index}.name: ${name} appears twice`);
    }
  }
  return devices;
}

/** A mistyped key shows as one key too many and one too few: the former says more. */
function worst({issues}: z.ZodError): {readonly path: readonly (string | number)[]; readonly message: string} {
  const unknown = issues.find(({code}) => code === 'unrecognized_keys');
  const issue = unknown ?? issues[0];
  const path = issue?.path.map((key) => (typeof key === 'symbol' ? String(key) : key)) ?? [];
  if (unknown?.code !== 'unrecognized_keys') return {path, message: issue?.message ?? 'invalid'};
  const [key = ''] = unknown.keys;
  return {path: [...path, key], message: 'no such key'};
}

/** An alias that refers to itself, or too many aliases, is only found when the document becomes objects. */
function toJs(document: Document, fail: (offset: number, message: string) => never): unknown {
  try {
    return document.toJS({maxAliasCount: 100});
  } catch (cause) {
    return fail(0, cause instanceof Error ? cause.message : String(cause));
  }
}

/** Where the deepest part of a path that exists begins: a key that is missing is told at its parent. */
function offsetOf(document: Document, path: readonly (string | number)[]): number {
  for (let depth = path.length; depth > 0; depth--) {
    const node: unknown = document.getIn(path.slice(0, depth), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}
