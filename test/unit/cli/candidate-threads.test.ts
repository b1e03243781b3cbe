import {mkdtemp, rm, truncate} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {readManyCandidates} from '../../../harness/cli/candidate-threads.ts';
import {readCandidates} from '../../../harness/cli/candidates.ts';
import {makePlan} from '../../../harness/plan/plan.ts';
import {writeAttempt} from '../../support/attempts.ts';
import {loadText, matrixText} from '../../support/matrix-file.ts';
import {PLAN_CATALOGUE, planEstimate, planHost, planRunners} from '../../support/plan-hosts.ts';

let root = '';
const paths: string[] = [];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'bench-threads-'));
  const plan = await makePlan({
    loaded: await loadText(matrixText({devices: '[t4]'})),
    host: planHost(),
    catalogue: PLAN_CATALOGUE,
    runners: planRunners(),
    estimate: planEstimate(),
    harness: '0.1.0',
  });
  for (let index = 0; index < 600; index++) {
    const planned = plan.cells[index % plan.cells.length];
    if (planned === undefined) throw new Error('no cell');
    paths.push(await writeAttempt(root, plan, planned, {attempt: `local-${10_000 + index}`, tokenNs: 1e7 + index}));
  }
  await truncate(paths[7] ?? '', 700);
});
afterAll(() => rm(root, {recursive: true}));

test('many attempt files are read by threads as they are by one, refused ones included', async () => {
  const byPath = (all: Awaited<ReturnType<typeof readCandidates>>) => new Map(all.map((one) => [one.path, one]));
  const read = byPath(await readManyCandidates(paths));
  expect(read.size).toBe(600);
  expect(read).toEqual(byPath(await readCandidates(paths)));
  expect(read.get(paths[7] ?? '')).toMatchObject({code: 'truncated'});
});

test('a file that cannot be read ends the merge by its own name, from a thread as well', async () => {
  const gone = join(root, 'gone.jsonl');
  await expect(readManyCandidates([...paths, gone])).rejects.toMatchObject({
    code: 'FILE_UNREADABLE',
    message: expect.stringContaining(gone),
  });
});
