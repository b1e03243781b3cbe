import {expect, test} from 'vitest';
import {planText} from '../../../harness/cli/plan-text.ts';
import {makePlan} from '../../../harness/plan/plan.ts';
import {loadText, matrixText} from '../../support/matrix-file.ts';
import {PLAN_CATALOGUE, planEstimate, planHost, planRunners} from '../../support/plan-hosts.ts';

const text = async (lines: Readonly<Record<string, string>>): Promise<string> =>
  planText(
    await makePlan({
      loaded: await loadText(matrixText({formats: '[gguf-f16]', devices: '[host-cpu]', ...lines})),
      host: planHost(),
      catalogue: PLAN_CATALOGUE,
      runners: planRunners(),
      estimate: planEstimate(),
      harness: '0.1.0',
    }),
  );

test('cells of a sweep are told apart by what is swept, as the matrix file spells it', async () => {
  const swept = await text({sweep: '{threads: [1, cores], kv_type: [f16, q8_0]}'});
  expect(swept).toContain(' settings ');
  for (const settings of ['threads=1 kv_type=f16', 'threads=cores kv_type=q8_0']) expect(swept).toContain(settings);
});

test('a plan without a sweep has no column of settings', async () => {
  expect(await text({})).not.toContain('settings');
});

test('a plan that runs nothing here counts no time, disk or memory', async () => {
  const waiting = await text({devices: '[t4]'});
  expect(waiting).toContain('No cell runs here.\n1 cells wait for another device: t4.');
  expect(waiting).not.toContain('0 ms');
});
