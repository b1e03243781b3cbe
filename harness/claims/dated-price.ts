import type {ClaimReading} from '../contract/claim.ts';
import type {ApiPrice} from '../contract/prices.ts';
import {usdFor} from '../derive/cost.ts';
import type {MeasuredCell} from './measured-cell.ts';

/** Tokens of one request. */
export interface RequestTokens {
  readonly prompt: number;
  readonly generated: number;
}

/** What a thousand such requests cost at a list price. */
export function usdAtList(price: ApiPrice, {prompt, generated}: RequestTokens): number {
  return (prompt * price.usd_per_1m_input_tokens + generated * price.usd_per_1m_output_tokens) / 1000;
}

export function tokensOf({row}: MeasuredCell): RequestTokens | null {
  const {prompt_tokens: prompt, generated_tokens: generated} = row;
  return prompt === null || generated === null ? null : {prompt, generated};
}

/**
 * The cell as it would have been priced at the offer that a reading names: its own rate of requests, that price of an
 * hour. A cell on a device that the offer is not about keeps the price that its row carries.
 */
export function atRent(cell: MeasuredCell, {rent}: ClaimReading): MeasuredCell {
  const {row} = cell;
  if (rent === undefined || row.device === null || !rent.devices.includes(row.device)) return cell;
  const price = {usdPerHour: rent.usd_per_hour, date: rent.date};
  return {
    ...cell,
    row: {
      ...row,
      price_usd_per_hour: price.usdPerHour,
      price_date: price.date,
      usd_per_1k_requests: usdFor(1000, row.requests_per_s, price),
      usd_per_1m_output_tokens: usdFor(1e6, row.output_tokens_per_s, price),
    },
  };
}

export function listPriceText({name, title, date}: ApiPrice): string {
  return `${title ?? name}, list price of ${date}`;
}

/** What the device of a cell is paid, with the day of that price; empty where it has none. */
export function rentText({row}: MeasuredCell): string {
  return row.price_usd_per_hour === null ? '' : ` at ${row.price_usd_per_hour} USD/h of ${row.price_date ?? 'no date'}`;
}
