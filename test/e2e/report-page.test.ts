import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {pathToFileURL} from 'node:url';
import {Command} from 'commander';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {registerReportCommand} from '../../harness/cli/commands/report.ts';
import type {RequestRow, ResultRow} from '../../harness/contract/columns.ts';
import {writeManifest} from '../../harness/store/manifest.ts';
import {writeRequestsCsv} from '../../harness/store/requests-csv.ts';
import {readResultsCsv, writeResultsCsv} from '../../harness/store/results-csv.ts';
import {writeTelemetry} from '../../harness/store/telemetry.ts';
import {CHARTS} from '../../reports/all-charts.ts';
import {compareRows} from '../../reports/cell.ts';
import {Chromium, type Page} from '../support/chromium.ts';
import {find} from '../support/needs.ts';
import {buildMeasured, type CellInput} from '../unit/claims/build.ts';
import {buildManifest} from '../unit/derive/build.ts';

const CHROMIUM = find('chromium');
/** Texts that do harm where a page takes them for markup, and a spreadsheet for a formula. */
const IMAGE = '<img src=x onerror="pwn()">';
const SCRIPT = '</script><script>pwn()</script><!--';
const FORMULA = '=HYPERLINK("http://127.0.0.1/","x")';
/** A mark for each cell: points of a few cells, squares of many. */
const MARKS = '#chart-decode-speed .mark-symbol path, #chart-decode-speed .mark-rect path';
/** More than one page of the table. */
const OTHERS = 130;

const FULL: Partial<ResultRow> = {
  load_ms: 3000,
  gpu_layers: 999,
  host: 'h',
  bits_per_weight: 4.5,
  vram_baseline_bytes: 300_000_000,
  vram_peak_bytes: 2_000_000_000,
  vram_process_peak_bytes: 1_900_000_000,
  vram_allocated_peak_bytes: 1_800_000_000,
  ram_peak_bytes: 900_000_000,
  ram_anonymous_peak_bytes: 600_000_000,
  ram_file_peak_bytes: 300_000_000,
  energy_j: 12,
  energy_j_per_token: 0.0000012,
  energy_source: 'nvml-counter',
  memory_bandwidth_bytes_per_s: 3e11,
  bytes_per_token: 800_000_000,
  bandwidth_ratio: 0.14,
  quality_metric: 'exact-match',
  quality_value: 0.9,
  quality_ci_low: 0.85,
  quality_ci_high: 0.93,
  quality_n: 200,
  price_usd_per_hour: 0.5,
  price_date: '2026-11-01',
  usd_per_1m_output_tokens: 3,
  usd_per_1k_requests: 0.1,
  started_at: '2026-11-23T12:00:00.000Z',
};
const TIMES = {t4: [20_000, 20_040, 19_960], 'a100-80gb': [8000, 8010, 7990]} as const;
type Device = keyof typeof TIMES;

async function writeRun(root: string, device: Device, cells: readonly CellInput[]): Promise<ResultRow[]> {
  const runId = `golden--${device}--h--20261123T120000Z`;
  const made = cells.map((cell) => buildMeasured({...FULL, run_id: runId, matrix: 'golden', device, ...cell}));
  const folder = join(root, runId);
  await mkdir(folder);
  await writeManifest(join(folder, 'manifest.json'), buildManifest({runId, command: `bench matrix ${IMAGE}`}));
  await writeResultsCsv(
    join(folder, 'results.csv'),
    made.map(({row}) => row),
  );
  const requests = made.flatMap((one) => one.requests).sort((a, b) => ((a.cell_id ?? '') < (b.cell_id ?? '') ? -1 : 1));
  await writeRequestsCsv(join(folder, 'requests.csv'), requests satisfies RequestRow[]);
  await writeTelemetry(join(folder, 'telemetry.csv'), {
    cellId: made[0]?.row.cell_id ?? '',
    round: 0,
    series: [
      {channel: 'ram_pss_bytes', unit: 'bytes', tMs: [0, 500, 1000], values: [1e8, 5e8, 6e8], periodMs: 500, gaps: 0},
      {channel: 'gpu_w', unit: 'W', tMs: [0, 500, 1000], values: [30, 60, 61], periodMs: 500, gaps: 0},
    ],
  });
  return made.map(({row}) => row);
}

