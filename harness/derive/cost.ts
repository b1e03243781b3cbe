/** Price of a device from prices.yaml. */
export interface DevicePrice {
  readonly usdPerHour: number;
  /** Day on which the price was read, yyyy-mm-dd. */
  readonly date: string;
}

/** US dollars for `amount` of what comes at `perS` a second: price ÷ (rate × 3600) × amount. Idle time is not in it. */
export function usdFor(amount: number, perS: number | null, price: DevicePrice | null): number | null {
  return perS === null || perS <= 0 || price === null ? null : (price.usdPerHour / (perS * 3600)) * amount;
}
