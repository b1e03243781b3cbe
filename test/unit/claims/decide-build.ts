import type {RequestFacts} from '../../../harness/claims/candidate.ts';
import {type Decision, decide, factsKey, shortlist} from '../../../harness/claims/decide.ts';
import type {DecisionRow} from '../../../harness/claims/screen.ts';
import type {ResultRow} from '../../../harness/contract/columns.ts';
import type {DeviceEntry} from '../../../harness/contract/device.ts';
import {type Need, NeedSchema} from '../../../harness/contract/need.ts';
import {type PricesFile, PricesFileSchema} from '../../../harness/contract/prices.ts';
import {buildMeasured} from './build.ts';

/** A measured cell: 1 request/s with an answer of 10 tokens, p90 900 ms, unless said otherwise. */
export function decisionRow(over: Partial<ResultRow> = {}): ResultRow {
  return buildMeasured({
    generated_tokens: 10,
    device: 't4',
    gpu_layers: 999,
    requests: 64,
    requests_per_s: 1,
    requests_per_s_ci_low: 1,
    requests_per_s_ci_high: 1,
    latency_ms_p90: 900,
    latency_ms_p90_ci_low: 890,
    latency_ms_p90_ci_high: 910,
    ttft_ms_p90: 100,
    load_ms: 10_000,
    ...over,
  }).row;
}

const AT = {date: '2026-11-01', source: 'a test'};
/** t4 at $0.36, a100 at $3.60, an owned CPU, an API; all round figures. */
export const PRICES: PricesFile = PricesFileSchema.parse({
  currency: 'USD',
  rentals: [
    {name: 'rent-t4', devices: ['t4'], usd_per_hour: 0.36, ...AT},
    {name: 'rent-a100', devices: ['a100'], usd_per_hour: 3.6, ...AT},
  ],
  owned: [
    // 876 USD over a year is 0.1 USD an hour; 100 W at 0.1 USD/kWh is 0.01 USD an hour.
    {
      name: 'own-cpu',
      devices: ['cpu'],
      purchase_usd: 876,
      years: 1,
      busy_w: 100,
      idle_w: 0,
      usd_per_kwh: 0.1,
      ...AT,
    },
  ],
  apis: [{name: 'api', usd_per_1m_input_tokens: 1, usd_per_1m_output_tokens: 10, ...AT}],
});

export function buildNeed(over: Partial<Need> = {}): Need {
  return NeedSchema.parse({need: 'test', ...over});
}

export function decideOn(
  rows: readonly DecisionRow[],
  need: Need,
  {
    prices = {...PRICES, apis: []},
    facts = new Map(),
    devices = [],
  }: {
    readonly prices?: PricesFile;
    readonly facts?: ReadonlyMap<string, RequestFacts>;
    readonly devices?: readonly DeviceEntry[];
  } = {},
): Decision {
  return decide(shortlist({rows, need, prices}), facts, {prices, devices});
}

export function factsFor(row: DecisionRow, met: number, requests: number): [string, RequestFacts] {
  return [factsKey(row), {met, requests, ttftMsP90High: null}];
}
