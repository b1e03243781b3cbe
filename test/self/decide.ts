import {mkdir, rm, stat} from 'node:fs/promises';
import {join} from 'node:path';
import {Readable} from 'node:stream';
import {Command} from 'commander';
import {registerDecideCommand} from '../../harness/cli/commands/decide.ts';
import type {RequestRow, ResultRow} from '../../harness/contract/columns.ts';
import {writeManifest} from '../../harness/store/manifest.ts';
import {writeRequestsCsv} from '../../harness/store/requests-csv.ts';
import {writeResultsCsv} from '../../harness/store/results-csv.ts';
import {buildMeasured} from '../unit/claims/build.ts';
import {buildManifest} from '../unit/derive/build.ts';
import {median, type Section, spread} from './section.ts';

const RUNS = 10;
const CELLS = 10_000;
const REQUESTS = 50;
const DEVICES = ['t4', 'a100-40gb', 'a100-80gb', 'h100', 'h200'] as const;
const GOAL_S = 2;

/** `bench decide` on 100 000 rows and 5 000 000 requests of 10 runs. */
export const decideScale: Section = {
  name: 'decide',
  doc: 'bench decide on 100 000 rows and 5 000 000 requests',
  async run(context) {
    const folder = join(context.cacheDir, 'self', 'decide');
    await rm(folder, {recursive: true, force: true});
    try {
      context.log('writing 10 runs of 10 000 cells with 50 requests each');
      let bytes = 0;
      for (let run = 0; run < RUNS; run++) bytes += await writeRun(folder, run);
      context.log(`  ${(bytes / 1e9).toFixed(2)} GB`);
      const seconds: number[] = [];
      for (let turn = 0; turn < (context.quick ? 2 : 7); turn++) seconds.push(await decideOnce(folder));
      context.log(`  first (of a cold process) ${seconds[0]?.toFixed(2)} s`);
      return [
        {
          what: `bench decide, ${RUNS * CELLS} rows and ${RUNS * CELLS * REQUESTS} requests: seconds`,
          value: spread(seconds, 2),
          goal: `median ≤ ${GOAL_S}`,
          met: median(seconds) <= GOAL_S,
        },
        {
          what: 'bench decide: resident memory afterwards, MiB',
          value: (process.memoryUsage().rss / 2 ** 20).toFixed(0),
          goal: '',
          met: null,
        },
      ];
    } finally {
      await rm(folder, {recursive: true, force: true});
    }
  },
};

async function writeRun(folder: string, run: number): Promise<number> {
  const runId = `scale--${DEVICES[run % DEVICES.length]}--host-${run}--20261101T00000${run}Z`;
  const path = join(folder, runId);
  await mkdir(path, {recursive: true});
  await writeManifest(join(path, 'manifest.json'), buildManifest({runId}));
  const base = buildMeasured({tpotUs: [4000], ttftUs: 20_000});
  const rows = Array.from({length: CELLS}, (_, index) => rowOf(base.row, runId, run, index));
  await writeResultsCsv(join(path, 'results.csv'), rows);
  await writeRequestsCsv(join(path, 'requests.csv'), Readable.from(requestsOf(rows, base.requests)));
  return (await stat(join(path, 'results.csv'))).size + (await stat(join(path, 'requests.csv'))).size;
}

/** Speeds that fall over two decades, so that some cells meet the need and some do not. */
function rowOf(base: ResultRow, runId: string, run: number, index: number): ResultRow {
  const p90 = 20 * 100 ** (((index * 7919) % CELLS) / CELLS) * (1 + run / 100);
  const rate = 900 / p90;
  return {
    ...base,
    run_id: runId,
    cell_id: (index * 16 + run).toString(16).padStart(12, '0'),
    device: DEVICES[run % DEVICES.length] ?? null,
    host: `host-${run}`,
    kernel: `kernel-${index}`,
    gpu_layers: 999,
    requests: REQUESTS,
    requests_per_s: rate,
    requests_per_s_ci_low: rate * 0.97,
    requests_per_s_ci_high: rate * 1.03,
    latency_ms_p50: p90 * 0.9,
    latency_ms_p90: p90,
    latency_ms_p90_ci_low: p90 * 0.96,
    latency_ms_p90_ci_high: p90 * 1.05,
    load_ms: 4000,
    vram_peak_bytes: 2_000_000_000 + index,
    caveats: 'synthetic-weights virtual',
    started_at: '2026-11-01T00:00:00.000Z',
    ended_at: '2026-11-01T00:10:00.000Z',
  };
}

function* requestsOf(rows: readonly ResultRow[], pattern: readonly RequestRow[]): Generator<RequestRow> {
  for (const row of rows) {
    for (let at = 0; at < REQUESTS; at++) {
      const like = pattern[at % pattern.length];
      if (like === undefined) continue;
      const latency = Math.round((row.latency_ms_p50 ?? 0) * 1000 * (1 + ((at % 11) - 5) / 100));
      yield {...like, run_id: row.run_id, cell_id: row.cell_id, round: 0, request: at, latency_us: latency};
    }
  }
}

async function decideOnce(folder: string): Promise<number> {
  const program = new Command().exitOverride();
  registerDecideCommand(program, {
    env: {},
    stdout: {write: () => true},
    stderr: {write: () => true},
    signal: new AbortController().signal,
    exit: () => {},
  });
  const start = performance.now();
  await program.parseAsync(['decide', folder, '--p90-ms', '400', '--requests-per-hour', '5000'], {from: 'user'});
  return (performance.now() - start) / 1000;
}
