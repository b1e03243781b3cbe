import {formatCaveats} from '../contract/caveats.ts';
import {COLUMN_NAMES, COLUMNS, RESULTS_SCHEMA_VERSION, type ResultRow} from '../contract/columns.ts';
import type {JournalRecord, Manifest} from '../contract/journal.ts';
import type {CellRecord, CellStatus, Round} from '../contract/outcome.ts';
import {SERVER_SOURCE} from '../contract/server.ts';
import {cellRecords} from './cell-records.ts';
import {type DevicePrice, usdFor} from './cost.ts';
import {median} from './quantile.ts';
import {bandwidthRatio, bytesPerStep, rooflineCaveats} from './roofline.ts';
import {hostDrift, rowCaveats} from './row-caveats.ts';
import {isElsewhere, sawOnlyAnswers, toldSetting} from './server-sight.ts';
import {speedFigures} from './speed.ts';
import {meanOf, meanPowerW, medianOf, peak, peakOverBaseline, statsOf} from './telemetry.ts';
import {type RequestTiming, roundTimings} from './timing.ts';
import {wilsonInterval} from './wilson.ts';

/** Read bandwidth as measured on this host: of a CPU, with a number of threads. */
export type Bandwidth = Omit<Extract<JournalRecord, {type: 'bandwidth'}>, 'type' | 'at'>;

/** Prices by device name. */
export type Prices = ReadonlyMap<string, DevicePrice>;

/** Every row of a run, sorted by cell id: what results.csv holds. `cells`: of these records, where they are at hand. */
export function resultRows(
  records: readonly JournalRecord[],
  manifest: Manifest,
  prices?: Prices,
  cells: readonly CellRecord[] = cellRecords(records),
): ResultRow[] {
  const drift = hostDrift(cells);
  const withDrift = drift === null ? manifest : {...manifest, caveats: [...manifest.caveats, drift]};
  const bandwidths = bandwidthsOf(records);
  return cells
    .map((cell) => resultRow(cell, cell.rounds.length > 0 ? withDrift : manifest, bandwidths, prices))
    .sort((a, b) => ((a.cell_id ?? '') < (b.cell_id ?? '') ? -1 : 1));
}

export function bandwidthsOf(records: readonly JournalRecord[]): Bandwidth[] {
  return records.filter((record) => record.type === 'bandwidth');
}

