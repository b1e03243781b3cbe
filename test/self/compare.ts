import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {execa} from 'execa';
import {type Comparison, compareCells} from '../../harness/claims/compare.ts';
import type {MeasuredCell} from '../../harness/claims/measured-cell.ts';
import {PACKAGE_ROOT} from '../../harness/cli/package-root.ts';
import {cellsOf, readRuns} from '../../harness/cli/read-runs.ts';
import {runnerHost} from '../support/runner-host.ts';
import type {Section, SelfContext} from './section.ts';

const DIST = join(PACKAGE_ROOT, 'dist');
const WORKER = fileURLToPath(new URL('../fixtures/workers/slowed.mjs', import.meta.url));
const SLOWDOWN = 0.05;

/**
 * A/A and power of `bench compare`, on real runs of this machine. Runs of the same matrix, one after another, must not
 * differ; runs whose worker decodes 5 % slower must.
 *
 * Runs alternate (base, slowed, base, …), so that drift of the machine meets both alike. Each base run is compared
 * with the base run before it, and each slowed run with the base run before it.
 */
export const comparing: Section = {
  name: 'compare',
  doc: 'bench compare on this machine: false alarms between equal runs, and a 5 % slowdown that must be found',
  async run(context) {
    const pairs = context.quick ? 3 : 10;
    const folder = mkdtempSync(join(tmpdir(), 'bench-self-'));
    try {
      const matrix = join(folder, 'compare.yaml');
      writeFileSync(matrix, matrixText());
      const equal: Comparison[][] = [];
      const slower: Comparison[][] = [];
      let base = await measured(matrix, 0, context);
      for (let pair = 0; pair < pairs; pair++) {
        const slowed = await measured(matrix, SLOWDOWN, context);
        const again = await measured(matrix, 0, context);
        slower.push([...compareCells(base, slowed).comparisons]);
        equal.push([...compareCells(base, again).comparisons]);
        base = again;
        context.log(`pair ${pair + 1} of ${pairs}: equal ${words(equal.at(-1))}; slowed ${words(slower.at(-1))}`);
      }
      const alarms = equal.flat().filter(isAlarm).length;
      const pairsWithAlarm = equal.filter((pair) => pair.some(isAlarm)).length;
      const decodes = slower.flat().filter(({metric}) => metric === 'decode_tokens_per_s');
      const found = decodes.filter(({change}) => change === 'slower').length;
      // Prefill was left alone: there, a difference is a false alarm as well.
      const prefills = slower.flat().filter(({metric}) => metric === 'prefill_tokens_per_s');
      const strayed = prefills.filter(isAlarm).length;
      const all = equal.flat().length + prefills.length;
      return [
        {
          what: 'equal runs: comparisons called faster or slower',
          value: `${share(alarms + strayed, all)}; in ${pairsWithAlarm} of ${pairs} pairs of equal runs`,
          goal: '≤ 5 %, ≥ 10 pairs',
          met: (alarms + strayed) / all <= 0.05,
        },
        {
          what: 'decoding 5 % slower: found, per cell of a pair',
          value: share(found, decodes.length),
          goal: '≥ 90 %, ≥ 10 pairs',
          met: found / decodes.length >= 0.9,
        },
        {
          what: 'decoding 5 % slower: ratio that was measured',
          value: range(decodes.map(({ratio}) => ratio.ratio)),
          goal: '0.952',
          met: null,
        },
        {
          what: 'equal runs: half width of the 95 % interval',
          value: range(equal.flat().map(({ratio}) => Math.log((ratio.high ?? ratio.ratio) / ratio.ratio))),
          goal: '',
          met: null,
        },
      ];
    } finally {
      rmSync(folder, {recursive: true, force: true});
    }
  },
};

/** As matrices/quickstart.yaml, but with short rounds and more of them: rounds are what a comparison rests on. */
function matrixText(): string {
  const command = JSON.stringify([process.execPath, WORKER, join(DIST, 'runners')]);
  return `matrix: self-compare
models: [{name: quickstart-53m, source: "synthetic:quickstart-53m"}]
formats: [gguf-f16, gguf-q4_k_m]
runners: [{name: slowed, command: ${command}}]
devices: [host-cpu]
workloads: [{name: p16-g24, prompt_tokens: 16, generated_tokens: 24}]
rounds: 5
canary: false
requests: {min: 25, max: 25, warmup_min: 1, warmup_max: 1}
budget_seconds: 10
`;
}

/** One run of the matrix, through the command that people use; its cells. */
async function measured(matrix: string, slowdown: number, {cacheDir}: SelfContext): Promise<MeasuredCell[]> {
  const out = mkdtempSync(join(tmpdir(), 'bench-self-run-'));
  try {
    await execa(
      process.execPath,
      [join(DIST, 'harness', 'cli', 'bin.js'), 'matrix', matrix, '--out', out, '--alongside'],
      {
        env: {
          BENCH_CACHE: cacheDir,
          BENCH_LLAMA_DIR: runnerHost().software.llamaPrebuiltDir ?? '',
          BENCH_TEST_SLOWDOWN: String(slowdown),
        },
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    return cellsOf(await readRuns([out]));
  } finally {
    rmSync(out, {recursive: true, force: true});
  }
}

function isAlarm({change}: Comparison): boolean {
  return change === 'faster' || change === 'slower';
}

function words(comparisons: readonly Comparison[] = []): string {
  return comparisons.map(({change, ratio}) => `${change} ${ratio.ratio.toFixed(3)}`).join(', ');
}

function share(some: number, all: number): string {
  return `${some} of ${all} (${((100 * some) / all).toFixed(1)} %)`;
}

function range(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (p: number): string => (sorted[Math.round(p * (sorted.length - 1))] ?? Number.NaN).toFixed(3);
  return `${at(0.5)} (${at(0)}–${at(1)}, n = ${values.length})`;
}
