import {basename, dirname, join} from 'node:path';
import type {Command} from 'commander';
import {REFUSALS, type Refusal} from '../../contract/attempt.ts';
import {BenchError} from '../../contract/errors.ts';
import {isRefusedForGood} from '../../contract/plan.ts';
import {type Candidate, type Merged, type MergedCell, mergeAttempts} from '../../derive/merge.ts';
import {type MergedRun, mergedRuns} from '../../derive/merged-run.ts';
import {PlanFolder, readPlan} from '../../engines/plan-folder.ts';
import {writeFileAtomic} from '../../store/atomic-file.ts';
import {findAttempts} from '../../store/attempt-file.ts';
import {writeManifest} from '../../store/manifest.ts';
import {writeRequestsCsv} from '../../store/requests-csv.ts';
import {writeResultsCsv} from '../../store/results-csv.ts';
import {RunFolder} from '../../store/run-folder.ts';
import {readManyCandidates} from '../candidate-threads.ts';
import type {CommandContext} from '../context.ts';
import {deriveRows} from '../derive-rows.ts';
import {plain} from '../terminal.ts';

interface MergeOptions {
  readonly out: string;
  readonly plan?: string;
  readonly build?: string;
  readonly json?: true;
}

/** Files named on the terminal, of each kind; merge.json names all. */
const NAMED = 10;

/** `bench merge`: attempt files of many hosts become ordinary run folders. */
export function registerMergeCommand(program: Command, context: CommandContext): void {
  program
    .command('merge')
    .description('join the attempts of a plan that ran on many hosts into one run folder per device')
    .argument('<paths...>', 'plan folders, folders of attempts, or attempt files, in any order')
    .requiredOption('--out <dir>', 'folder of the run folders')
    .option('--plan <file>', 'plan file; default: plan.json in one of the paths')
    .option('--build <label>', 'where attempts are of several builds: the one that counts (start of its label)')
    .option('--json', 'what was merged and refused, on stdout')
    .action(async (paths: readonly string[], options: MergeOptions) => {
      const planPath = options.plan ?? (await findPlan(paths));
      const plan = await readPlan(planPath);
      const found = await findAttempts(paths);
      const candidates: Candidate[] = [];
      const unread: Refusal[] = found.partial.map((path) => ({path, code: 'partial', detail: 'it has no trailer'}));
      for (const read of await readManyCandidates(found.sealed)) {
        if ('code' in read) unread.push(read);
        else candidates.push(read);
      }
      const merged = mergeAttempts({plan, candidates, build: options.build});
      const all: Merged = {...merged, refusals: [...merged.refusals, ...unread].sort(byPath)};
      refuseMixed(all, options.build);
      const folder = new PlanFolder(dirname(planPath));
      const runs = mergedRuns({plan, merged, derive: deriveRows, matrixText: await folder.matrixText(plan)});
      for (const run of runs) await writeRun(options.out, run, all);
      const report = reportOf(all, plan.planId);
      const {missing} = report;
      const lines = [...told(all, runs, options.out), ...(await earlierMerges(options.out, runs))];
      for (const line of lines) context.stderr.write(`${plain(line)}\n`);
      if (options.json === true) context.stdout.write(`${JSON.stringify(report, null, 1)}\n`);
      else for (const {manifest} of runs) context.stdout.write(`${join(options.out, manifest.runId)}\n`);
      const bad = merged.cells.some(({canonical}) => FAILED.has(canonical?.row?.status ?? ''));
      context.exit(missing.length > 0 || bad ? 1 : 0);
    });
}

const FAILED: ReadonlySet<string> = new Set(['crashed', 'timeout', 'invalid']);

async function findPlan(paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    const {planPath} = new PlanFolder(path);
    if (
      await readPlan(planPath).then(
        () => true,
        (error: unknown) => isInvalid(error),
      )
    )
      return planPath;
  }
  throw new BenchError(
    'USAGE',
    `no plan.json in ${paths.join(', ')}: give --plan FILE, so that missing cells can be told`,
  );
}

/** A plan that is there and cannot be used is to be told by its own mistake. */
const isInvalid = (error: unknown): boolean => error instanceof BenchError && error.code === 'PLAN_INVALID';

/** No build is the right one by itself, and the larger one least of all. */
function refuseMixed({builds, refusals}: Merged, build: string | undefined): void {
  if (build !== undefined && ![...builds.keys()].some((label) => label.startsWith(build))) {
    throw new BenchError(
      'USAGE',
      `--build ${build}: there are attempts of ${[...builds.keys()].join(', ') || 'no build'}`,
    );
  }
  if (build !== undefined) return;
  if (builds.size > 1) {
    const texts = [...builds].map(([label, files]) => `"${label}" (${files.length} files, such as ${files[0] ?? ''})`);
    throw new BenchError(
      'NOT_COMPARABLE',
      `attempts of ${builds.size} builds: ${texts.join('; ')}. Name the one that counts with --build`,
    );
  }
  const mixed = refusals.filter(({code}) => code === 'mixed-build');
  if (mixed.length > 0) {
    throw new BenchError(
      'NOT_COMPARABLE',
      `attempts of several versions of a runner:\n${mixed
        .slice(0, NAMED)
        .map(({path, detail}) => `${path}: ${detail}`)
        .join('\n')}`,
    );
  }
}

