import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {parseRanges, parseSickNodes, parseSqueue, troubleOf} from '../../../harness/engines/slurm-state.ts';
import {ranges} from '../../../harness/engines/tasks.ts';

const IDS = new Set(['12']);

/** As Slurm 22.05 and 23.02 write it: words, plain numbers, raw wait status. */
const OLD = JSON.stringify({
  jobs: [
    {
      job_id: 12,
      name: 'bench-p1-t4',
      array_job_id: 12,
      array_task_id: null,
      array_task_string: '3-5,9%2',
      job_state: 'PENDING',
      state_reason: 'Resources',
      exit_code: 0,
      nodes: '',
      restart_cnt: 0,
    },
    {
      job_id: 13,
      name: 'bench-p1-t4',
      array_job_id: 12,
      array_task_id: 1,
      array_task_string: '',
      job_state: 'FAILED',
      state_reason: 'NonZeroExitCode',
      exit_code: 19968,
      nodes: 'a100-1',
      restart_cnt: 0,
    },
    {
      job_id: 14,
      name: 'bench-p1-t4',
      array_job_id: 12,
      array_task_id: 2,
      array_task_string: '',
      job_state: 'RUNNING',
      state_reason: 'None',
      exit_code: 0,
      nodes: 't4-1',
      restart_cnt: 1,
    },
    {
      job_id: 77,
      name: 'bench-p1-t4',
      array_job_id: 0,
      array_task_id: null,
      array_task_string: '',
      job_state: 'RUNNING',
      state_reason: 'None',
      exit_code: 0,
      nodes: 't4-2',
      restart_cnt: 0,
    },
  ],
});

/** As 23.11 and later write it: flags, structures. */
const set = (number: number) => ({set: true, infinite: false, number});
const unset = {set: false, infinite: false, number: 0};
const code = (number: number) => ({status: ['ERROR'], return_code: set(number), signal: {id: unset, name: ''}});
const NEW = JSON.stringify({
  jobs: [
    {
      job_id: 12,
      name: 'bench-p1-t4',
      array_job_id: set(12),
      array_task_id: unset,
      array_task_string: '3-5,9%2',
      job_state: ['PENDING'],
      state_reason: 'Resources',
      exit_code: code(0),
      nodes: '',
      restart_cnt: 0,
    },
    {
      job_id: 13,
      name: 'bench-p1-t4',
      array_job_id: set(12),
      array_task_id: set(1),
      array_task_string: '',
      job_state: ['FAILED'],
      state_reason: 'NonZeroExitCode',
      exit_code: code(78),
      nodes: 'a100-1',
      restart_cnt: 0,
    },
    {
      job_id: 14,
      name: 'bench-p1-t4',
      array_job_id: set(12),
      array_task_id: set(2),
      array_task_string: '',
      job_state: ['RUNNING', 'REQUEUED'],
      state_reason: 'None',
      exit_code: code(0),
      nodes: 't4-1',
      restart_cnt: 1,
    },
    {
      job_id: 77,
      name: 'bench-p1-t4',
      array_job_id: set(0),
      array_task_id: unset,
      array_task_string: '',
      job_state: ['RUNNING'],
      state_reason: 'None',
      exit_code: code(0),
      nodes: 't4-2',
      restart_cnt: 0,
    },
  ],
});

describe('the answer of squeue --json', () => {
  test('means the same in both of its shapes, and holds only the jobs asked for', () => {
    const tasks = parseSqueue(OLD, 'p1', IDS);
    expect(parseSqueue(NEW, 'p1', IDS)).toEqual(tasks);
    expect(tasks?.map(({state, places, exitStatus}) => [state, places, exitStatus])).toEqual([
      ['PENDING', [3, 4, 5, 9], 0],
      ['FAILED', [1], 78],
      ['RUNNING', [2], 0],
    ]);
  });

  test('is not guessed when it is something else', () => {
    expect(parseSqueue('slurm_load_jobs error', 'p1', IDS)).toBeNull();
    expect(parseSqueue('{"meta": {}}', 'p1', IDS)).toBeNull();
    expect(parseSqueue('{"jobs": [{"job_id": "x"}, 7]}', 'p1', IDS)).toEqual([]);
  });

  test('a list of places may have steps and a limit, and may be shortened', () => {
    expect(parseRanges('0-6:2,9%4')).toEqual([0, 2, 4, 6, 9]);
    expect(parseRanges('1,3,...')).toEqual([1, 3]);
    expect(parseRanges('0-99999999999')).toEqual([]);
  });
});

test('places that sbatch is given are those that are read back, however many', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat({max: 2000}), {maxLength: 400}), (numbers) => {
      const sorted = numbers.sort((a, b) => a - b);
      expect(parseRanges(ranges(sorted))).toEqual(sorted);
    }),
  );
});

describe('what is wrong is told with its cure', () => {
  const task = {
    jobId: '13',
    arrayId: '12',
    places: [1],
    state: 'PENDING',
    reason: '',
    exitStatus: null,
    nodes: 't4-1',
    restarts: 0,
  };

  test('a held job is released; one that is tried again soon is no trouble', () => {
    expect(troubleOf({...task, reason: 'launch failed requeued held'})).toMatch(/`scontrol release 12_1`/);
    expect(troubleOf({...task, reason: 'JobHeldUser'})).toMatch(/`scontrol release 12_1`/);
    expect(troubleOf({...task, reason: 'BeginTime'})).toBeNull();
  });

  test('what a limit forbids never starts, and is told with its cure; what waits for its turn is not', () => {
    for (const reason of [
      'PartitionTimeLimit',
      'QOSMaxWallDurationPerJobLimit',
      'AssocMaxNodePerJobLimit',
      'InvalidQOS',
    ])
      expect(troubleOf({...task, reason})).toMatch(/cannot start \(\w+\): `scancel 12_1`, mend engines\.yaml/);
    expect(troubleOf({...task, reason: 'PartitionDown'})).toContain('its partition, which takes no jobs');
    for (const reason of ['Resources', 'Priority', 'QOSMaxJobsPerUserLimit', 'AssocGrpGRES', 'Dependency'])
      expect(troubleOf({...task, reason})).toBeNull();
  });

  test('an exit status says which cure', () => {
    const failed = (exitStatus: number | null) => troubleOf({...task, state: 'FAILED', exitStatus});
    expect(failed(78)).toContain('another device on t4-1 than its label says');
    expect(failed(75)).toContain('tried again too often on t4-1: read logs/slurm-12_1.log');
    expect(failed(2)).toContain('failed (exit 2): read logs/slurm-12_1.log');
    expect(troubleOf({...task, state: 'TIMEOUT'})).toContain('walltime.factor');
    expect(troubleOf({...task, state: 'COMPLETED', exitStatus: 0})).toBeNull();
  });

  test('drained and lost nodes are found, healthy ones are not', () => {
    const text =
      't4-1|idle|none\nt4-2|drained|Duplicate jobid\na100-1|down*|Not responding\nt4-2|drained|Duplicate jobid';
    expect(parseSickNodes(text)).toEqual([
      {node: 't4-2', state: 'drained', reason: 'Duplicate jobid'},
      {node: 'a100-1', state: 'down*', reason: 'Not responding'},
    ]);
  });
});
