import {expect, test} from 'vitest';
import {BenchError} from '../../../harness/contract/errors.ts';
import type {Recording, Sampler} from '../../../harness/contract/sampler.ts';
import {availableSamplers} from '../../../harness/exec/available-samplers.ts';
import {SampleRecorder} from '../../../harness/exec/record-samples.ts';

const context = {pid: process.pid, periodMs: 10, nowMs: () => 0, gpuIndex: null};
const result = {series: [], caveats: [{code: 'sampler-gaps', value: '0.5'}]} as const;
const good: Recording = {edge: () => undefined, stop: async () => result};

function sampler(id: string, start: () => Promise<Recording>, available: Sampler['available'] = there): Sampler {
  return {id, available, start};
}
const there: Sampler['available'] = async () => ({ok: true, detail: ''});

test('a sampler that fails at its start, at an edge or at its end costs a caveat, and the others go on', async () => {
  const broken = () => {
    throw new Error('the driver is gone');
  };
  const recorder = await SampleRecorder.start(
    [
      sampler('start', () => Promise.reject(new Error('the driver is gone'))),
      sampler('absent', () => Promise.reject(new BenchError('SAMPLER_UNAVAILABLE', 'no such counter'))),
      sampler('edge', async () => ({...good, edge: broken})),
      sampler('stop', async () => ({...good, stop: async () => broken()})),
      sampler('good', async () => good),
    ],
    context,
  );
  recorder.edge('measure');
  recorder.edge('end');
  expect(recorder.edges.map(({phase}) => phase)).toEqual(['baseline', 'measure', 'end']);
  expect((await recorder.stop()).caveats).toEqual([
    {code: 'sampler-lost', value: 'start'},
    {code: 'sampler-lost', value: 'edge'},
    {code: 'sampler-lost', value: 'stop'},
    {code: 'sampler-gaps', value: '0.5'},
    {code: 'sampler-gaps', value: '0.5'},
  ]);
});

test('a sampler that cannot even be asked is tried, one that says no is left out', async () => {
  const samplers = [
    sampler(
      'broken',
      async () => good,
      () => Promise.reject(new Error('EIO')),
    ),
    sampler(
      'absent',
      async () => good,
      async () => ({ok: false, reason: 'no', fix: null}),
    ),
    sampler('good', async () => good),
  ];
  expect((await availableSamplers(samplers)).map(({id}) => id)).toEqual(['broken', 'good']);
});