async function writeRun(out: string, {device, manifest, results, requests}: MergedRun, merged: Merged): Promise<void> {
  const folder = await RunFolder.make(out, manifest.runId);
  await writeResultsCsv(folder.resultsPath, results);
  await writeRequestsCsv(folder.requestsPath, requests);
  const cells = merged.cells.filter(({planned}) => planned.cell.device === device);
  const report = reportOf({...merged, cells}, manifest.planId);
  await writeFileAtomic(join(folder.path, 'merge.json'), (write) => write(`${JSON.stringify(report, null, 1)}\n`));
  // Last: a folder without a manifest is no run.
  await writeManifest(folder.manifestPath, manifest);
}

interface MergeReport {
  readonly planId: string;
  readonly cells: readonly {
    readonly cell: string;
    readonly canonical: string;
    readonly attempts: readonly {
      readonly attempt: string;
      readonly host: string;
      readonly node: string | null;
      readonly status: string | null;
      readonly decode_tokens_per_s: number | null;
      readonly latency_ms_p50: number | null;
      readonly file: string;
    }[];
    readonly spread: MergedCell['spread'];
  }[];
  readonly missing: readonly string[];
  readonly refused: readonly {readonly file: string; readonly code: string; readonly detail: string}[];
}

/** What the folder keeps of the merge: every valid attempt, and why each other file was not taken. */
function reportOf({cells, refusals}: Merged, planId: string): MergeReport {
  return {
    planId,
    cells: cells.flatMap(({planned, canonical, others, spread}) =>
      canonical === null
        ? []
        : [
            {
              cell: planned.cell.id,
              canonical: canonical.attempt,
              attempts: [canonical, ...others].map(({attempt, manifest, engineNode, row, path}) => ({
                attempt,
                host: manifest.host.host,
                node: engineNode,
                status: row?.status ?? null,
                decode_tokens_per_s: row?.decode_tokens_per_s ?? null,
                latency_ms_p50: row?.latency_ms_p50 ?? null,
                file: lastParts(path),
              })),
              spread,
            },
          ],
    ),
    missing: missingOf(cells),
    refused: refusals.map(({path, code, detail}) => ({file: lastParts(path), code, detail})),
  };
}

const missingOf = (cells: readonly MergedCell[]): string[] =>
  cells
    .filter(({canonical, planned}) => canonical === null && !isRefusedForGood(planned))
    .map(({planned}) => planned.cell.id);

/** `<cell>/<attempt>.jsonl`: what is committed names no folder of this machine. */
const lastParts = (path: string): string => path.split('/').slice(-2).join('/');

/** Files with a trailer: what starts cells looks no further. */
const SEALED: ReadonlySet<Refusal['code']> = new Set(['damaged', 'foreign', 'mixed-build', 'conflict']);

/** Folders of the same plan and device under another name, which a report would count beside the new ones. */
async function earlierMerges(out: string, runs: readonly MergedRun[]): Promise<string[]> {
  const lines: string[] = [];
  for (const {manifest} of runs) {
    for (const name of await RunFolder.siblings(out, manifest)) {
      lines.push(`${join(out, name)} is an earlier merge of the same cells: remove it, or a report counts them twice`);
    }
  }
  return lines;
}

function told(merged: Merged, runs: readonly MergedRun[], out: string): string[] {
  const {cells, refusals} = merged;
  const lines: string[] = [];
  for (const code of new Set(refusals.map((one) => one.code))) {
    const files = refusals.filter((one) => one.code === code);
    lines.push(`not merged: ${files.length} ${code} (${REFUSALS[code]})`);
    for (const {path, detail} of files.slice(0, NAMED)) lines.push(`  ${path}: ${detail}`);
    if (files.length > NAMED) lines.push(`  … and ${files.length - NAMED} more`);
  }
  const repeated = cells.filter(({others}) => others.length > 0);
  if (repeated.length > 0)
    lines.push(`${repeated.length} cells were measured more than once; the first attempt by id counts:`);
  for (const {planned, canonical, others, spread} of repeated.slice(0, NAMED)) {
    const apart = spread.decode_tokens_per_s;
    const text = apart === null ? 'no rates to compare' : `decode rates differ by ${(100 * apart).toFixed(1)} %`;
    lines.push(`  ${planned.cell.id}: ${canonical?.attempt ?? ''} and ${others.length} more; ${text}`);
  }
  const missing = missingOf(cells);
  if (missing.length > 0) {
    lines.push(
      `missing: ${missing.length} cells have no whole attempt: ${missing.slice(0, NAMED).join(' ')}${missing.length > NAMED ? ' …' : ''}`,
    );
  }
  const blocked = new Set(refusals.filter(({code}) => SEALED.has(code)).map(({path}) => basename(dirname(path))));
  const stuck = missing.filter((cell) => blocked.has(cell)).length;
  if (stuck > 0) {
    lines.push(
      `${stuck} of them have attempts that were refused, and are taken for finished as long as those files are there: remove them to have the cells measured again`,
    );
  }
  const measured = cells.filter(({canonical}) => canonical !== null).length;
  lines.push(
    `${measured} of ${cells.length} cells merged into ${runs.length} run folder${runs.length === 1 ? '' : 's'} below ${out}`,
  );
  return lines;
}

function byPath(a: Refusal, b: Refusal): number {
  if (a.path === b.path) return 0;
  return a.path < b.path ? -1 : 1;
}
