import type {DeviceEntry} from '../contract/device.ts';
import type {Need} from '../contract/need.ts';
import {usdFor} from '../derive/cost.ts';
import {type MachineOffer, usdPerBusyHour} from './offer.ts';
import {cellName, type DecisionRow, type Screened} from './screen.ts';

/** What a device that was not measured cannot exceed: never a measurement, and never ranked. */
export interface Ceiling {
  readonly name: string;
  readonly device: string;
  /** The cell that waits. */
  readonly row: DecisionRow;
  /** Decoded tokens a second at the full bandwidth of the data sheet. */
  readonly tokensPerS: number;
  /** Cost cannot be below this; null without a price. */
  readonly usdPer1mTokensAtLeast: number | null;
  /** A request cannot be answered in less, ms: its tokens at that speed. */
  readonly latencyMsAtLeast: number | null;
  /** Whether that already breaks the bound of the need. */
  readonly impossible: boolean;
}

/**
 * Roofline ceilings of cells that wait for their device: data-sheet bandwidth ÷ the bytes that a decode step was measured
 * to read for the same model and format elsewhere. Prefill, overhead and everything else come on top.
 */
export function ceilings(
  {waiting, bytesPerToken, models}: Screened,
  need: Need,
  devices: readonly DeviceEntry[],
  offers: ReadonlyMap<string, readonly MachineOffer[]>,
): Ceiling[] {
  const found = new Map<string, Ceiling>();
  for (const row of waiting) {
    const bandwidth = devices.find(({name}) => name === row.device)?.memory_bandwidth_bytes_per_s ?? null;
    const bytes = bytesPerToken.get(`${row.model} ${row.format}`) ?? null;
    if (bandwidth === null || bytes === null) continue;
    const tokensPerS = (bandwidth / bytes) * (row.batch ?? 1);
    const hours = (offers.get(row.device ?? '') ?? []).flatMap((offer) => usdPerBusyHour(offer) ?? []);
    const latencyMs = row.generated_tokens === null ? null : ((row.generated_tokens - 1) * bytes * 1000) / bandwidth;
    const name = `${cellName(row, models.length)} on ${row.device ?? ''}`;
    found.set(name, {
      name,
      device: row.device ?? '',
      row,
      tokensPerS,
      usdPer1mTokensAtLeast:
        hours.length === 0 ? null : usdFor(1e6, tokensPerS, {usdPerHour: Math.min(...hours), date: ''}),
      latencyMsAtLeast: latencyMs,
      impossible: latencyMs !== null && need.p90_ms !== undefined && latencyMs > need.p90_ms,
    });
  }
  return [...found.values()].sort((a, b) => b.tokensPerS - a.tokensPerS || (a.name < b.name ? -1 : 1));
}