function cellsOf(device: Device): CellInput[] {
  const slower = (factor: number) => TIMES[device].map((us) => us * factor);
  return [
    {cell_id: '00000000000a', format: 'gguf-q4_k_m', kernel: 'cuda', tpotUs: TIMES[device]},
    {cell_id: '00000000000b', format: 'gguf-f16', kernel: 'cuda', tpotUs: slower(2), bits_per_weight: 16},
    {
      cell_id: '00000000000c',
      format: 'fp16',
      runner: 'transformers',
      kernel: 'torch',
      tpotUs: slower(2.5),
      bits_per_weight: 16,
    },
    {cell_id: '00000000000d', format: 'gptq-4bit', runner: 'transformers', kernel: 'torch', tpotUs: slower(3)},
    {
      cell_id: '00000000000e',
      format: 'fp32',
      status: 'does-not-fit',
      status_reason: FORMULA,
      decode_tokens_per_s: null,
      vram_peak_bytes: null,
    },
    ...(device === 't4' ? [{cell_id: '00000000000f', model: IMAGE, kernel: SCRIPT, caveats: '<b>bold</b>'}] : []),
    ...Array.from({length: device === 't4' ? OTHERS : 0}, (_, index) => ({
      cell_id: index.toString(16).padStart(12, '1'),
      workload: 'other',
      kernel: `k${index}`,
      decode_tokens_per_s: 1000 - index,
      caveats: 'few-requests one-round',
    })),
  ];
}

const NEED = `need: chat
title: Chat for a shop
workload: chat
model: llama-*
p90_ms: 500
requests_per_hour: 100
`;
const CLAIMS = `claims: made-up
title: A claim
source: nobody
matrix: matrices/golden.yaml
sentences:
  - id: half
    sentence: 'half the time ${IMAGE}'
    device: t4
    readings:
      - id: one
        says: decode, 4 bit ÷ 16 bit
        measure: decode_tokens_per_s
        cell: {format: gguf-q4_k_m, workload: chat}
        against: {format: gguf-f16, workload: chat}
        ratio: 2
        tolerance: 0.1
`;

/** Written before the page’s own scripts run: what the page is not allowed to do is counted. */
const WATCH = `
window.violations = [];
document.addEventListener('securitypolicyviolation', ({violatedDirective, blockedURI, sample}) =>
  violations.push([violatedDirective, blockedURI, sample].join(' ')));
window.pwned = 0;
window.pwn = () => window.pwned++;`;

