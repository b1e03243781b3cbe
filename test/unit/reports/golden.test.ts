import {join} from 'node:path';
import {expect, test} from 'vitest';
import {CHARTS} from '../../../reports/all-charts.ts';
import {MarkdownReporter} from '../../../reports/markdown-reporter.ts';
import {toSvg, toVega} from '../../../reports/render.ts';
import {VegaLiteReporter} from '../../../reports/vega-lite-reporter.ts';
import {shuffledInput} from '../../support/report-order.ts';
import {simulatedInput} from '../../support/report-rows.ts';

// After a change that is meant: npx vitest run --config test/vitest.config.ts test/unit/reports/golden.test.ts -u, then look at the diff.
const GOLDEN = join(import.meta.dirname, 'golden');
const input = simulatedInput(14);

test.each(CHARTS)('$id.vl.json is the golden one', async (chart) => {
  const [file] = await new VegaLiteReporter([chart]).render(input);
  if (file === undefined) throw new Error(`the fixture has nothing for ${chart.id}`);
  await expect(file.content).toMatchFileSnapshot(join(GOLDEN, file.path));
});

test('the drawing of coverage is the golden one: no font of this machine has a part in it', async () => {
  const chart = CHARTS.find(({id}) => id === 'coverage');
  const spec = chart?.spec(input) ?? null;
  if (spec === null) throw new Error('the fixture has rows');
  await expect(await toSvg('coverage', toVega('coverage', spec))).toMatchFileSnapshot(join(GOLDEN, 'coverage.svg'));
});

test.each([14, 60])('report.md of %i cells is the golden one, whatever the order of rows', async (cells) => {
  const [file] = await new MarkdownReporter().render(simulatedInput(cells));
  const [shuffled] = await new MarkdownReporter().render(shuffledInput(simulatedInput(cells)));
  await expect(file?.content).toMatchFileSnapshot(join(GOLDEN, `report-${cells}.md`));
  expect(String(shuffled?.content).split('## Provenance')[0]).toBe(String(file?.content).split('## Provenance')[0]);
});
