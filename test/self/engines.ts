import {createHash} from 'node:crypto';
import {chmod, mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {execa} from 'execa';
import {PACKAGE_ROOT} from '../../harness/cli/package-root.ts';
import type {Cell} from '../../harness/contract/cell.ts';
import {type Plan, PlanSchema} from '../../harness/contract/plan.ts';
import type {Figure, Section} from './section.ts';

const BIN = join(PACKAGE_ROOT, 'dist', 'harness', 'cli', 'bin.js');
const DEVICES = ['virtual-t4', 'virtual-a100'] as const;
const PLAN_GOAL_S = 2;
const MERGE_GOAL_S = 10;

/**
 * What somebody waits for who spreads ten thousand cells: whole commands, from the shell to their last byte. Attempts are
 * real ones of `bench cell` with the simulated runner, one per device, copied under the ids of all other cells.
 */
export const engines: Section = {
  name: 'engines',
  doc: 'a plan of 10 000 cells, as commands: plan, submit as arrays, status, merge',
  async run({quick, log}) {
    const folder = await mkdtemp(join(tmpdir(), 'bench-engines-'));
    try {
      return await measure(folder, quick ? 50 : 500, log);
    } finally {
      await rm(folder, {recursive: true, force: true});
    }
  },
};

async function measure(folder: string, workloads: number, log: (text: string) => void): Promise<Figure[]> {
  await mkdir(join(folder, 'bin'));
  await writeFile(join(folder, 'm.yaml'), matrixText(workloads));
  await writeFile(join(folder, 'engines.yaml'), ENGINES);
  for (const [name, script] of Object.entries(STANDINS)) {
    await writeFile(join(folder, 'bin', name), script);
    await chmod(join(folder, 'bin', name), 0o755);
  }
  const bench = async (...args: string[]) => {
    const began = performance.now();
    const {stdout, stderr, exitCode} = await execa(process.execPath, [BIN, ...args], {
      cwd: folder,
      env: {PATH: `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}`, BENCH_CACHE: join(folder, 'cache')},
      reject: false,
      stdin: 'ignore',
      maxBuffer: 256 << 20,
    });
    if (exitCode !== 0) throw new Error(`bench ${args[0] ?? ''}: ${stderr.slice(-300)}`);
    return {stdout, seconds: (performance.now() - began) / 1000};
  };

  const planned = await bench('matrix', 'm.yaml', '--plan', '--json');
  const plan = PlanSchema.parse(JSON.parse(planned.stdout));
  const cells = plan.cells.length;
  const submitted = await bench('matrix', 'm.yaml', '--engine', 'slurm', '--out', 'results');
  const planFolder = join('results', 'plans', `${plan.matrix}--${plan.planId}`);
  const arrays = (await readFile(join(folder, 'arrays'), 'utf8')).trim().split('\n');
  const tasks = arrays.flatMap(placesOf);

  log(`${cells} attempts`);
  const bytes = await writeAttempts(join(folder, planFolder), plan, (index, device) =>
    bench('cell', '--plan', join(planFolder, 'plan.json'), '--index', String(index), '--device', device),
  );
  const told = await bench('status', planFolder);
  const merged = await bench('merge', planFolder, '--out', 'merged');
  let rows = 0;
  for (const path of merged.stdout.split('\n')) {
    const text = await readFile(join(folder, path, 'results.csv'), 'utf8');
    rows += text.split('\n').filter((line) => line.includes(',ok,')).length;
  }

  const whole = cells >= 10_000;
  const timing = (what: string, seconds: number, goal: number | null): Figure => ({
    what: `${what}, ${cells} cells`,
    value: `${seconds.toFixed(2)} s`,
    goal: goal === null || !whole ? '' : `≤ ${goal} s`,
    met: goal === null || !whole ? null : seconds <= goal,
  });
  return [
    timing('bench matrix --plan --json', planned.seconds, PLAN_GOAL_S),
    timing('bench matrix --engine slurm, sbatch taking no time', submitted.seconds, null),
    {
      what: 'tasks in the arrays that sbatch was given',
      value: `${tasks.length} in ${arrays.length} arrays, largest index ${Math.max(...tasks)}`,
      goal: `${cells}, no index above 999`,
      met: tasks.length === cells && Math.max(...tasks) <= 999,
    },
    timing('bench status', told.seconds, null),
    timing(`bench merge, ${(bytes / 1e6).toFixed(0)} MB of attempts`, merged.seconds, MERGE_GOAL_S),
    {what: 'rows merged', value: String(rows), goal: String(cells), met: rows === cells},
  ];
}

/** 5 formats × 2 models × 2 devices × workloads. */
function matrixText(workloads: number): string {
  const entries = Array.from(
    {length: workloads},
    (_, index) => `  - {name: w${index}, prompt_tokens: ${8 + index}, generated_tokens: 4}`,
  );
  return `matrix: scale
models: [{name: m1, source: "synthetic:bench-tiny"}, {name: m2, source: "synthetic:bench-tiny", seed: 2}]
formats: [gguf-f16, gguf-q8_0, gguf-q6_k, gguf-q5_k_m, gguf-q4_k_m]
runners: [simulated]
devices: [${DEVICES.join(', ')}]
workloads:
${entries.join('\n')}
settings: {threads: 1}
rounds: 1
requests: {min: 32, max: 32, warmup_min: 1, warmup_max: 1}
canary: false
`;
}

const ENGINES = `slurm:
  devices:
    virtual-t4: {gres: "gpu:t4:1"}
    virtual-a100: {gres: "gpu:a100:1"}
`;

/** Answer at once: what is measured is bench. */
const STANDINS = {
  sbatch: `#!/bin/sh
cat >/dev/null
case $1 in --test-only) exit 0;; esac
for word; do case $word in --array=*) echo "\${word#--array=}" >>arrays;; esac; done
echo x >>ids
wc -l <ids
`,
  squeue: `#!/bin/sh
echo '{"jobs": []}'
`,
  sinfo: '#!/bin/sh\n',
};

/** `0-3,7`: places of an array. */
function placesOf(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const [from = 0, to = from] = part.split('-').map(Number);
    return Array.from({length: to - from + 1}, (_, index) => from + index);
  });
}

