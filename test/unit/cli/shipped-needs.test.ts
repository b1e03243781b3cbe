import {expect, test} from 'vitest';
import {shippedNeeds} from '../../../harness/cli/shipped-needs.ts';
import {decisionRow} from '../claims/decide-build.ts';

const names = async (rows: Parameters<typeof shippedNeeds>[0]): Promise<string[]> =>
  (await shippedNeeds(rows)).map(({need}) => need);

test('a report of one workload answers every example that names none', async () => {
  expect(await names([decisionRow({workload: 'p64-g16'})])).toEqual(['interactive']);
  expect(await names([decisionRow({workload: 'attributes'})])).toEqual(['batch-enrichment', 'edge-box', 'interactive']);
});

test('of two workloads, only examples that are about one of them are answered', async () => {
  const rows = [decisionRow({workload: 'p64-g16'}), decisionRow({cell_id: 'b', workload: 'intent'})];
  expect(await names(rows)).toEqual(['batch-enrichment', 'edge-box', 'intent-chat']);
  const two = [decisionRow({workload: 'attributes'}), decisionRow({cell_id: 'b', workload: 'intent'})];
  expect(await names(two)).toEqual(['intent-chat']);
});

test('two models on one workload are no single answer, and what waits is none', async () => {
  const rows = [decisionRow({workload: 'intent'}), decisionRow({cell_id: 'b', model: 'phi-2', workload: 'intent'})];
  expect(await names(rows)).toEqual([]);
  expect(await names([decisionRow({workload: 'intent', status: 'waiting'})])).toEqual([]);
});
