import {readFile} from 'node:fs/promises';
import {parse} from 'yaml';
import {PricesFileSchema} from '../contract/prices.ts';

/** What an hour of a device costs at the cheapest and the dearest offer, whole machines where only those are rented. */
export interface HourlyPrice {
  readonly lowUsd: number;
  readonly highUsd: number;
}

/** By device; empty without a prices file. One that is broken is told by the commands that compute with it. */
export async function rentalPrices(path: string): Promise<ReadonlyMap<string, HourlyPrice>> {
  const prices = new Map<string, HourlyPrice>();
  const text = await readFile(path, 'utf8').catch(() => '');
  const parsed = PricesFileSchema.safeParse(text === '' ? null : parse(text));
  for (const {devices, usd_per_hour, devices_per_machine} of parsed.data?.rentals ?? []) {
    const usd = usd_per_hour * devices_per_machine;
    for (const device of devices) {
      const known = prices.get(device);
      prices.set(device, {lowUsd: Math.min(known?.lowUsd ?? usd, usd), highUsd: Math.max(known?.highUsd ?? usd, usd)});
    }
  }
  return prices;
}
