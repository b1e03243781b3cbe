import {type PricesFile, PricesFileSchema} from '../contract/prices.ts';
import {mistakes, parseYaml} from './parse-yaml.ts';

/**
 * Reads prices.yaml.
 *
 * @throws {BenchError} PRICES_INVALID with one line per mistake, each with file, line and column.
 */
export function parsePrices(text: string, file: string): PricesFile {
  const {value, places} = parseYaml(text, file, PricesFileSchema, 'PRICES_INVALID');
  const known = new Set<string>();
  const twice: string[] = [];
  for (const kind of ['rentals', 'owned', 'apis', 'past_apis'] as const) {
    for (const [index, {name, date}] of value[kind].entries()) {
      if (known.has(name))
        twice.push(`${places.of([kind, index, 'name'])}: "${name}" is the name of another offer, too`);
      known.add(name);
      // The pattern lets 31 February through.
      if (new Date(`${date}T00:00:00Z`).toISOString().slice(0, 10) !== date) {
        twice.push(`${places.of([kind, index, 'date'])}: ${date} is no day of the calendar`);
      }
    }
  }
  if (twice.length > 0) throw mistakes('PRICES_INVALID', twice);
  return value;
}
