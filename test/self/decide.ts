import {createWriteStream} from 'node:fs';
import {mkdir, readdir, rm, stat} from 'node:fs/promises';
import {join} from 'node:path';
import {Readable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import {execa} from 'execa';
import {PACKAGE_ROOT} from '../../harness/cli/package-root.ts';
import {REQUEST_COLUMN_NAMES, type RequestRow, type ResultRow} from '../../harness/contract/columns.ts';
import {writeManifest} from '../../harness/store/manifest.ts';
import {writeResultsCsv} from '../../harness/store/results-csv.ts';
import {buildMeasured} from '../unit/claims/build.ts';
import {buildManifest} from '../unit/derive/build.ts';
import {median, type Section, spread} from './section.ts';

const RUNS = 10;
const CELLS = 10_000;
const REQUESTS = 50;
const DEVICES = ['t4', 'a100-40gb', 'a100-80gb', 'h100', 'h200'] as const;
const DECIDE_GOAL_S = 2;
const REPORT_GOAL_S = 20;
const REPORT_GOAL_MIB = 1024;
/** Loaded before a command: tells at its end how much memory it held at most. */
const PEAK = `data:text/javascript,${encodeURIComponent("process.once('exit', () => process.stderr.write(`peak ${process.resourceUsage().maxRSS} KiB\\n`));")}`;
const BIN = join(PACKAGE_ROOT, 'dist', 'harness', 'cli', 'bin.js');

/** `bench decide` and `bench report` on 100 000 rows and 5 000 000 requests of 10 runs. */
export const decideScale: Section = {
  name: 'decide',
  doc: 'bench decide and bench report on 100 000 rows and 5 000 000 requests',
  async run(context) {
    const folder = join(context.cacheDir, 'self', 'decide');
    await rm(folder, {recursive: true, force: true});
    try {
      // What is installed is measured, not what a loader translates on the way.
      await execa('npx', ['tsc'], {cwd: PACKAGE_ROOT});
      context.log('writing 10 runs of 10 000 cells with 50 requests each');
      let size = 0;
      for (let run = 0; run < RUNS; run++) size += await writeRun(folder, run);
      context.log(`  ${(size / 1e9).toFixed(2)} GB`);
      const need = ['--p90-ms', '400', '--requests-per-hour', '5000'];
      const decides = await repeat(context.quick ? 2 : 7, () => bench('decide', folder, ...need));
      const out = join(folder, 'report');
      const reports = await repeat(context.quick ? 1 : 3, () => bench('report', folder, '--out', out));
      const page = (await stat(join(out, 'index.html'))).size;
      const many = `${RUNS * CELLS} rows and ${RUNS * CELLS * REQUESTS} requests`;
      const peak = Math.max(...reports.map(({peakMiB}) => peakMiB));
      return [
        {
          what: `bench decide, whole command, ${many}: seconds`,
          value: spread(
            decides.map(({seconds}) => seconds),
            2,
          ),
          goal: `median ≤ ${DECIDE_GOAL_S}`,
          met: median(decides.map(({seconds}) => seconds)) <= DECIDE_GOAL_S,
        },
        {
          what: 'bench decide: peak resident memory, MiB',
          value: Math.max(...decides.map(({peakMiB}) => peakMiB)).toFixed(0),
          goal: '',
          met: null,
        },
        {
          what: `bench report, all formats, ${many}: seconds`,
          value: spread(
            reports.map(({seconds}) => seconds),
            1,
          ),
          goal: `median ≤ ${REPORT_GOAL_S}`,
          met: median(reports.map(({seconds}) => seconds)) <= REPORT_GOAL_S,
        },
        {
          what: 'bench report: peak resident memory, MiB',
          value: peak.toFixed(0),
          goal: `≤ ${REPORT_GOAL_MIB}`,
          met: peak <= REPORT_GOAL_MIB,
        },
        {
          what: 'bench report: its page, MB',
          value: `${(page / 1e6).toFixed(1)} of ${(await readdir(out)).length} files`,
          goal: '',
          met: null,
        },
      ];
    } finally {
      await rm(folder, {recursive: true, force: true});
    }
  },
};

interface Spent {
  readonly seconds: number;
  readonly peakMiB: number;
}

async function repeat(times: number, work: () => Promise<Spent>): Promise<Spent[]> {
  const all: Spent[] = [];
  for (let turn = 0; turn < times; turn++) all.push(await work());
  return all;
}

/** A command in a process of its own, from its start to its end, as a person waits for it. */
async function bench(...args: readonly string[]): Promise<Spent> {
  const start = performance.now();
  const {stderr} = await execa(process.execPath, ['--import', PEAK, BIN, ...args], {stdin: 'ignore', stdout: 'ignore'});
  const seconds = (performance.now() - start) / 1000;
  return {seconds, peakMiB: Number(/^peak (\d+) KiB$/m.exec(stderr)?.[1]) / 1024};
}

async function writeRun(folder: string, run: number): Promise<number> {
  const runId = `scale--${DEVICES[run % DEVICES.length]}--host-${run}--20261101T00000${run}Z`;
  const path = join(folder, runId);
  await mkdir(path, {recursive: true});
  await writeManifest(join(path, 'manifest.json'), buildManifest({runId}));
  const base = buildMeasured({tpotUs: [4000], ttftUs: 20_000});
  const rows = Array.from({length: CELLS}, (_, index) => rowOf(base.row, runId, run, index));
  await writeResultsCsv(join(path, 'results.csv'), rows);
  const requests = createWriteStream(join(path, 'requests.csv'));
  await pipeline(Readable.from(requestLines(rows, base.requests)), requests);
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

/** requests.csv, a cell at a time: nothing in these rows needs quotes, and the general writer takes minutes for them. */
function* requestLines(rows: readonly ResultRow[], pattern: readonly RequestRow[]): Generator<string> {
  yield `${REQUEST_COLUMN_NAMES.join(',')}\n`;
  for (const row of [...rows].sort((a, b) => ((a.cell_id ?? '') < (b.cell_id ?? '') ? -1 : 1))) {
    let lines = '';
    for (let at = 0; at < REQUESTS; at++) {
      const latency = Math.round((row.latency_ms_p50 ?? 0) * 1000 * (1 + ((at % 11) - 5) / 100));
      const own = {run_id: row.run_id, cell_id: row.cell_id, round: 0, request: at, latency_us: latency};
      const request: Partial<RequestRow> = {...pattern[at % pattern.length], ...own};
      lines += `${REQUEST_COLUMN_NAMES.map((name) => request[name] ?? '').join(',')}\n`;
    }
    yield lines;
  }
}