/** @returns Bytes written. */
async function writeAttempts(
  folder: string,
  plan: Plan,
  run: (index: number, device: string) => Promise<{readonly stdout: string}>,
): Promise<number> {
  let bytes = 0;
  for (const device of DEVICES) {
    const first = plan.cells.findIndex(({cell}) => cell.device === device);
    const {stdout: path} = await run(first, device);
    const own = plan.cells[first]?.cell.id ?? '';
    const lines = (await readFile(path.trim(), 'utf8')).trimEnd().split('\n').slice(0, -1);
    for (const {cell} of plan.cells) {
      if (cell.device !== device || cell.id === own) continue;
      const body = `${lines.map((line) => renamed(line, own, cell)).join('\n')}\n`;
      const sha256 = createHash('sha256').update(body).digest('hex');
      const text = `${body}${JSON.stringify({type: 'end', lines: lines.length, sha256})}\n`;
      const place = join(folder, 'attempts', cell.id);
      await mkdir(place, {recursive: true});
      await writeFile(join(place, `local-${cell.id}.jsonl`), text);
      bytes += text.length;
    }
  }
  return bytes;
}

/** A line of one cell's attempt, as another cell would have written it. */
function renamed(line: string, own: string, cell: Cell): string {
  const record: Record<string, unknown> = JSON.parse(line);
  if (record['type'] === 'attempt') return JSON.stringify({...record, attempt: `local-${cell.id}`, cellId: cell.id});
  if (record['type'] === 'cell_planned') return JSON.stringify({...record, cell});
  const text = line.replaceAll(own, cell.id);
  if (!text.includes('"type":"request"')) return text;
  const {promptTokens} = cell.workload;
  return text
    .replace(/"promptTokens":\d+/, `"promptTokens":${promptTokens}`)
    .replace(/"evaluatedTokens":\d+/, `"evaluatedTokens":${promptTokens}`);
}
