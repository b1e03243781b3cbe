import {type Need, NeedSchema} from '../contract/need.ts';
import {parseYaml} from './parse-yaml.ts';

/**
 * Reads a file of matrices/needs/.
 *
 * @throws {BenchError} NEED_INVALID with one line per mistake, each with file, line and column.
 */
export function parseNeed(text: string, file: string): Need {
  return parseYaml(text, file, NeedSchema, 'NEED_INVALID').value;
}
