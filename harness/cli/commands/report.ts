import {mkdir, readFile, writeFile} from 'node:fs/promises';
import {basename, dirname, join, resolve} from 'node:path';
import type {Command} from 'commander';
import {CHARTS} from '../../../reports/all-charts.ts';
import type {Chart} from '../../../reports/chart.ts';
import {HtmlReporter} from '../../../reports/html-reporter.ts';
import {MarkdownReporter} from '../../../reports/markdown-reporter.ts';
import {PngReporter} from '../../../reports/png-reporter.ts';
import {SvgReporter} from '../../../reports/svg-reporter.ts';
import {VegaLiteReporter} from '../../../reports/vega-lite-reporter.ts';
import {reportDecision} from '../../claims/decision-report.ts';
import {devicePrices} from '../../claims/offer.ts';
import {parseClaims} from '../../claims/parse-claims.ts';
import type {ClaimsFile} from '../../contract/claim.ts';
import {BenchError} from '../../contract/errors.ts';
import type {ReportDecision} from '../../contract/report-data.ts';
import type {Reporter, ReportInput} from '../../contract/reporter.ts';
import {loadCatalogue} from '../../device/catalogue.ts';
import type {RunFolder} from '../../store/run-folder.ts';
import type {CommandContext} from '../context.ts';
import {readNeed} from '../decide-need.ts';
import {decideRuns} from '../decide-runs.ts';
import {PACKAGE_ROOT} from '../package-root.ts';
import {runFolders} from '../read-runs.ts';
import {fontFiles, pageAssets} from '../report-assets.ts';
import {readReportInput} from '../report-input.ts';
import {shippedNeeds} from '../shipped-needs.ts';
import {PRICES_PATH, readPrices} from '../shipped-prices.ts';
import {spareMemory} from '../sparing-memory.ts';
import {plain} from '../terminal.ts';

/** By the name that `--formats` takes. */
const REPORTERS: Readonly<Record<string, (charts: readonly Chart[]) => Promise<Reporter>>> = {
  html: async (charts) => new HtmlReporter(charts, await pageAssets()),
  svg: async (charts) => new SvgReporter(charts),
  png: async (charts) => new PngReporter(charts, {fontFiles: fontFiles()}),
  md: async () => new MarkdownReporter(),
  vl: async (charts) => new VegaLiteReporter(charts),
};
const FORMATS = Object.keys(REPORTERS);

interface ReportOptions {
  readonly out?: string;
  readonly formats: string;
  readonly need: readonly string[];
  readonly claims: readonly string[];
  readonly prices: string;
  readonly title?: string;
}

/** `bench report PATH…`: pages and charts from committed files, on any machine. */
export function registerReportCommand(program: Command, context: CommandContext): void {
  program
    .command('report')
    .description('html, svg, png, md and Vega-Lite json from committed results; no hardware needed')
    .argument('<path...>', 'run folders, or folders of runs')
    .option('--out <dir>', 'folder of the report (default: the folder report in the first path)')
    .option('--formats <list>', `comma-separated: ${FORMATS.join(', ')}`, FORMATS.join(','))
    .option(
      '--need <file>',
      'a need to answer; repeatable (default: those of matrices/needs that the results can answer)',
      (file, known: readonly string[]) => [...known, file],
      [],
    )
    .option(
      '--claims <file>',
      'claims of a publication to check, as in matrices/claims; repeatable',
      (file, known: readonly string[]) => [...known, file],
      [],
    )
    .option('--prices <file>', 'prices of devices and APIs', PRICES_PATH)
    .option('--title <text>', 'title of the report')
    .action(async (paths: readonly string[], options: ReportOptions) => {
      const reporters = await chosenReporters(options.formats);
      const folders = await runFolders(paths);
      spareMemory();
      const first = paths[0] ?? '.';
      const read = await readReportInput(
        folders,
        options.title ?? titleOf(folders),
        await claimsOf(options.claims, options.prices),
      );
      const input: ReportInput = {
        ...read,
        prices: [...devicePrices(readPrices(options.prices))].map(([device, price]) => ({device, ...price})),
        decisions: await decisionsOf(read, folders, options),
      };
      const out = resolve(options.out ?? join(first, 'report'));
      for (const reporter of reporters) {
        context.signal.throwIfAborted();
        for (const {path, content} of await reporter.render(input)) {
          const file = join(out, path);
          await write(file, content);
          context.stdout.write(`${plain(file)}\n`);
        }
      }
    });
}

