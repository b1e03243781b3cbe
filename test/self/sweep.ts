import {execFileSync} from 'node:child_process';
import {existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {execa} from 'execa';
import {PACKAGE_ROOT} from '../../harness/cli/package-root.ts';
import {readJournal} from '../../harness/store/journal.ts';
import {readManifest} from '../../harness/store/manifest.ts';
import {readRequestsCsv} from '../../harness/store/requests-csv.ts';
import {readResultsCsv} from '../../harness/store/results-csv.ts';
import {meanInterval, median, type Section, spread} from './section.ts';

const BIN = join(PACKAGE_ROOT, 'dist', 'harness', 'cli', 'bin.js');
const TICKS_PER_S = 100;

/** What the harness itself costs while a cell runs, and what a cell costs beside its work. */
export const harnessCost: Section = {
  name: 'harness-cost',
  doc: 'CPU and memory of the harness process while a cell runs; cost of a cell beside load, warm-up and requests',
  async run(context) {
    const folder = mkdtempSync(join(tmpdir(), 'bench-self-'));
    const matrix = join(folder, 'cost.yaml');
    writeFileSync(
      matrix,
      `matrix: self-cost\nmodels: [{name: llama-3.2-1b, source: "synthetic:llama-3.2-1b"}]\nformats: [gguf-q4_k_m]\ndevices: [host-cpu]\nworkloads: [{name: p16-g64, prompt_tokens: 16, generated_tokens: 64}]\nrounds: ${context.quick ? 2 : 6}\ncanary: false\nrequests: {min: ${context.quick ? 6 : 30}, max: ${context.quick ? 6 : 30}}\nbudget_seconds: 90\n`,
    );
    const child = execa(
      process.execPath,
      [BIN, 'matrix', matrix, '--out', join(folder, 'results'), '--json', '--alongside'],
      {buffer: false, reject: false, stderr: 'ignore'},
    );
    const loads: number[] = [];
    const peaks: number[] = [];
    let begun: {ticks: number; at: number} | null = null;
    try {
      for await (const line of child.iterable()) {
        // Lines are our own events; only their type and phase are looked at. The kernel gives the times of a process in
        // hundredths of a second, but sums them finely: over ten seconds the figure is good to 0.1 % of a core.
        if (line.includes('"cell_phase"') && line.includes('"phase":"measure"'))
          begun = {ticks: ticks(child.pid), at: performance.now()};
        if (line.includes('"cell_finished"') || line.includes('"phase":"end"')) {
          if (begun !== null)
            loads.push((ticks(child.pid) - begun.ticks) / TICKS_PER_S / ((performance.now() - begun.at) / 1000));
          if (begun !== null) peaks.push(residentBytes(child.pid));
          begun = null;
        }
      }
      await child;
      const [run] = readdirSync(join(folder, 'results')).filter((name) => name.startsWith('self-cost'));
      const records = await readJournal(join(folder, 'results', run ?? '', 'journal.jsonl'));
      const overheads = records.flatMap((record) => (record.type === 'round_finished' ? [record.overheadS] : []));
      const shares = loads.map((load) => load * 100);
      const {mean, low, high} = meanInterval(shares);
      const met = high <= 1 ? true : low > 1 ? false : null;
      return [
        {
          what: 'harness CPU while a cell is measured (% of one core)',
          value: `${mean.toFixed(2)} (95 % interval ${low.toFixed(2)}–${high.toFixed(2)}, ${shares.length} cells)`,
          goal: '≤ 1',
          met,
          ...(met === null ? {resolved: false as const} : {}),
        },
        {
          what: 'harness resident memory at the end of measuring (MiB)',
          value: spread(
            peaks.map((bytes) => bytes / 1024 ** 2),
            0,
          ),
          goal: '≤ 150',
          met: Math.max(...peaks) <= 150 * 1024 ** 2,
        },
        {
          what: 'cost of a cell beside load, warm-up and requests (s)',
          value: spread(overheads, 2),
          goal: '≤ 0.5',
          met: median(overheads) <= 0.5,
        },
      ];
    } finally {
      rmSync(folder, {recursive: true, force: true});
    }
  },
};

/** User and system time of a process so far, in clock ticks. */
function ticks(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

function residentBytes(pid: number | undefined): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

/** kill -9 at random moments, then the same command again, until the sweep is whole. */
export const killing: Section = {
  name: 'kill-9',
  doc: 'kill -9 of bench at random moments of a sweep, then continue: nothing lost, nothing twice',
  async run(context) {
    const kills = context.quick ? 10 : 50;
    const folder = mkdtempSync(join(tmpdir(), 'bench-self-'));
    const cache = join(folder, 'cache');
    const out = join(folder, 'results');
    mkdirSync(cache);
    let done = 0;
    let lost = 0;
    let repeated = 0;
    let unreadable = 0;
    let orphans = 0;
    try {
      for (let sweep = 0; done < kills; sweep++) {
        const matrix = join(folder, `kill-${sweep}.yaml`);
        writeFileSync(matrix, killMatrix(sweep));
        const seen = new Map<string, string>();
        for (let attempt = 0; ; attempt++) {
          const mayKill = done < kills && attempt < 12;
          const child = execa(process.execPath, [BIN, 'matrix', matrix, '--out', out], {
            env: {BENCH_CACHE: cache},
            reject: false,
            stdio: 'ignore',
          });
          if (mayKill) {
            await sleep(300 + Math.random() * 2500);
            if (child.exitCode === null && child.kill('SIGKILL')) done++;
          }
          const end = await child;
          await sleep(150);
          orphans += workersLeft();
          const run = readdirSync(out).find((name) => name.startsWith(`kill-${sweep}--`));
          if (run === undefined) continue;
          const state = await readRun(join(out, run));
          unreadable += state.unreadable;
          for (const [key, attemptId] of seen) if (state.finished.get(key) !== attemptId) lost++;
          repeated += state.repeated;
          for (const [key, attemptId] of state.finished) seen.set(key, attemptId);
          if (end.exitCode === 0 && state.ended) break;
        }
        context.log(`${done} of ${kills} kills; sweep ${sweep + 1} whole with ${seen.size} rounds`);
        if (seen.size !== CELLS * ROUNDS) lost += CELLS * ROUNDS - seen.size;
      }
      const value = `${done} kills: ${lost} lost, ${repeated} repeated, ${unreadable} unreadable, ${orphans} workers left`;
      return [
        {
          what: 'kill -9 at random moments, then continue',
          value,
          goal: '50 kills: 0 lost, 0 repeated, 0 unreadable',
          met: lost + repeated + unreadable + orphans === 0,
        },
      ];
    } finally {
      rmSync(folder, {recursive: true, force: true});
    }
  },
};

const CELLS = 4;
const ROUNDS = 3;

function killMatrix(sweep: number): string {
  return `matrix: kill-${sweep}\nmodels: [{name: m, source: "synthetic:bench-tiny"}]\nformats: [gguf-f16, gguf-q8_0, gguf-q6_k, gguf-q4_k_m]\nrunners: [simulated]\ndevices: [host-cpu]\nworkloads: [{name: w, prompt_tokens: 8, generated_tokens: 8}]\nsettings: {simulate: {realtime: 1, load_ms: 50, prefill_us_per_token: 1000, decode_us_per_token: 4000}}\nrounds: ${ROUNDS}\ncanary: false\nrequests: {min: 9, max: 9}\nbudget_seconds: 10\n`;
}

async function readRun(
  folder: string,
): Promise<{finished: Map<string, string>; repeated: number; unreadable: number; ended: boolean}> {
  const finished = new Map<string, string>();
  let repeated = 0;
  let unreadable = 0;
  let ended = false;
  const journal = join(folder, 'journal.jsonl');
  try {
    if (existsSync(join(folder, 'manifest.json'))) await readManifest(join(folder, 'manifest.json'));
    for (const record of existsSync(journal) ? await readJournal(journal) : []) {
      if (record.type === 'run_finished') ended = true;
      if (record.type !== 'round_finished') continue;
      const key = `${record.cellId} ${record.round}`;
      if (finished.has(key)) repeated++;
      else finished.set(key, record.attempt);
    }
    if (existsSync(join(folder, 'results.csv'))) await readResultsCsv(join(folder, 'results.csv'));
    if (existsSync(join(folder, 'requests.csv'))) for await (const _ of readRequestsCsv(join(folder, 'requests.csv')));
  } catch {
    unreadable++;
  }
  return {finished, repeated, unreadable, ended};
}

/** Workers of the simulated runner that outlived their harness. */
function workersLeft(): number {
  try {
    return execFileSync('pgrep', ['-f', 'runners/simulated/worker.js'], {encoding: 'utf8'}).trim().split('\n').length;
  } catch {
    return 0;
  }
}
