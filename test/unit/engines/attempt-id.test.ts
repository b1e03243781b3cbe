import {expect, test} from 'vitest';
import {AttemptIdSchema} from '../../../harness/contract/attempt.ts';
import {attemptId, engineJob} from '../../../harness/engines/attempt-id.ts';

const NONCE = '0123456789abcdef';

test.each([
  [
    'Slurm',
    {SLURM_ARRAY_JOB_ID: '12', SLURM_ARRAY_TASK_ID: '3', SLURM_RESTART_COUNT: '1', SLURMD_NODENAME: 't4-1'},
    {engine: 'slurm', job: '12_3-r1', node: 't4-1'},
  ],
  ['Slurm without an array', {SLURM_JOB_ID: '12'}, {engine: 'slurm', job: '12_0-r0', node: null}],
  [
    'SkyPilot',
    {SKYPILOT_TASK_ID: 'sky-2026-11-24-00-00-00-000000_bench_1-0', SKYPILOT_NODE_IPS: '10.0.0.4'},
    {engine: 'skypilot', job: 'sky-2026-11-24-00-00-00-000000_bench_1-0', node: '10.0.0.4'},
  ],
  [
    'Kubernetes',
    {JOB_COMPLETION_INDEX: '7', HOSTNAME: 'bench-t4-7-x2x9z', NODE_NAME: 'gpu-node-1'},
    {engine: 'kubernetes', job: '7', node: 'gpu-node-1'},
  ],
  [
    'Kubernetes without the name of the node',
    {JOB_COMPLETION_INDEX: '7', HOSTNAME: 'pod'},
    {engine: 'kubernetes', job: '7', node: 'pod'},
  ],
  ['GNU parallel', {PARALLEL_SEQ: '4', PARALLEL_SSHHOST: 'gpubox'}, {engine: 'parallel', job: '4', node: 'gpubox'}],
  ['a shell', {}, {engine: 'local', job: null, node: null}],
])('an attempt below %s says by which job and where', (_, env, expected) => {
  expect(engineJob(env)).toEqual(expected);
  expect(AttemptIdSchema.safeParse(attemptId(engineJob(env), NONCE)).success).toBe(true);
});

test('two attempts of one job with one restart count, as a crashed controller starts them, differ by their nonce', () => {
  const job = engineJob({SLURM_ARRAY_JOB_ID: '12', SLURM_ARRAY_TASK_ID: '3'});
  expect(attemptId(job, 'a'.repeat(16))).not.toBe(attemptId(job, 'b'.repeat(16)));
});

test('what an engine calls its job can name no other folder, and is cut where a file name would be too long', () => {
  const id = attemptId({engine: 'skypilot', job: `../../etc/${'x'.repeat(300)}`, node: null}, NONCE);
  expect(id).not.toMatch(/[/\\]/);
  expect(AttemptIdSchema.safeParse(id).success).toBe(true);
  expect(attemptId({engine: 'skypilot', job: '../../etc/passwd', node: null}, NONCE)).toBe(
    `skypilot-..-..-etc-passwd-${NONCE}`,
  );
});
