import {
  type ClaimReading,
  type ClaimsFile,
  ClaimsFileSchema,
  type WrittenClaims,
  type WrittenReading,
} from '../contract/claim.ts';
import type {PricesFile} from '../contract/prices.ts';
import {didYouMean} from '../plan/nearest.ts';
import {mistakes, parseYaml} from './parse-yaml.ts';

interface Mistake {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/**
 * Reads a claims file, and puts the prices in that its readings name. Nothing in it is executed; unknown tags are refused.
 *
 * @param file The path as it was given, for messages.
 * @throws {BenchError} CLAIMS_INVALID with one line per mistake, each with file, line and column.
 */
export function parseClaims(text: string, file: string, prices: PricesFile): ClaimsFile {
  const {value, places} = parseYaml(text, file, ClaimsFileSchema, 'CLAIMS_INVALID', {merge: true});
  const wrong = [...duplicates(value), ...unknownPrices(value, prices)];
  if (wrong.length > 0) {
    throw mistakes(
      'CLAIMS_INVALID',
      wrong.map(({path, message}) => `${places.of(path)}: ${message}`),
    );
  }
  return {
    ...value,
    sentences: value.sentences.map((claim) => ({
      ...claim,
      readings: claim.readings.map((reading) => priced(reading, prices)),
    })),
  };
}

function duplicates(claims: WrittenClaims): Mistake[] {
  const found: Mistake[] = [];
  const twice = (id: string, path: readonly (string | number)[]): Mistake => ({
    path,
    message: `"${id}" is the id of another one, too`,
  });
  const sentences = new Set<string>();
  for (const [index, {id, readings}] of claims.sentences.entries()) {
    if (sentences.has(id)) found.push(twice(id, ['sentences', index, 'id']));
    sentences.add(id);
    const known = new Set<string>();
    for (const [at, reading] of readings.entries()) {
      if (known.has(reading.id)) found.push(twice(reading.id, ['sentences', index, 'readings', at, 'id']));
      known.add(reading.id);
    }
  }
  return found;
}

/** Where prices.yaml keeps what each key of a reading names. */
const LISTS = {
  rent: ({rentals}: PricesFile) => rentals,
  price: ({apis, past_apis}: PricesFile) => [...apis, ...past_apis],
  against_price: ({apis, past_apis}: PricesFile) => [...apis, ...past_apis],
} as const;
const PRICE_KEYS = ['rent', 'price', 'against_price'] as const;

function unknownPrices(claims: WrittenClaims, prices: PricesFile): Mistake[] {
  return claims.sentences.flatMap(({readings}, index) =>
    readings.flatMap((reading, at) =>
      PRICE_KEYS.flatMap((key): Mistake[] => {
        const wanted = reading[key];
        const names = LISTS[key](prices).map(({name}) => name);
        if (wanted === undefined || names.includes(wanted)) return [];
        const kind = key === 'rent' ? 'rental' : 'API';
        return [
          {
            path: ['sentences', index, 'readings', at, key],
            message: `${key}: "${wanted}" is no ${kind} of the price list${didYouMean(wanted, names)}`,
          },
        ];
      }),
    ),
  );
}

function priced({rent, price, against_price, ...reading}: WrittenReading, prices: PricesFile): ClaimReading {
  const api = (name: string | undefined) => LISTS.price(prices).find((one) => one.name === name);
  return {
    ...reading,
    rent: LISTS.rent(prices).find(({name}) => name === rent),
    price: api(price),
    against_price: api(against_price),
  };
}
