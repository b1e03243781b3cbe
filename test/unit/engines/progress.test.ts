import {beforeAll, expect, test} from 'vitest';
import type {Plan} from '../../../harness/contract/plan.ts';
import {type ProgressInput, planProgress} from '../../../harness/engines/progress.ts';
import type {SlurmTask} from '../../../harness/engines/slurm-state.ts';
import {makePlan} from '../../../harness/plan/plan.ts';
import {loadText, matrixText} from '../../support/matrix-file.ts';
import {PLAN_CATALOGUE, planEstimate, planHost, planRunners} from '../../support/plan-hosts.ts';

let plan: Plan;
beforeAll(async () => {
  plan = await makePlan({
    loaded: await loadText(matrixText({devices: '[t4, ryzen-7-5800hs]'})),
    host: planHost(),
    catalogue: PLAN_CATALOGUE,
    runners: planRunners(),
    estimate: planEstimate(),
    harness: '0.1.0',
  });
});

const cells = (device: string) => plan.cells.filter(({cell}) => cell.device === device).map(({cell}) => cell.id);
const task = (arrayId: string, more: Partial<SlurmTask> = {}): SlurmTask => ({
  jobId: arrayId,
  arrayId,
  places: [0],
  state: 'RUNNING',
  reason: '',
  exitStatus: null,
  nodes: 't4-1',
  restarts: 0,
  ...more,
});
const JOBS = [
  {id: '1', device: 't4', offset: 0, tasks: 2},
  {id: '2', device: 'ryzen-7-5800hs', offset: 0, tasks: 2},
];
const progress = (input: Partial<ProgressInput>) =>
  planProgress({plan, finished: new Set(), partial: new Map(), jobs: JOBS, tasks: [], sickNodes: [], ...input});

test('the engine says what runs and waits, the attempts say what is finished', () => {
  const [first = ''] = cells('t4');
  const {devices, troubles} = progress({
    finished: new Set([first]),
    partial: new Map([[first, 2]]),
    tasks: [
      task('1'),
      task('1', {state: 'PENDING', places: [1, 2], reason: 'Resources'}),
      task('1', {state: 'PENDING', places: [5], reason: 'BeginTime'}),
      task('2', {state: 'PENDING', places: [], reason: 'None'}),
    ],
  });
  expect(devices).toEqual([
    {device: 't4', cells: 2, finished: 1, partial: 2, running: 1, pending: 3, waitsFor: ['BeginTime', 'Resources']},
    {device: 'ryzen-7-5800hs', cells: 2, finished: 0, partial: 0, running: 0, pending: 1, waitsFor: []},
  ]);
  expect(troubles).toEqual([]);
});

test('an engine that cannot be asked leaves its figures empty, and those of the attempts stand', () => {
  const {devices, troubles} = progress({finished: new Set(cells('t4')), tasks: null});
  expect(devices[0]).toEqual({
    device: 't4',
    cells: 2,
    finished: 2,
    partial: 0,
    running: null,
    pending: null,
    waitsFor: [],
  });
  expect(troubles).toEqual([]);
});

test('a job that Slurm has forgotten is told, with the command that has what is missing', () => {
  const {devices, troubles} = progress({tasks: [task('2')]});
  expect(devices.map(({running}) => running)).toEqual([null, 1]);
  expect(troubles).toEqual([expect.stringMatching(/^Slurm has forgotten job 1 .* give the same `bench matrix/)]);
});

test('a forgotten job is none to tell once its cells are finished, or another one has taken its place', () => {
  expect(progress({finished: new Set(cells('t4')), tasks: [task('2')]}).troubles).toEqual([]);
  const jobs = [...JOBS, {id: '3', device: 't4', offset: 0, tasks: 2}];
  expect(progress({jobs, tasks: [task('2'), task('3')]}).troubles).toEqual([]);
});

test('what went wrong and was made good since is no trouble any more; what is queued still is', () => {
  const finished = new Set(cells('t4'));
  const failed = task('1', {state: 'FAILED', exitStatus: 78});
  expect(progress({finished, tasks: [failed, task('2')]}).troubles).toEqual([]);
  expect(progress({tasks: [failed, task('2')]}).troubles).toHaveLength(1);
  const held = task('1', {state: 'PENDING', reason: 'launch failed requeued held'});
  expect(progress({finished, tasks: [held, task('2')]}).troubles[0]).toContain('`scontrol release 1_0`');
  expect(progress({finished: new Set(plan.cells.map(({cell}) => cell.id)), tasks: []}).troubles).toEqual([]);
});

test('of merges only the last one counts: an earlier one ended without what was missing then', () => {
  const jobs = [...JOBS, {id: '8', device: null, offset: 0, tasks: 1}, {id: '9', device: null, offset: 0, tasks: 1}];
  const merge = (id: string, more: Partial<SlurmTask>) => task(id, {places: [], ...more});
  const failed = merge('8', {state: 'FAILED', exitStatus: 1});
  const told = (last: Partial<SlurmTask>) =>
    progress({jobs, tasks: [task('1'), task('2'), failed, merge('9', last)]}).troubles;
  expect(told({state: 'COMPLETED', exitStatus: 0})).toEqual([]);
  expect(told({state: 'PENDING', reason: 'Dependency'})).toEqual([]);
  expect(told({state: 'FAILED', exitStatus: 1})).toEqual([
    'the merge found cells that are missing or failed: logs/merge-9.log names them',
  ]);
  expect(told({state: 'TIMEOUT'})).toEqual([
    'the merge (job 9) did not come to its end: read logs/merge-9.log, then give `bench merge` yourself',
  ]);
});

test('a node that takes no jobs is named with the reason of Slurm and the cure', () => {
  const sickNodes = [{node: 't4-2', state: 'drained', reason: 'Duplicate jobid'}];
  expect(progress({tasks: [task('1'), task('2')], sickNodes}).troubles).toEqual([
    'node t4-2 is drained (Duplicate jobid): once it is well, an administrator gives `scontrol update nodename=t4-2 state=resume`',
  ]);
});

test('of a large cluster, nodes that ran the plan are named first, and most others only counted', () => {
  const sick = (node: string) => ({node, state: 'drained', reason: 'repair'});
  const sickNodes = [...Array.from({length: 40}, (_, index) => sick(`cpu-${index}`)), sick('t4-1')];
  const {troubles} = progress({tasks: [task('1'), task('2')], sickNodes});
  expect(troubles).toHaveLength(7);
  expect(troubles[0]).toContain('node t4-1 is drained (repair)');
  expect(troubles.at(-1)).toBe('35 more nodes of the cluster take no jobs: `sinfo -R` says why');
  const finished = new Set(plan.cells.map(({cell}) => cell.id));
  expect(progress({finished, tasks: [task('1'), task('2')], sickNodes}).troubles).toEqual([]);
});
