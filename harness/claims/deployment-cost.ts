import {HOURS_PER_MONTH, type Need} from '../contract/need.ts';
import {depreciationUsdPerHour, type MachineOffer, type Offer} from './offer.ts';

/** What a replica can do, as measured. */
export interface ReplicaSpeed {
  readonly requestsPerS: number;
  /** Requests it was measured with at the same time: concurrency × batch. */
  readonly atOnce: number;
  /** Start of the engine to ready for a request; null: not measured, and then not in the cost. */
  readonly loadS: number | null;
}

export interface Deployment {
  readonly replicas: number;
  readonly requestsPerMonth: number;
  readonly usdPerMonth: number;
  /** Share of the paid time in which a replica has no request; null for APIs. */
  readonly idleShare: number | null;
}

/** Rounding noise must not cost a replica: 3 × 0.1 requests of 0.3 are three, not four. */
const ceil = (value: number): number => Math.ceil(value - 1e-9);

/** Seconds that are paid for `seconds` of use. */
export function billedSeconds(offer: MachineOffer, seconds: number): number {
  if (offer.kind === 'owned' || offer.billing === null) return seconds;
  const {minimum_seconds, increment_seconds} = offer.billing;
  return Math.max(minimum_seconds, ceil(seconds / increment_seconds) * increment_seconds);
}

/**
 * Machines that the demand takes, and what they cost a month.
 *
 * Service around the clock or in some hours: every start pays its load time and at least the minimum billing. Batch
 * work: each run starts the machines, loads, works at full speed and stops. An owned machine depreciates all month and
 * draws power while it is on.
 *
 * @returns A text that says why it cannot be done, or cannot be priced.
 */
export function deployMachines(need: Need, speed: ReplicaSpeed, offer: MachineOffer): Deployment | string {
  const loadS = speed.loadS ?? 0;
  const atLeast = ceil(need.concurrency / speed.atOnce);
  let replicas: number;
  let requestsPerMonth: number;
  let sessions: number;
  let sessionS: number;
  if (need.requests_per_run !== undefined) {
    const workS = need.requests_per_run / speed.requestsPerS;
    const limitS = need.finish_within_hours === undefined ? null : need.finish_within_hours * 3600 - loadS;
    if (limitS !== null && limitS <= 0) return `loading alone takes longer than ${need.finish_within_hours} h`;
    replicas = Math.max(1, atLeast, limitS === null ? 1 : ceil(workS / limitS));
    sessions = need.runs_per_month ?? 0;
    requestsPerMonth = need.requests_per_run * sessions;
    sessionS = loadS + workS / replicas;
  } else {
    const capacityPerHour = speed.requestsPerS * 3600 * need.max_utilization;
    replicas = Math.max(1, atLeast, ceil((need.requests_per_hour ?? 0) / capacityPerHour));
    // Without a demand the replicas are taken to be as busy as is planned for.
    requestsPerMonth = (need.requests_per_hour ?? capacityPerHour * replicas) * need.hours_per_month;
    const aroundTheClock = need.hours_per_month >= HOURS_PER_MONTH;
    sessions = need.starts_per_month ?? (aroundTheClock ? 0 : HOURS_PER_MONTH / 24);
    sessionS = sessions === 0 ? need.hours_per_month * 3600 : (need.hours_per_month * 3600) / sessions + loadS;
    sessions = Math.max(1, sessions);
  }
  const paidS = sessions * billedSeconds(offer, sessionS);
  const busyS = Math.min(1, requestsPerMonth / speed.requestsPerS / (paidS * replicas)) * paidS;
  const usdPerDevice = usdPerMonth(offer, paidS, busyS);
  if (usdPerDevice === null)
    return 'its purchase is not in the prices: set purchase_usd (0 when it is already paid for)';
  const machineSize = offer.kind === 'rental' ? offer.devices_per_machine : 1;
  const paidDevices = ceil(replicas / machineSize) * machineSize;
  return {
    replicas,
    requestsPerMonth,
    usdPerMonth: usdPerDevice * paidDevices,
    idleShare: 1 - (busyS * replicas) / (paidS * paidDevices),
  };
}

function usdPerMonth(offer: MachineOffer, paidS: number, busyS: number): number | null {
  if (offer.kind === 'rental') return (paidS / 3600) * offer.usd_per_hour;
  const depreciation = depreciationUsdPerHour(offer);
  if (depreciation === null) return null;
  const kwh = ((busyS / 3600) * offer.busy_w + ((paidS - busyS) / 3600) * offer.idle_w) / 1000;
  return depreciation * HOURS_PER_MONTH + kwh * offer.usd_per_kwh;
}

/** An API is paid by the token and has no machine that idles. */
export function deployApi(
  need: Need,
  offer: Extract<Offer, {kind: 'api'}>,
  tokens: {readonly prompt: number; readonly generated: number},
): Deployment {
  const requestsPerMonth =
    need.requests_per_run === undefined
      ? (need.requests_per_hour ?? 1) * need.hours_per_month
      : need.requests_per_run * (need.runs_per_month ?? 0);
  const usdPerRequest =
    (tokens.prompt * offer.usd_per_1m_input_tokens + tokens.generated * offer.usd_per_1m_output_tokens) / 1e6;
  return {replicas: 0, requestsPerMonth, usdPerMonth: requestsPerMonth * usdPerRequest, idleShare: null};
}
