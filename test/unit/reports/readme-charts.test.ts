import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {PACKAGE_ROOT} from '../../../harness/cli/package-root.ts';
import {runFolders} from '../../../harness/cli/read-runs.ts';
import {fontFiles} from '../../../harness/cli/report-assets.ts';
import {readReportInput} from '../../../harness/cli/report-input.ts';
import {CHARTS} from '../../../reports/all-charts.ts';
import {PngReporter} from '../../../reports/png-reporter.ts';

// After a change that is meant: npx bench report results/licardo-2025--* --formats png --out /tmp/report, look at the
// charts, and copy those of results/charts.
const RUNS = join(PACKAGE_ROOT, 'results');
const FOLDER = join(RUNS, 'charts');

test.each(readdirSync(FOLDER))('%s is drawn from the committed results, and README shows it', async (name) => {
  const runs = readdirSync(RUNS).filter((one) => one.startsWith('licardo-2025--'));
  const folders = await runFolders(runs.map((run) => join(RUNS, run)));
  const chart = CHARTS.filter(({id}) => `${id}.png` === name);
  const [file] = await new PngReporter(chart, {fontFiles: fontFiles()}).render(
    await readReportInput(folders, 'README'),
  );
  expect(Buffer.compare(Buffer.from(file?.content ?? ''), readFileSync(join(FOLDER, name)))).toBe(0);
  expect(readFileSync(join(PACKAGE_ROOT, 'README.md'), 'utf8')).toContain(`](results/charts/${name})`);
});
