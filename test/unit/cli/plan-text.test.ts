import {expect, test} from 'vitest';
import {planText} from '../../../harness/cli/plan-text.ts';
import {makePlan} from '../../../harness/plan/plan.ts';
import {loadText, matrixText} from '../../support/matrix-file.ts';
import {PLAN_CATALOGUE, planEstimate, planHost, planRunners} from '../../support/plan-hosts.ts';

const text = async (lines: Readonly<Record<string, string>>, width?: number): Promise<string> =>
  planText(
    await makePlan({
      loaded: await loadText(matrixText({formats: '[gguf-f16]', devices: '[host-cpu]', ...lines})),
      host: planHost(),
      catalogue: PLAN_CATALOGUE,
      runners: planRunners(),
      estimate: planEstimate(),
      harness: '0.1.0',
    }),
    width,
  );

test('cells of a sweep are told apart by what is swept, as the matrix file spells it', async () => {
  const swept = await text({sweep: '{threads: [1, cores], kv_type: [f16, q8_0]}'});
  expect(swept).toContain(' settings ');
  for (const settings of ['threads=1 kv_type=f16', 'threads=cores kv_type=q8_0']) expect(swept).toContain(settings);
});

test('a plan without a sweep has no column of settings', async () => {
  expect(await text({})).not.toContain('settings');
});

test('cells of other devices stand together, with their workloads in one line', async () => {
  const plan = await text({
    formats: '[gguf-f16, gguf-q8_0]',
    devices: '[t4, h100, host-cpu]',
    workloads: '[{name: a, prompt_tokens: 8, generated_tokens: 8}, {name: b, prompt_tokens: 9, generated_tokens: 8}]',
  });
  expect(plan).toMatchInlineSnapshot(`
    "waits for t4, h100: 4 cells each · model m · runner llama-cpp · kernel auto · isa native · workload a, b

    format        memory
    ────────────────────
    gguf-f16   ~1.78 GiB
    gguf-q8_0  ~1.13 GiB

    runs here: 4 cells · model m · runner llama-cpp · kernel auto · isa native · device amd-epyc-9r14

    cell          format     workload      time ≤    memory
    ───────────────────────────────────────────────────────
    93cc876c0533  gguf-f16   a         6 min 21 s  1022 MiB
    910b1aacefab  gguf-q8_0  a         6 min 11 s   366 MiB
    4024ec0029a0  gguf-f16   b         6 min 21 s  1022 MiB
    3720804d3972  gguf-q8_0  b         6 min 11 s   366 MiB

    4 cells run here in 3 rounds, at most 25 min 04 s; disk to make weights 1.22 GiB; largest cell 1022 MiB of memory.
    8 cells wait for another device: h100, t4. Run the same command there."
  `);
});

test('a narrow terminal gets a narrow plan: the ids go first', async () => {
  const lines = {models: '[{name: a, source: "synthetic:x"}, {name: b, source: "synthetic:x"}]'};
  expect(await text(lines)).toContain('cell');
  const narrow = (await text(lines, 40)).split('\n').slice(0, -1);
  expect(narrow.join('\n')).not.toContain('cell  ');
  const table = narrow.slice(narrow.findIndex((line) => line.startsWith('─')) - 1);
  expect(Math.max(...table.map((line) => line.length))).toBeLessThanOrEqual(40);
});

test('a plan that runs nothing here counts no time, disk or memory', async () => {
  const waiting = await text({devices: '[t4]'});
  expect(waiting).toContain('No cell runs here.\n1 cell waits for another device: t4.');
  expect(waiting).not.toContain('0 ms');
});
