import {createHash} from 'node:crypto';
import {describe, expect, it} from 'vitest';
import {pageAssets} from '../../../harness/cli/report-assets.ts';
import type {ResultRow} from '../../../harness/contract/columns.ts';
import type {ReportDecision} from '../../../harness/contract/report-data.ts';
import type {ReportInput} from '../../../harness/contract/reporter.ts';
import {compareRows, rowKey} from '../../../reports/cell.ts';
import {pageRows, rowAnchors} from '../../../reports/html/page-rows.ts';
import {HtmlReporter} from '../../../reports/html-reporter.ts';
import {reasons} from '../../../reports/reasons.ts';
import {buildMeasured} from '../claims/build.ts';
import {buildManifest} from '../derive/build.ts';

const row = (over: Partial<ResultRow>): ResultRow => buildMeasured(over).row;

async function page(rows: readonly ResultRow[], over: Partial<ReportInput> = {}): Promise<string> {
  const reporter = new HtmlReporter([], await pageAssets());
  const input = {title: 'A report', runs: [{manifest: buildManifest(), rows}], rows, requests: [], ...over};
  const [file] = await reporter.render(input);
  return String(file?.content);
}

/** What stands between the tags of an element; the first one of its kind behind `from`. */
function between(text: string, begin: string, end: string): string {
  const from = text.indexOf(begin) + begin.length;
  return text.slice(from, text.indexOf(end, from));
}

const DECISION: ReportDecision = {
  need: 'Chat',
  wants: 'p90 ≤ 500 ms',
  verdict: 'recommended',
  reason: 'It is the cheapest.',
  recommended: {name: 'a on t4', cost: '$1 a month', row: {run_id: 'run-a', cell_id: 'a'}},
  runnerUp: {name: 'b on t4', cost: null, row: {run_id: 'gone', cell_id: 'gone'}},
  sure: 'Quite.',
  notMeasured: ['c on h100'],
  excluded: [],
};

describe('the rows of a page', () => {
  const rows = ['a', 'b', 'c'].flatMap((device, kind) =>
    Array.from({length: 10 ** (kind + 1)}, (_, index) =>
      row({device, cell_id: `${device}${String(index).padStart(4, '0')}`}),
    ),
  );

  it('are all while they are few', () => {
    expect(pageRows(rows, new Set(), rows.length)).toBe(rows);
  });

  it('are as many of every device where they are too many, in their order', () => {
    const chosen = pageRows(rows, new Set(), 100);
    const count = (device: string) => chosen.filter((one) => one.device === device).length;
    expect([count('a'), count('b'), count('c')]).toEqual([10, 45, 45]);
    expect(chosen).toEqual([...chosen].sort(compareRows));
  });

  it('hold every row that something points at', () => {
    const last = rows.slice(-3);
    const chosen = pageRows(rows, new Set(last.map(rowKey)), 20);
    expect(chosen).toHaveLength(20);
    for (const one of last) expect(chosen).toContain(one);
    expect(pageRows(rows, new Set(last.map(rowKey)), 2)).toEqual(last);
  });

  it('have anchors that are unique, and nothing but letters and digits', () => {
    const odd = ['0a', '0a', '0A', '"><b>', null, '', 'x'.repeat(99)].map((cell) => row({cell_id: cell}));
    expect(rowAnchors(odd)).toEqual([
      'row-0a',
      'row-0a-2',
      'row-0a-3',
      'row-b',
      'row-unnamed',
      'row-unnamed-2',
      `row-${'x'.repeat(32)}`,
    ]);
  });
});