/** One row of results.csv: all that is known of a cell. null = not measured. */
export function resultRow(
  record: CellRecord,
  manifest: Manifest,
  bandwidths: readonly Bandwidth[],
  prices: Prices = new Map(),
): ResultRow {
  const {cell, rounds, weights} = record;
  const ok = rounds.filter(({status}) => status === 'ok');
  const timings = ok.map((round) => roundTimings(round, cell.workload.generatedTokens));
  const requests = timings.flat();
  const {status, reason} = statusOf(record);
  const ran = rounds.length > 0;
  const loaded = rounds.findLast((round) => round.loaded !== null)?.loaded ?? null;
  const ready = rounds.findLast((round) => round.ready !== null)?.ready ?? null;
  const parameters = weights?.parameters ?? loaded?.parameters ?? null;
  const weightsBytes = weights?.weightsBytes ?? loaded?.weightsBytes ?? null;
  const speed = speedFigures(timings, cell.workload.concurrency);
  const price = prices.get(cell.device) ?? null;
  const roofline = rooflineFigures(record, requests, speed.decode_tokens_per_s, bandwidths);
  const {host} = manifest;
  const far = isElsewhere(cell);
  // Rounds whose telemetry is of the device of the cell.
  const there = far ? [] : ok;

  return rounded({
    schema_version: RESULTS_SCHEMA_VERSION,
    run_id: manifest.runId,
    cell_id: cell.id,
    matrix: cell.matrix,
    model: cell.model,
    architecture: weights?.architectureName ?? null,
    parameters,
    weights_source: weights?.sourceText ?? servedSource(record) ?? cell.source,
    weights_sha256: weights?.sha256 ?? null,
    weights_bytes: weightsBytes,
    bits_per_weight:
      weights?.bitsPerWeight ?? (weightsBytes === null || parameters === null ? null : (8 * weightsBytes) / parameters),
    format: cell.format,
    runner: cell.runner.id,
    runner_version: ready?.runnerVersion ?? null,
    engine_build: loaded?.engineBuild ?? null,
    kernel: loaded?.kernel ?? (cell.kernel === 'auto' ? null : cell.kernel),
    dtype: loaded?.dtype ?? null,
    isa: loaded?.isa ?? null,
    device: cell.device,
    device_name: far ? null : (host.devices.find(({name}) => name === cell.device)?.title ?? null),
    host: host.host,
    workload: cell.workload.name,
    prompt_tokens: promptTokens(record, requests),
    generated_tokens: generatedTokens(record, requests),
    batch: cell.workload.batch,
    concurrency: cell.workload.concurrency,
    prefix_cache: cell.workload.prefixCache,
    threads: toldSetting(cell, 'threads', cell.settings.threads),
    gpu_layers: toldSetting(cell, 'gpu_layers', cell.settings.gpuLayers),
    status,
    status_reason: reason === '' ? null : reason,
    caveats: formatCaveats(ran ? [...rowCaveats(record, manifest), ...roofline.caveats] : []) || null,
    rounds: ran ? ok.length : null,
    requests: ran ? requests.length : null,
    ...speed,
    load_ms: sawOnlyAnswers(cell) ? null : loadMs(ok),
    // A cell that died says how much memory it had by then.
    ...memoryFigures(sawOnlyAnswers(cell) ? [] : ok.length > 0 ? ok : rounds),
    ...energyFigures(there, requests),
    sm_clock_hz_median: medianOf(
      statsOf(there, cell.deviceKind === 'cuda' ? 'gpu_sm_clock_hz' : 'cpu_clock_hz', ['measure']),
    ),
    throttled_ratio: meanOf(statsOf(there, 'gpu_throttled_ratio', ['measure'])),
    temperature_c_max: peak(
      statsOf(there, cell.deviceKind === 'cuda' ? 'gpu_temperature_c' : 'cpu_temperature_c', ['measure']),
    ),
    cpu_steal_ratio: meanOf(statsOf(ok, 'cpu_steal_ratio', ['measure'])),
    ...roofline.figures,
    ...qualityFigures(requests, weights?.synthetic ?? false),
    price_usd_per_hour: price?.usdPerHour ?? null,
    price_date: price?.date ?? null,
    usd_per_1m_output_tokens: usdFor(1e6, speed.output_tokens_per_s, price),
    usd_per_1k_requests: usdFor(1000, speed.requests_per_s, price),
    driver: far ? null : host.driver,
    cuda: far ? null : host.cuda,
    os: far ? null : host.os,
    kernel_release: far ? null : host.kernelRelease,
    node: host.node,
    git_commit: manifest.gitCommit,
    matrix_sha256: manifest.matrixSha256,
    started_at: rounds[0]?.startedAt ?? null,
    ended_at: rounds.at(-1)?.endedAt ?? null,
  });
}

/** The first round that did not end well decides; without rounds, the plan does. */
function statusOf({verdict, planReason, refusedAs, rounds}: CellRecord): {status: CellStatus; reason: string} {
  const failed = rounds.find(({status}) => status !== 'ok');
  if (failed !== undefined) return {status: failed.status, reason: failed.reason};
  if (rounds.length > 0) return {status: 'ok', reason: ''};
  if (verdict === 'refused') return {status: refusedAs ?? 'unsupported', reason: planReason};
  return {status: 'waiting', reason: verdict === 'run' ? 'not run yet' : planReason};
}

function promptTokens({cell}: CellRecord, requests: readonly RequestTiming[]): number | null {
  const seen = median(requests.map((request) => request.promptTokens));
  return seen ?? (cell.workload.promptTokens > 0 ? cell.workload.promptTokens : null);
}

/** Answers of a server that ends them itself have a median length; all others are as long as was asked. */
function generatedTokens({cell, rounds}: CellRecord, requests: readonly RequestTiming[]): number {
  const vary = rounds.some(({loaded}) => loaded?.caveats.includes('lengths-vary') === true);
  const seen = vary ? median(requests.map((request) => request.generatedTokens)) : null;
  return seen ?? cell.workload.generatedTokens;
}

/** What a server with weights of its own calls its model; null for all others. */
function servedSource({cell, rounds}: CellRecord): string | null {
  if (cell.runner.server === undefined) return null;
  const name = rounds.findLast(({loaded}) => loaded !== null)?.loaded?.effective['model'];
  return typeof name === 'string' ? `${SERVER_SOURCE}${name}` : null;
}

function loadMs(ok: readonly Round[]): number | null {
  return median(
    ok.flatMap(({ready, loaded}) => (ready === null || loaded === null ? [] : [(loaded.tNs - ready.tNs) / 1e6])),
  );
}

