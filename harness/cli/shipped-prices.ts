import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {devicePrices} from '../claims/offer.ts';
import {parsePrices} from '../claims/parse-prices.ts';
import {BenchError} from '../contract/errors.ts';
import type {PricesFile} from '../contract/prices.ts';
import type {DevicePrice} from '../derive/cost.ts';
import {PACKAGE_ROOT} from './package-root.ts';

export const PRICES_PATH = join(PACKAGE_ROOT, 'matrices', 'prices.yaml');

let shipped: PricesFile | null = null;

/**
 * matrices/prices.yaml, read once: rows are derived again after every round.
 *
 * @throws {BenchError} PRICES_INVALID, FILE_UNREADABLE
 */
export function shippedPrices(): PricesFile {
  shipped ??= readPrices(PRICES_PATH);
  return shipped;
}

let byDevice: ReadonlyMap<string, DevicePrice> | null = null;

/** What stands in the cost columns, by device. @throws as {@link shippedPrices}. */
export function shippedDevicePrices(): ReadonlyMap<string, DevicePrice> {
  byDevice ??= devicePrices(shippedPrices());
  return byDevice;
}

/** @throws {BenchError} PRICES_INVALID, FILE_UNREADABLE */
export function readPrices(path: string): PricesFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    // biome-ignore lint/style/useErrorCause: the cause is the third argument of BenchError.
    throw new BenchError('FILE_UNREADABLE', `${path}: cannot be read`, {cause});
  }
  return parsePrices(text, path);
}