describe('the page', () => {
  it('allows the scripts and the style that it holds, and nothing else', async () => {
    const html = await page([row({})]);
    const policy = between(html, 'http-equiv="Content-Security-Policy" content="', '">');
    const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
    const scripts = [...html.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(([, text = '']) => hash(text));
    expect(scripts).toHaveLength(3);
    expect(policy).toContain(
      `default-src 'none'; script-src ${scripts.join(' ')}; style-src ${hash(between(html, '<style>', '</style>'))};`,
    );
    expect(policy.replace(/'sha256-[^']*'/g, '#')).toMatchInlineSnapshot(
      `"default-src 'none'; script-src # # #; style-src #; style-src-attr 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"`,
    );
    expect(html).not.toMatch(/\b(?:src|href)="(?!#|data:,)/);
  });

  it('has names as text, in its markup and in its data', async () => {
    const evil = '</script><img src=x onerror=alert(1)>';
    const html = await page([row({model: evil, kernel: evil, caveats: evil, cell_id: evil, run_id: evil})], {
      title: evil,
      decisions: [{...DECISION, need: evil, reason: evil, notMeasured: [evil]}],
    });
    expect(html).not.toContain('<img');
    expect(html.match(/<\/script>/g)).toHaveLength(4);
    const data = between(html, '<script type="application/json" id="data">', '</script>');
    expect(data).not.toMatch(/[<>&]/);
    expect(data).toContain('\\u003c/script');
  });

  it('begins with the answer, whose candidates lead to the rows that the page has', async () => {
    const html = await page([row({cell_id: 'a'})], {decisions: [DECISION]});
    expect(between(html, '<main>', '<h2 id="findings">')).toMatchInlineSnapshot(`
      "
      <h2 id="answer">Answer</h2><section class="answer recommended" aria-labelledby="need-0"><h3 id="need-0">Chat</h3> <span class="badge">recommended</span><p class="muted">p90 ≤ 500 ms</p><p><strong>It is the cheapest.</strong></p><div class="targets"><div class="target"><span class="muted">recommended</span><br><a href="#row-a">a on t4</a><br><span>$1 a month</span></div><div class="target"><span class="muted">runner-up</span><br>b on t4<br><span>no price is known</span></div></div><dl><dt>how sure</dt><dd>Quite.</dd><dt>not measured</dt><dd><ul><li>c on h100</li></ul></dd></dl></section>
      "
    `);
    expect(await page([row({})])).toContain('No need was given');
  });

  it('puts together why candidates cannot, whatever their figures', async () => {
    const excluded = [1, 2, 3, 4, 5].map((one) => ({name: `cell ${one}`, reason: `p90 of ${one}.5 ms is above 1 ms`}));
    const html = await page([row({})], {
      decisions: [{...DECISION, excluded: [...excluded, {name: 'other', reason: 'the device is not allowed'}]}],
    });
    expect(between(html, '<dt>cannot</dt>', '</dd>')).toBe(
      '<dd><ul><li>5 cells, such as cell 1: p90 of 1.5 ms is above 1 ms</li><li>other: the device is not allowed</li></ul>',
    );
  });

  it('takes p90 for a name, not for a figure: the cell that misses by least stands for its kind', () => {
    const excluded = [300, 120, 200, 150, 900].map((ms) => ({
      name: `cell ${ms}`,
      reason: `p90 of ${ms} ms is above 100 ms`,
    }));
    expect(reasons(excluded)).toEqual(['5 cells, such as cell 120: p90 of 120 ms is above 100 ms']);
  });

  it('says what to type to settle an undecided need, as code', async () => {
    const html = await page([row({})], {
      decisions: [{...DECISION, verdict: 'no-price', next: ['more rounds: bench matrix x.yaml --only device=<b>']}],
    });
    expect(html).toContain('<span class="badge">not priced</span>');
    expect(html).toContain('<li>more rounds: <code>bench matrix x.yaml --only device=&lt;b&gt;</code></li>');
  });

  it('of very many rows holds a share, says so, and stays of a size that opens', async () => {
    const many = Array.from({length: 6000}, (_, index) =>
      row({cell_id: index.toString(16).padStart(12, '0'), kernel: `k${index}`, decode_tokens_per_s: index / 7}),
    );
    const html = await page(many);
    expect(html).toContain('This page holds 5000 of 6000 rows');
    expect(html.match(/<tr id="row-/g)).toHaveLength(100);
    expect(html.length).toBeLessThan(6e6);
  });

  it('lets nobody choose between one', async () => {
    const html = await page([row({device: 't4'}), row({device: 'h100', cell_id: 'b'})]);
    expect([...html.matchAll(/<select name="(\w+)"/g)].map(([, name]) => name)).toEqual(['device']);
  });
});
