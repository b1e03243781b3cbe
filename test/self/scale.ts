import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {deriveRows} from '../../harness/cli/derive-rows.ts';
import {HARNESS_VERSION} from '../../harness/cli/package-root.ts';
import {RUNNERS} from '../../harness/cli/registry.ts';
import {SlurmSiteSchema} from '../../harness/contract/engines.ts';
import type {Plan} from '../../harness/contract/plan.ts';
import {candidateOf, mergeAttempts} from '../../harness/derive/merge.ts';
import {mergedRuns} from '../../harness/derive/merged-run.ts';
import {slurmJobs} from '../../harness/engines/slurm-jobs.ts';
import {loadMatrix} from '../../harness/plan/load-matrix.ts';
import {makePlan} from '../../harness/plan/plan.ts';
import {findAttempts, readAttempts} from '../../harness/store/attempt-file.ts';
import {writeRequestsCsv} from '../../harness/store/requests-csv.ts';
import {writeResultsCsv} from '../../harness/store/results-csv.ts';
import {writeAttempt} from '../support/attempts.ts';
import {planHost} from '../support/plan-hosts.ts';
import type {Figure, Section} from './section.ts';

const PLAN_GOAL_S = 2;
const MERGE_GOAL_S = 10;
const REQUESTS = 4;

/** A plan of ten thousand cells: planned, rendered as job arrays, and merged from ten thousand attempt files. */
export const scale: Section = {
  name: 'scale',
  doc: 'a plan of 10 000 cells: planning, job arrays, merging',
  async run({quick, log}) {
    const workloads = quick ? 50 : 500;
    const folder = await mkdtemp(join(tmpdir(), 'bench-scale-'));
    try {
      return await measure(folder, workloads, log);
    } finally {
      await rm(folder, {recursive: true, force: true});
    }
  },
};

async function measure(folder: string, workloads: number, log: (text: string) => void): Promise<Figure[]> {
  await writeFile(join(folder, 'm.yaml'), matrixText(workloads));
  const [plan, planS] = await timed(() => makeThePlan(join(folder, 'm.yaml')));
  const cells = plan.cells.length;
  const site = SlurmSiteSchema.parse({
    devices: {'virtual-t4': {gres: 'gpu:t4:1'}, 'virtual-a100': {gres: 'gpu:a100:1'}},
  });
  const [jobs, renderS] = await timed(async () =>
    slurmJobs({plan, folder, site, command: ['bench'], finished: new Set()}),
  );
  const tasks = jobs.reduce((sum, job) => sum + job.tasks.length, 0);
  log(`writing ${cells} attempt files`);
  for (const planned of plan.cells) await writeAttempt(folder, plan, planned, {requests: REQUESTS});
  const [rows, mergeS] = await timed(() => mergeAll(folder, plan));
  const goal = (seconds: number) => (cells >= 10_000 ? seconds : null);
  const timing = (what: string, seconds: number, limit: number | null): Figure => ({
    what: `${what} ${cells} cells`,
    value: `${seconds.toFixed(2)} s`,
    goal: limit === null ? '' : `≤ ${limit} s`,
    met: limit === null ? null : seconds <= limit,
  });
  return [
    timing('load the matrix and plan', planS, goal(PLAN_GOAL_S)),
    {
      what: 'job arrays',
      value: `${jobs.length} for ${tasks} tasks, rendered in ${renderS.toFixed(2)} s`,
      goal: 'every cell once, no index above 999',
      met: tasks === cells && jobs.every((job) => job.tasks.every((task) => task - job.offset < 1000)),
    },
    timing('read, check and merge', mergeS, goal(MERGE_GOAL_S)),
    {what: 'rows merged', value: String(rows), goal: String(cells), met: rows === cells},
  ];
}

async function timed<Result>(work: () => Promise<Result>): Promise<[Result, number]> {
  const began = performance.now();
  const result = await work();
  return [result, (performance.now() - began) / 1000];
}

/** 2 models × 5 formats × 2 devices × workloads. */
function matrixText(workloads: number): string {
  const entries = Array.from(
    {length: workloads},
    (_, i) => `  - {name: w${i}, prompt_tokens: ${8 + i}, generated_tokens: 4}`,
  );
  return `matrix: scale
models: [{name: m1, source: "synthetic:bench-tiny"}, {name: m2, source: "synthetic:bench-tiny", seed: 2}]
formats: [gguf-f16, gguf-q8_0, gguf-q6_k, gguf-q5_k_m, gguf-q4_k_m]
runners: [simulated]
devices: [virtual-t4, virtual-a100]
workloads:
${entries.join('\n')}
settings: {threads: 1}
rounds: 1
requests: {min: ${REQUESTS}, max: ${REQUESTS}, warmup_min: 0, warmup_max: 0}
canary: false
`;
}

async function makeThePlan(path: string): Promise<Plan> {
  return await makePlan({
    loaded: await loadMatrix(path),
    host: planHost(),
    catalogue: [],
    runners: RUNNERS,
    estimate: async () => null,
    harness: HARNESS_VERSION,
  });
}

async function mergeAll(folder: string, plan: Plan): Promise<number> {
  const candidates = [];
  const {sealed} = await findAttempts([join(folder, 'attempts')]);
  for await (const read of readAttempts(sealed)) {
    if (!('code' in read)) candidates.push(candidateOf(read, deriveRows));
  }
  const runs = mergedRuns({plan, merged: mergeAttempts({plan, candidates}), derive: deriveRows, matrixText: ''});
  for (const [index, {results, requests}] of runs.entries()) {
    await writeResultsCsv(join(folder, `${index}-results.csv`), results);
    await writeRequestsCsv(join(folder, `${index}-requests.csv`), requests);
  }
  return runs.reduce((sum, {results}) => sum + results.filter(({status}) => status === 'ok').length, 0);
}