function memoryFigures(rounds: readonly Round[]) {
  const serving = (channel: string): number | null => peak(statsOf(rounds, channel, ['warmup', 'measure']));
  const allocated = rounds.flatMap(({memory}) =>
    memory.filter(({channel}) => channel === 'vram_allocated_peak_bytes').map(({bytes}) => bytes),
  );
  return {
    vram_baseline_bytes: medianOf(statsOf(rounds, 'vram_used_bytes', ['baseline'])),
    vram_peak_bytes: peakOverBaseline(rounds, 'vram_used_bytes'),
    vram_process_peak_bytes: peak(statsOf(rounds, 'vram_process_bytes', ['load', 'warmup', 'measure'])),
    vram_allocated_peak_bytes: allocated.length === 0 ? null : Math.max(...allocated),
    ram_peak_bytes: serving('ram_pss_bytes'),
    ram_rss_peak_bytes: serving('ram_rss_bytes'),
    ram_anonymous_peak_bytes: serving('ram_anonymous_bytes'),
    ram_file_peak_bytes: serving('ram_file_bytes'),
    ram_load_peak_bytes: peak(statsOf(rounds, 'ram_rss_bytes', ['load'])),
  };
}

/** A sum needs every round, from one source: half an energy is none. */
function energyFigures(ok: readonly Round[], requests: readonly RequestTiming[]) {
  const sources = new Set(ok.map(({energySource}) => energySource));
  const [source = null] = sources;
  const joules = ok.flatMap(({energyJ}) => (energyJ === null ? [] : [energyJ]));
  if (source === null || sources.size > 1 || joules.length < ok.length) {
    return {energy_j: null, power_w_mean: null, energy_j_per_token: null, energy_source: null};
  }
  const energy = joules.reduce((sum, value) => sum + value, 0);
  const tokens = requests.reduce((sum, {batch, generatedTokens}) => sum + batch * generatedTokens, 0);
  return {
    energy_j: energy,
    power_w_mean: meanPowerW(ok, source),
    energy_j_per_token: tokens === 0 ? null : energy / tokens,
    energy_source: source,
  };
}

function rooflineFigures(
  {cell, weights}: CellRecord,
  requests: readonly RequestTiming[],
  decodeTokensPerS: number | null,
  bandwidths: readonly Bandwidth[],
) {
  const {batch, concurrency, generatedTokens} = cell.workload;
  const measured = bandwidths.findLast(
    ({device, threads}) => device === cell.device && (cell.deviceKind === 'cuda' || threads === cell.settings.threads),
  );
  const bandwidth = measured?.bytesPerS ?? null;
  const prompt = median(requests.map((request) => request.promptTokens)) ?? cell.workload.promptTokens;
  const bytes =
    weights === null || weights.bytesPerToken <= 0
      ? null
      : bytesPerStep({
          weightsPerToken: weights.bytesPerToken,
          kvBytesPerPosition: weights.kvBytesPerToken,
          kvType: cell.settings.kvType,
          batch,
          promptTokens: prompt,
          generatedTokens,
        });
  // Several lanes may share one pass over the weights, or not: only the engine knows.
  const steps = decodeTokensPerS === null || concurrency > 1 ? null : decodeTokensPerS / batch;
  const ratio = bandwidthRatio(steps, bytes, bandwidth);
  return {
    figures: {memory_bandwidth_bytes_per_s: bandwidth, bytes_per_token: bytes, bandwidth_ratio: ratio},
    caveats: rooflineCaveats(ratio, bytes, measured?.cacheBytes ?? null),
  };
}

function qualityFigures(requests: readonly RequestTiming[], synthetic: boolean) {
  const judged = requests.filter(({correct}) => correct !== null);
  if (synthetic || judged.length === 0) {
    return {quality_metric: null, quality_value: null, quality_ci_low: null, quality_ci_high: null, quality_n: null};
  }
  const right = judged.filter(({correct}) => correct === true).length;
  const interval = wilsonInterval(right, judged.length);
  return {
    quality_metric: 'exact-match',
    quality_value: right / judged.length,
    quality_ci_low: interval?.low ?? null,
    quality_ci_high: interval?.high ?? null,
    quality_n: judged.length,
  };
}

/**
 * Counts are whole, figures have six significant digits: more is noise, and the last bits of a logarithm differ between
 * machines, which a diff of two result files must not show.
 */
function rounded(row: ResultRow): ResultRow {
  const entries = COLUMN_NAMES.map((name) => {
    const value = row[name];
    if (typeof value !== 'number') return [name, value];
    return [name, COLUMNS[name].kind === 'integer' ? Math.round(value) : Number(value.toPrecision(6))];
  });
  // The same names as came in, in the order of the columns.
  return Object.fromEntries(entries) as ResultRow;
}
