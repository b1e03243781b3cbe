import {mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Command} from 'commander';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {registerMergeCommand} from '../../../harness/cli/commands/merge.ts';
import type {Plan} from '../../../harness/contract/plan.ts';
import {makePlan} from '../../../harness/plan/plan.ts';
import {readResultsCsv} from '../../../harness/store/results-csv.ts';
import {type MadeUpAttempt, writeAttempt} from '../../support/attempts.ts';
import {loadText, matrixText} from '../../support/matrix-file.ts';
import {PLAN_CATALOGUE, planEstimate, planHost, planRunners} from '../../support/plan-hosts.ts';

let root = '';
let plan: Plan;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'bench-merge-'));
  plan = await makePlan({
    loaded: await loadText(matrixText({devices: '[t4]'})),
    host: planHost(),
    catalogue: PLAN_CATALOGUE,
    runners: planRunners(),
    estimate: planEstimate(),
    harness: '0.1.0',
  });
  await mkdir(join(root, 'plan'));
  await writeFile(join(root, 'plan', 'plan.json'), JSON.stringify(plan));
});
afterEach(() => rm(root, {recursive: true}));

const attempt = async (index: number, more: MadeUpAttempt = {}): Promise<string> => {
  const planned = plan.cells[index];
  if (planned === undefined) throw new Error('no such cell');
  return await writeAttempt(join(root, 'plan'), plan, planned, more);
};
const id = (index: number): string => plan.cells[index]?.cell.id ?? '';

interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
  readonly error: string;
}

async function merge(paths: readonly string[] = [join(root, 'plan')], ...args: readonly string[]): Promise<Ended> {
  let [out, err] = ['', ''];
  let status: number | null = null;
  const program = new Command().exitOverride().configureOutput({writeErr: () => {}});
  registerMergeCommand(program, {
    env: {},
    stdout: {write: (text: string) => (out += text)},
    stderr: {write: (text: string) => (err += text)},
    signal: new AbortController().signal,
    exit: (given) => (status = given),
  });
  const words = ['merge', ...paths, '--plan', join(root, 'plan', 'plan.json'), '--out', join(root, 'out'), ...args];
  const error = await program.parseAsync(words, {from: 'user'}).then(
    () => '',
    (problem: unknown) => String(problem),
  );
  return {status, out, err, error};
}

/** Every file of the merged runs, with its content. */
async function written(): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const name of await readdir(join(root, 'out'), {recursive: true})) {
    const text = await readFile(join(root, 'out', name), 'utf8').catch(() => null);
    if (text !== null) files[name] = text;
  }
  return files;
}

describe('bench merge', () => {
  test('of the same files, named in any order and twice, writes the same bytes', async () => {
    const files = [
      await attempt(0, {attempt: 'slurm-1_0-r0-aaaa'}),
      await attempt(0, {attempt: 'slurm-1_0-r1-bbbb', tokenNs: 2e7}),
      await attempt(1),
    ];
    expect((await merge(files)).status).toBe(0);
    const first = await written();
    expect((await merge([...files, ...files].reverse())).status).toBe(0);
    expect(await written()).toEqual(first);
    const [name = ''] = await readdir(join(root, 'out')).then((all) => all.filter((one) => one.startsWith('small--')));
    const rows = await readResultsCsv(join(root, 'out', name, 'results.csv'));
    expect(rows.find(({cell_id}) => cell_id === id(0))?.decode_tokens_per_s).toBe(100);
  });

  test('says how far repetitions are apart, and that the first by id counts although it is slower', async () => {
    await attempt(0, {attempt: 'slurm-1_0-r0-aaaa', tokenNs: 2e7});
    await attempt(0, {attempt: 'slurm-1_0-r1-bbbb'});
    await attempt(1);
    const {err} = await merge();
    expect(err).toContain('1 cells were measured more than once; the first attempt by id counts');
    expect(err).toContain(`${id(0)}: slurm-1_0-r0-aaaa and 1 more; decode rates differ by 100.0 %`);
  });

  test('again, with one attempt more whose id comes first, replaces the folder and makes no second one', async () => {
    await attempt(0, {attempt: 'slurm-99_0-r0-aaaa'});
    await attempt(1);
    await merge();
    const before = await readdir(join(root, 'out'));
    // Job 100 comes after job 99 and sorts before it: it counts, and began later.
    await attempt(0, {attempt: 'slurm-100_0-r0-bbbb', startedAt: '2026-01-01T06:00:00.000Z'});
    const {err} = await merge();
    expect(err).toContain('slurm-100_0-r0-bbbb and 1 more');
    expect(await readdir(join(root, 'out'))).toEqual(before);
  });

  test('names an earlier merge of the same cells that lies under another name', async () => {
    await attempt(0, {startedAt: '2026-01-01T06:00:00.000Z'});
    await merge();
    // A clock that was hours behind.
    await attempt(1, {startedAt: '2026-01-01T01:00:00.000Z'});
    const {err} = await merge();
    expect(err).toMatch(
      /small--t4--merged--20260101T060000Z is an earlier merge of the same cells: remove it, or a report counts them twice/,
    );
  });

  test('refuses a mix of builds by name, and counts the one that is named', async () => {
    await attempt(0, {gitCommit: 'aaaa'});
    const other = await attempt(1, {gitCommit: 'bbbb'});
    const mixed = await merge();
    expect(mixed.error).toMatch(
      /attempts of 2 builds: "bench \S+ aaaa" \(1 files.*Name the one that counts with --build/,
    );
    const version = /"(bench \S+) aaaa"/.exec(mixed.error)?.[1] ?? '';
    const {err, status} = await merge(undefined, '--build', `${version} aaaa`);
    expect(err).toContain(`not merged: 1 mixed-build (measured by another build than the other attempts)\n  ${other}:`);
    expect(err).toContain(`missing: 1 cells have no whole attempt: ${id(1)}`);
    expect(err).toMatch(/1 of them have attempts that were refused, .*: remove them to have the cells measured again/);
    expect(status).toBe(1);
    expect((await merge(undefined, '--build', 'bench 9')).error).toMatch(
      /--build bench 9: there are attempts of bench/,
    );
  });

  test('names what is cut off or under way, and does not call it finished', async () => {
    const cut = await attempt(0);
    await truncate(cut, 500);
    await mkdir(join(root, 'plan', 'attempts', id(1), 'local-1.partial'), {recursive: true});
    const {err, status, out} = await merge();
    expect(err).toContain(`not merged: 1 truncated`);
    expect(err).toContain(`  ${cut}: the last line is torn`);
    expect(err).toMatch(/not merged: 1 partial .*\n.*local-1\.partial/);
    expect(err).toContain('missing: 2 cells have no whole attempt');
    expect(err).not.toContain('taken for finished');
    expect([status, out]).toEqual([1, '']);
  });
});
