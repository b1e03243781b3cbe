import {readFile} from 'node:fs/promises';
import {parseNeed} from '../claims/parse-need.ts';
import {BenchError} from '../contract/errors.ts';
import {type Need, NeedSchema} from '../contract/need.ts';

/** The options of `bench decide` that say what is needed, as commander hands them over. */
export interface NeedOptions {
  readonly need?: string;
  readonly model?: readonly string[];
  readonly workload?: string;
  readonly devices?: readonly string[];
  readonly offers?: readonly string[];
  readonly p90Ms?: number;
  readonly ttftMs?: number;
  readonly minQuality?: number;
  readonly requestsPerHour?: number;
  readonly concurrency?: number;
  readonly memory?: number;
  readonly budgetUsdPerMonth?: number;
  readonly hoursPerMonth?: number;
}

/**
 * The need of a file, of options, or of a file that options change.
 *
 * @throws {BenchError} NEED_INVALID, FILE_UNREADABLE
 */
export async function readNeed(options: NeedOptions): Promise<Need> {
  const given = {
    model: options.model,
    workload: options.workload,
    devices: options.devices,
    offers: options.offers,
    p90_ms: options.p90Ms,
    ttft_ms: options.ttftMs,
    min_quality: options.minQuality,
    requests_per_hour: options.requestsPerHour,
    concurrency: options.concurrency,
    memory_bytes: options.memory,
    budget_usd_per_month: options.budgetUsdPerMonth,
    hours_per_month: options.hoursPerMonth,
  };
  const over = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const base = options.need === undefined ? {need: 'options'} : await fromFile(options.need);
  const parsed = NeedSchema.safeParse({...base, ...over});
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new BenchError('NEED_INVALID', `${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? 'not valid'}`);
}

async function fromFile(path: string): Promise<Need> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new BenchError('FILE_UNREADABLE', `${path}: cannot be read`, {cause});
  });
  return parseNeed(text, path);
}