describe.skipIf(CHROMIUM === null)('the page of a report, in a browser', () => {
  let root = '';
  let url = '';
  let rows: ResultRow[] = [];
  let browser: Chromium;
  let page: Page;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'bench-page-'));
    rows = [
      ...(await writeRun(root, 't4', cellsOf('t4'))),
      ...(await writeRun(root, 'a100-80gb', cellsOf('a100-80gb'))),
    ];
    await writeFile(join(root, 'need.yaml'), NEED);
    await writeFile(join(root, 'claims.yaml'), CLAIMS);
    const program = new Command().exitOverride();
    registerReportCommand(program, {
      env: {},
      stdout: {write: () => true},
      stderr: {write: () => true},
      signal: new AbortController().signal,
      exit: () => {},
    });
    const files = ['--need', join(root, 'need.yaml'), '--claims', join(root, 'claims.yaml')];
    const out = join(root, 'report');
    await program.parseAsync(['report', root, '--formats', 'html', '--out', out, '--title', SCRIPT, ...files], {
      from: 'user',
    });
    url = pathToFileURL(join(out, 'index.html')).href;
    browser = await Chromium.start(CHROMIUM ?? '');
    page = await opened(1280);
  });
  afterAll(async () => {
    await browser?.close();
    await rm(root, {recursive: true, force: true});
  });

  async function opened(width: number): Promise<Page> {
    const one = await browser.page({width, height: 900});
    await one.send('Page.addScriptToEvaluateOnNewDocument', {source: WATCH});
    await one.colourScheme('light');
    await one.open(url);
    await one.until(async () => (await one.evaluate('document.body.dataset.ready')) !== undefined);
    return one;
  }
  const count = async (selector: string) =>
    Number(await page.evaluate(`document.querySelectorAll(${JSON.stringify(selector)}).length`));
  const text = async (selector: string) =>
    String(await page.evaluate(`document.querySelector(${JSON.stringify(selector)}).textContent`));
  const column = async (name: string) =>
    (await page.evaluate(`(() => {
      const at = [...document.querySelectorAll('#cells thead th')].findIndex((head) => head.dataset.name === '${name}');
      return [...document.querySelectorAll('#cells tbody tr')].map((line) => line.cells[at].firstChild?.data ?? '');
    })()`)) as string[]; // of what the expression makes
  const choose = async (name: string, label: string) =>
    page.evaluate(
      `(() => {
      const select = document.querySelector('.filters select[name=${name}]');
      select.value = label === '' ? '' : [...select.options].find((one) => one.textContent === label).value;
      select.dispatchEvent(new Event('change', {bubbles: true}));
    })()`.replaceAll('label', JSON.stringify(label)),
    );
  const focus = async (selector: string) =>
    page.evaluate(`document.querySelector(${JSON.stringify(selector)}).focus()`);

  test('begins with the answer, then findings, charts, cells, caveats and provenance', async () => {
    const titles = await page.evaluate(
      `[...document.querySelectorAll('h2')].map((one) => one.textContent).slice(0, 6)`,
    );
    expect(titles).toEqual(['Answer', 'Findings', 'Charts', 'Cells', 'Caveats', 'Provenance']);
    const answer = await text('.answer');
    expect(answer).toContain('Chat for a shop');
    expect(answer).toMatch(/recommended.*gguf-q4_k_m llama-cpp cuda on t4.*a month.*runner-up/);
    expect(answer).toMatch(/how sure.*intervals.*not measured.*cannot.*does-not-fit/);
  });

  test('draws every chart', async () => {
    expect(await page.evaluate('document.body.dataset.ready')).toBe('yes');
    const drawn = await page.evaluate(`[...document.querySelectorAll('.chart')].map((chart) =>
      [chart.id, chart.querySelectorAll('div > svg').length, chart.querySelectorAll('svg path, svg text').length > 10])`);
    expect(drawn).toEqual(CHARTS.map(({id}) => [`chart-${id}`, 1, true]));
  });

  test('asks the network for nothing, breaks no rule of its policy, and prints no error', async () => {
    const asked = page.events.flatMap(
      ({method, params}) =>
        method === 'Network.requestWillBeSent' ? [String((params['request'] as {url: string}).url)] : [], // by the protocol
    );
    expect(asked.filter((one) => !one.startsWith('data:'))).toEqual([url]);
    expect(await page.evaluate('window.violations')).toEqual([]);
    const loud = ['Runtime.exceptionThrown', 'Runtime.consoleAPICalled', 'Log.entryAdded'];
    expect(page.events.filter(({method}) => loud.includes(method))).toEqual([]);
    // The policy is in force: what it forbids does not happen.
    await page
      .evaluate(`new Promise((done) => {
      const script = document.createElement('script');
      script.text = 'pwn()';
      document.addEventListener('securitypolicyviolation', done, {once: true});
      try { document.head.append(script) } catch { done() }
    })`)
      .catch(() => {});
    expect(await page.evaluate('window.pwned')).toBe(0);
    await expect(page.evaluate(`fetch('https://127.0.0.1:1/').then(() => 'came through')`)).rejects.toThrow(
      /Failed to fetch|violates/,
    );
  });

  test('takes names for text only', async () => {
    expect(await count('img, iframe, object, embed')).toBe(0);
    expect(await count('script')).toBe(4);
    expect(await page.evaluate('document.title')).toBe(SCRIPT);
    expect(await text('h1')).toBe(SCRIPT);
    await choose('model', IMAGE);
    expect(await column('model')).toEqual([IMAGE]);
    expect(await column('kernel')).toEqual([SCRIPT]);
    await choose('model', '');
    expect(await page.evaluate('window.pwned')).toBe(0);
  });

  test('filters the table and the charts, and says how many rows are left', async () => {
    const before = await count(MARKS);
    await choose('device', 'a100-80gb');
    expect(new Set(await column('device'))).toEqual(new Set(['a100-80gb']));
    expect(await text('#count')).toBe(`5 of ${rows.length} rows`);
    expect(
      await page.evaluate(`document.querySelector('#count').computedRole ?? document.querySelector('#count').tagName`),
    ).toMatch(/status|OUTPUT/);
    await page.until(async () => (await count(MARKS)) < before);
    await choose('format', 'fp16');
    await choose('runner', 'transformers');
    await choose('kernel', 'torch');
    expect(await column('format')).toEqual(['fp16']);
    await page.evaluate(`document.querySelector('#reset').click()`);
    expect(await text('#count')).toBe(`${rows.length} of ${rows.length} rows`);
    await page.until(async () => (await count(MARKS)) === before);
  });

  test('sorts by keyboard, with what was not measured last, and says the order', async () => {
    await focus('#cells th[data-name=isa] button');
    await page.press('Tab');
    await page.press('Tab');
    expect(await page.evaluate(`document.activeElement.closest('th').dataset.name`)).toBe('decode_tokens_per_s');
    // Focus that a keyboard moves can be seen.
    expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid');
    const order = async () => await page.evaluate(`document.activeElement.closest('th').getAttribute('aria-sort')`);
    await page.press('Enter');
    expect(await order()).toBe('ascending');
    const up = (await column('decode_tokens_per_s')).map(Number);
    expect(up).toEqual(up.toSorted((a, b) => a - b));
    expect(up).toHaveLength(100);
    await page.press('Enter');
    expect(await order()).toBe('descending');
    const down = (await column('decode_tokens_per_s')).map(Number);
    expect(down).toEqual(down.toSorted((a, b) => b - a));
    await choose('workload', 'chat');
    expect((await column('decode_tokens_per_s')).at(-1)).toBe('');
    expect((await column('decode_tokens_per_s'))[0]).not.toBe('');
    await page.press('Enter');
    expect(await order()).toBeNull();
    await page.evaluate(`document.querySelector('#reset').click()`);
  });

  test('shows a hundred rows at a time', async () => {
    expect(await count('#cells tbody tr')).toBe(100);
    await focus('#next');
    await page.press('Enter');
    expect(await text('#place')).toBe(`Rows 101–${rows.length} of ${rows.length}`);
    expect(
      await page.evaluate(`[document.activeElement.id, document.activeElement.getAttribute('aria-disabled')]`),
    ).toEqual(['next', 'true']);
    await page.press('Enter');
    expect(await text('#place')).toContain('Rows 101–');
    await page.evaluate(`dispatchEvent(new Event('beforeprint'))`);
    expect(await count('#cells tbody tr')).toBe(rows.length);
    await page.evaluate(`dispatchEvent(new Event('afterprint'))`);
    expect(await text('#place')).toContain('Rows 101–');
    await focus('#previous');
    await page.press('Enter');
    expect(await text('#place')).toContain('Rows 1–100');
  });

  test('copies the rows that are left as CSV that reads back the same and holds no formula', async () => {
    await browser.send('Browser.grantPermissions', {permissions: ['clipboardReadWrite', 'clipboardSanitizedWrite']});
    await page.evaluate(`document.querySelector('#copy').click()`);
    await page.until(async () => (await text('#copied')) !== '');
    expect(await text('#copied')).toBe(`Copied ${rows.length} rows.`);
    const copied = String(await page.evaluate('navigator.clipboard.readText()'));
    expect(copied).toContain(`"'=HYPERLINK(""http://127.0.0.1/"",""x"")"`);
    for (const field of copied.split(/[,\n]/)) expect(field).not.toMatch(/^"?[=+@]/);
    const path = join(root, 'copied.csv');
    await writeFile(path, copied);
    expect(await readResultsCsv(path)).toEqual([...rows].sort(compareRows));
  });

  test('leads from the answer, a finding and a mark of a chart to their rows', async () => {
    const rowOf = (device: Device, cell: string) =>
      rows.findIndex((row) => row.device === device && row.cell_id === cell);
    expect(rowOf('t4', '00000000000a')).toBeGreaterThanOrEqual(0);
    const hit = async () =>
      (await page.evaluate(`(() => {
        const line = document.activeElement.closest('tr');
        const {top, bottom} = line.getBoundingClientRect();
        return [line.classList.contains('hit'), top >= 0 && bottom <= innerHeight, line.textContent];
      })()`)) as [boolean, boolean, string]; // of what the expression makes
    // The row is beyond what a filter leaves: the link is stronger.
    await choose('workload', 'other');
    await focus('.target a');
    await page.press('Enter');
    await page.until(async () => (await page.evaluate(`document.activeElement.closest('tr') !== null`)) === true);
    const [marked, inView, line] = await hit();
    expect([marked, inView]).toEqual([true, true]);
    expect(line).toMatch(/t4.*llama-3\.2-1b.*chat.*gguf-q4_k_m/);
    await focus('#findings + ul a');
    await page.press('Enter');
    await page.until(async () => (await page.evaluate(`document.activeElement.closest('tr') !== null`)) === true);
    expect((await hit())[0]).toBe(true);
    const place = (await page.evaluate(`(() => {
      const mark = document.querySelector('${MARKS}');
      mark.scrollIntoView({block: 'center'});
      const {left, top, width, height} = mark.getBoundingClientRect();
      document.activeElement.blur();
      return [left + width / 2, top + height / 2];
    })()`)) as [number, number]; // of what the expression makes
    await page.moveTo(...place);
    await page.until(async () => (await page.evaluate(`!document.querySelector('#tip').hidden`)) === true);
    expect(await text('#tip')).toMatch(/requests \(n\).*caveats/);
    await page.click(...place);
    await page.until(async () => (await page.evaluate(`document.activeElement.closest('tr') !== null`)) === true);
    expect((await hit())[0]).toBe(true);
  });

  test('opens a row with all of its figures and the command, by keyboard, and gives the focus back', async () => {
    await choose('kernel', 'cuda');
    await focus('#cells tbody tr button');
    const name = await page.evaluate('document.activeElement.textContent');
    await page.press('Enter');
    expect(await page.evaluate(`document.querySelector('#row').open`)).toBe(true);
    const shown = await text('#row');
    expect(shown).toContain("bench matrix matrices/golden.yaml --only 'model=llama-3.2-1b'");
    expect(shown).toMatch(/golden--.*\/results\.csv/);
    expect(shown).toContain('decode_tokens_per_s');
    await page.press('Escape');
    expect(await page.evaluate(`document.querySelector('#row').open`)).toBe(false);
    expect(await page.evaluate('document.activeElement.textContent')).toBe(name);
    await page.evaluate(`document.querySelector('#reset').click()`);
  });

  test('turns dark with the screen, charts included', async () => {
    const colours = async () =>
      (await page.evaluate(`[
        getComputedStyle(document.body).backgroundColor,
        getComputedStyle(document.querySelector('#chart-decode-speed .role-title-text text')).fill,
        getComputedStyle(document.querySelector('#chart-decode-speed svg')).backgroundColor,
      ]`)) as string[]; // of what the expression makes
    const light = await colours();
    await page.colourScheme('dark');
    const dark = await colours();
    expect(light).toEqual(['rgb(255, 255, 255)', 'rgb(31, 35, 40)', 'rgba(0, 0, 0, 0)']);
    expect(dark).toEqual(['rgb(13, 17, 23)', 'rgb(230, 237, 243)', 'rgba(0, 0, 0, 0)']);
    await page.colourScheme('light');
  });

  test('fits a small screen: only tables and charts scroll sideways', async () => {
    const small = await opened(420);
    expect(await small.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
  });

  test('without scripts still shows the answer, every chart and the first rows', async () => {
    const plain = await browser.page({width: 1280, height: 900});
    await plain.send('Emulation.setScriptExecutionDisabled', {value: true});
    await plain.open(url);
    const seen = (await plain.evaluate(`[
      document.querySelectorAll('.answer').length,
      document.querySelectorAll('.chart > svg').length,
      document.querySelectorAll('#cells tbody tr').length,
    ]`)) as number[]; // of what the expression makes
    expect(seen).toEqual([1, CHARTS.length, 100]);
  });
});
