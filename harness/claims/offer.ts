import {HOURS_PER_MONTH} from '../contract/need.ts';
import type {ApiPrice, Owned, PricesFile, Rental} from '../contract/prices.ts';
import type {DevicePrice} from '../derive/cost.ts';

/** One way to pay for a device. */
export type MachineOffer = ({readonly kind: 'rental'} & Rental) | ({readonly kind: 'owned'} & Owned);
export type Offer = MachineOffer | ({readonly kind: 'api'} & ApiPrice);

/** Offers of machines by device, in the order of the file. */
export function offersByDevice(prices: PricesFile): Map<string, MachineOffer[]> {
  const offers: MachineOffer[] = [
    ...prices.rentals.map((rental) => ({kind: 'rental', ...rental}) as const),
    ...prices.owned.map((owned) => ({kind: 'owned', ...owned}) as const),
  ];
  const byDevice = new Map<string, MachineOffer[]>();
  for (const offer of offers) {
    for (const device of offer.devices) byDevice.set(device, [...(byDevice.get(device) ?? []), offer]);
  }
  return byDevice;
}

/** What an owned machine loses an hour, used or not; null where its purchase is not known. */
export function depreciationUsdPerHour({purchase_usd, residual_usd, years}: Owned): number | null {
  return purchase_usd === null ? null : Math.max(0, purchase_usd - residual_usd) / (years * 12 * HOURS_PER_MONTH);
}

/** An hour of one busy device; null where it cannot be said. */
export function usdPerBusyHour(offer: MachineOffer): number | null {
  if (offer.kind === 'rental') return offer.usd_per_hour;
  const depreciation = depreciationUsdPerHour(offer);
  return depreciation === null ? null : depreciation + (offer.busy_w / 1000) * offer.usd_per_kwh;
}

/** The price that stands in the columns of results.csv: of several offers for a device, the lowest. */
export function devicePrices(prices: PricesFile): Map<string, DevicePrice> {
  const found = new Map<string, DevicePrice>();
  for (const [device, offers] of offersByDevice(prices)) {
    for (const offer of offers) {
      const usdPerHour = usdPerBusyHour(offer);
      const known = found.get(device);
      if (usdPerHour !== null && (known === undefined || usdPerHour < known.usdPerHour)) {
        found.set(device, {usdPerHour, date: offer.date});
      }
    }
  }
  return found;
}
