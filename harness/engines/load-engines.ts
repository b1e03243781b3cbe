import {readFile} from 'node:fs/promises';
import {parseDocument} from 'yaml';
import {type Engines, EnginesSchema} from '../contract/engines.ts';
import {BenchError} from '../contract/errors.ts';
import {diskError} from '../store/disk-error.ts';
import {firstIssue} from '../store/invalid.ts';

/** @throws {BenchError} `FILE_UNREADABLE`; `ENGINES_INVALID` naming the file and the key. */
export async function loadEngines(path: string): Promise<Engines> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw diskError(error, 'read', path);
  });
  const document = parseDocument(text, {schema: 'core', strict: true});
  const [broken] = document.errors;
  if (broken !== undefined) throw new BenchError('ENGINES_INVALID', `${path}: ${broken.message.split('\n')[0] ?? ''}`);
  const data: unknown = document.toJS({maxAliasCount: 100});
  const parsed = EnginesSchema.safeParse(data);
  if (parsed.success) return parsed.data;
  throw new BenchError('ENGINES_INVALID', `${path}: ${firstIssue(parsed.error)}`);
}
