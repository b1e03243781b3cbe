import {join} from 'node:path';
import {expect, test} from 'vitest';
import {pageAssets} from '../../../harness/cli/report-assets.ts';
import {CHARTS} from '../../../reports/all-charts.ts';
import {HtmlReporter} from '../../../reports/html-reporter.ts';
import {simulatedInput} from '../../support/report-rows.ts';

const GOLDEN = join(import.meta.dirname, 'golden', 'page.html');

test('the page is the golden one, beside scripts, style and drawings, which have files and tests of their own', async () => {
  const [file] = await new HtmlReporter(CHARTS, await pageAssets()).render(simulatedInput(14));
  const text = String(file?.content)
    .replace(/<(script|style|svg)\b[\s\S]*?<\/\1>/g, '<$1/>')
    .replace(/'sha256-[^']*'/g, "'sha256-…'")
    .replace(
      /(?<=>)(?=<(?:h[1-6]|p|ul|li|dl|dt|dd|tr|td|th|section|figure|div|label|option|header|nav|main|dialog)\b)/g,
      '\n',
    );
  await expect(text).toMatchFileSnapshot(GOLDEN);
});