/** @throws {BenchError} `USAGE` for a format that is not there. */
async function chosenReporters(list: string): Promise<Reporter[]> {
  const names = [...new Set(list.split(',').map((name) => name.trim()))].filter((name) => name !== '');
  if (names.length === 0) throw new BenchError('USAGE', `--formats is empty; there are ${FORMATS.join(', ')}`);
  const reporters: Reporter[] = [];
  const charts = CHARTS.map(madeOnce);
  for (const name of names) {
    const make = Object.hasOwn(REPORTERS, name) ? REPORTERS[name] : undefined;
    if (make === undefined) throw new BenchError('USAGE', `--formats ${plain(name)}: there are ${FORMATS.join(', ')}`);
    reporters.push(await make(charts));
  }
  return reporters;
}

/** A chart whose spec all reporters share: of very many rows, making it is most of their work. */
function madeOnce(chart: Chart): Chart {
  const known = new WeakMap<ReportInput, ReturnType<Chart['spec']>>();
  return {
    ...chart,
    spec: (input) => {
      const made = known.has(input) ? (known.get(input) ?? null) : chart.spec(input);
      known.set(input, made);
      return made;
    },
  };
}

async function claimsOf(files: readonly string[], prices: string): Promise<ClaimsFile[]> {
  const claims: ClaimsFile[] = [];
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch((cause: unknown) => {
      throw new BenchError('FILE_UNREADABLE', `${file} cannot be read`, {cause});
    });
    claims.push(parseClaims(text, file, readPrices(prices)));
  }
  return claims;
}

async function decisionsOf(
  {runs, rows}: ReportInput,
  folders: readonly RunFolder[],
  {need: files, prices}: ReportOptions,
): Promise<ReportDecision[]> {
  const needs = files.length > 0 ? await Promise.all(files.map((need) => readNeed({need}))) : await shippedNeeds(rows);
  if (needs.length === 0) return [];
  const byRun = new Map<string, RunFolder>();
  for (const [index, folder] of folders.entries()) {
    for (const {run_id: run} of runs[index]?.rows ?? []) {
      if (run !== null) byRun.set(run, folder);
    }
  }
  const devices = await loadCatalogue(join(PACKAGE_ROOT, 'matrices', 'devices.yaml'));
  const decisions: ReportDecision[] = [];
  for (const need of needs) {
    decisions.push(
      reportDecision(await decideRuns({rows, folders: byRun}, need, {prices: readPrices(prices), devices})),
    );
  }
  // Who reads the first answer only should read one that says what to do.
  return decisions.toSorted((a, b) => VERDICTS.indexOf(a.verdict) - VERDICTS.indexOf(b.verdict));
}

const VERDICTS: readonly ReportDecision['verdict'][] = ['recommended', 'undecided', 'no-price', 'nothing-fits'];

function titleOf(folders: readonly RunFolder[]): string {
  const names = folders.map(({path}) => basename(path));
  const matrices = [...new Set(names.map((name) => name.split('--')[0] ?? name))];
  const hosts = new Set(names.map((name) => name.split('--').slice(1, 3).join(' '))).size;
  return `${matrices.join(', ')} on ${hosts} ${hosts === 1 ? 'host' : 'hosts'}`;
}

/** @throws {BenchError} `FILE_UNREADABLE` */
async function write(file: string, content: string | Uint8Array): Promise<void> {
  const failed = (cause: unknown): never => {
    throw new BenchError('FILE_UNREADABLE', `${file} cannot be written`, {cause});
  };
  await mkdir(dirname(file), {recursive: true}).catch(failed);
  await writeFile(file, content).catch(failed);
}
