import {createHash} from 'node:crypto';
import type {Spec} from 'vega';
import type {ResultRow} from '../harness/contract/columns.ts';
import type {Reporter, ReportFile, ReportInput} from '../harness/contract/reporter.ts';
import {compareRows, rowKey} from './cell.ts';
import type {Chart} from './chart.ts';
import {findings} from './findings.ts';
import {cellTable, PAGE_ROWS, shownColumns} from './html/cell-table.ts';
import {interpreterScript} from './html/interpreter-script.ts';
import {html, jsonForScript, type Markup, trusted} from './html/markup.ts';
import {choicesOf, pageData} from './html/page-data.ts';
import {keysOf, pageRows, rowAnchors} from './html/page-rows.ts';
import {answer, caveatTable, findingList, provenance} from './html/sections.ts';
import {toSvg, toVega} from './render.ts';
import {darkRules} from './theme.ts';

/** Files that become part of the page, so that it needs no network. */
export interface PageAssets {
  /** vega/build/vega.min.js */
  readonly vega: string;
  /** vega-interpreter/build/vega-interpreter.js */
  readonly interpreter: string;
  /** reports/page/app.js */
  readonly script: string;
  /** reports/page/page.css */
  readonly style: string;
}

/** More rows than this make a page heavy (each takes about half a KiB): it then says what it leaves out. */
const MOST_ROWS = 5000;
/** Drawings that are larger than this are left to the script of the page. */
const LARGEST_DRAWING = 1 << 20;

/**
 * One file that works offline. Charts are drawn beforehand, and drawn again by Vega when the page opens, to be filtered
 * and pointed at. The page may run the scripts that it holds and nothing else: no network, no eval, no markup from data.
 */
export class HtmlReporter implements Reporter {
  readonly id = 'html';
  readonly #charts: readonly Chart[];
  readonly #assets: PageAssets;

  constructor(charts: readonly Chart[], assets: PageAssets) {
    this.#charts = charts;
    this.#assets = assets;
  }

  async render(input: ReportInput): Promise<readonly ReportFile[]> {
    return [{path: 'index.html', content: await this.#page(input)}];
  }

  async #page(input: ReportInput): Promise<string> {
    const charts: DrawnChart[] = [];
    const absent: Markup[] = [];
    for (const chart of this.#charts) {
      const spec = chart.spec(input);
      if (spec === null) absent.push(html`<li>${chart.title}: ${chart.absent}</li>`);
      else charts.push(await drawn(chart, toVega(chart.id, spec)));
    }
    const all = tableOrder(input.rows);
    const rows = pageRows(all, namedRows(input, charts), MOST_ROWS);
    const anchors = rowAnchors(rows);
    const places = new Map(rows.map((row, index) => [rowKey(row), anchors[index]]));
    const anchorOf = (key: string): string | null => (places.has(key) ? `#${places.get(key)}` : null);
    const columns = shownColumns(rows);
    const data = pageData(
      rows,
      columns,
      anchors,
      charts.map(({chart: {id}, vega}) => ({id, spec: vega})),
    );
    const body = html`<a class="skip" href="#cells-section">Skip to the table</a>
<header><p class="muted">bench report</p><h1>${input.title}</h1><p class="muted">${summaryLine(all, input)}</p>
<nav aria-label="Contents">${SECTIONS.map(([id, title]) => html`<a href="#${id}">${title}</a>`)}</nav></header>
<main>
<h2 id="answer">Answer</h2>${answer(input, anchorOf)}
<h2 id="findings">Findings</h2>${findingList(input, anchorOf)}
<h2 id="charts">Charts</h2>
${charts.length < 2 ? '' : html`<nav class="contents" aria-label="Charts">${charts.map(({chart: {id, title}}) => html`<a href="#${id}">${title}</a>`)}</nav>`}
${filters(rows)}
${charts.map(({markup}) => markup)}
${absent.length === 0 ? '' : html`<h3>Not shown</h3><ul>${absent}</ul>`}
<h2 id="cells-section" tabindex="-1">Cells</h2>
${rows.length < all.length ? html`<p>This page holds ${rows.length} of ${all.length} rows: those that its charts and sentences point at, and an equal share of every device, model and workload. The results.csv of the runs hold them all; <code>bench report</code> on fewer runs shows all of theirs.</p>` : ''}
<p class="tools"><button type="button" id="copy">Copy as CSV</button><label>rows at once <select id="size"><option value="${PAGE_ROWS}">${PAGE_ROWS}</option><option value="500">500</option><option value="2000">2000</option></select></label><button type="button" id="previous">Previous rows</button><button type="button" id="next">Next rows</button><output id="place">Rows 1–${Math.min(PAGE_ROWS, rows.length)} of ${rows.length}</output><span id="copied" role="status"></span></p>
<div class="scroll" id="cells-scroll" tabindex="0" role="region" aria-label="Cells">${cellTable(rows, columns, anchors)}</div>
<h2 id="caveats">Caveats</h2>${caveatTable(input)}
<h2 id="provenance">Provenance</h2>${provenance(input)}
</main>
<dialog id="row" aria-labelledby="row-title"><h2 id="row-title">Row</h2><div id="row-content"></div><p><button type="button" id="row-close">Close</button></p></dialog>
<div id="tip" role="tooltip" hidden></div>`;
    return wholePage(input.title, body, jsonForScript(data), this.#assets);
  }
}

/** The sections of the page, in their order. */
const SECTIONS = [
  ['answer', 'Answer'],
  ['findings', 'Findings'],
  ['charts', 'Charts'],
  ['cells-section', 'Cells'],
  ['caveats', 'Caveats'],
  ['provenance', 'Provenance'],
] as const;

/** In the order of the charts, but cells that only wait for another device follow those that ended. */
function tableOrder(rows: readonly ResultRow[]): ResultRow[] {
  const waits = (row: ResultRow): number => (row.status === 'waiting' ? 1 : 0);
  return [...rows].sort((a, b) => waits(a) - waits(b) || compareRows(a, b));
}

interface DrawnChart {
  readonly chart: Chart;
  readonly vega: Spec;
  readonly markup: Markup;
}

async function drawn(chart: Chart, vega: Spec): Promise<DrawnChart> {
  const svg = await toSvg(chart.id, vega);
  const picture =
    svg.length > LARGEST_DRAWING ? html`<p class="muted">This chart is drawn when scripts may run.</p>` : trusted(svg);
  const markup = html`<figure id="${chart.id}"><div class="chart" id="chart-${chart.id}" tabindex="0" role="group" aria-label="${chart.title}">${picture}</div><figcaption>${chart.about}</figcaption></figure>`;
  return {chart, vega, markup};
}

/** Rows that something on the page links to. */
function namedRows(input: ReportInput, charts: readonly DrawnChart[]): Set<string> {
  const targets = (input.decisions ?? []).flatMap(({recommended, runnerUp}) => [recommended?.row, runnerUp?.row]);
  return new Set([
    ...targets.flatMap((row) => (row == null ? [] : [rowKey(row)])),
    ...findings(input).map(({key}) => key),
    ...charts.flatMap(({vega}) => keysOf(vega)),
  ]);
}

/** What the page may do: run and look like what it holds. Styles of single elements are Vega's, never from data. */
function wholePage(title: string, body: Markup, data: string, assets: PageAssets): string {
  const scripts = [assets.vega, interpreterScript(assets.interpreter), assets.script].map(inlineScript);
  const style = `${assets.style}@media screen and (prefers-color-scheme:dark){${darkRules('.chart svg ')}}`;
  const policy = [
    "default-src 'none'",
    `script-src ${scripts.map(hashOf).join(' ')}`,
    `style-src ${hashOf(style)}`,
    "style-src-attr 'unsafe-inline'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer"><link rel="icon" href="data:,">',
    html`<title>${title}</title>`.markup,
    `<style>${style}</style></head><body>`,
    body.markup,
    `<script type="application/json" id="data">${data}</script>`,
    ...scripts.map((text) => `<script>${text}</script>`),
    '</body></html>',
    '',
  ].join('\n');
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

/** A script that holds the end tag of a script would end there. */
function inlineScript(text: string): string {
  return text.replaceAll('\r', '').replace(/<(?=\/script|!--)/gi, '\\x3c');
}

/** Columns that the charts and the table are filtered by. */
const FILTERS = ['device', 'model', 'workload', 'format', 'runner', 'kernel', 'status'] as const;

/** A choice for each column with more than one text. */
function filters(rows: readonly ResultRow[]): Markup {
  const selects = FILTERS.flatMap((name) => {
    const choices = choicesOf(rows, name);
    const options = choices.map(({text, place}) => html`<option value="${place}">${text}</option>`);
    return choices.length < 2
      ? []
      : [html`<label>${name} <select name="${name}"><option value="">all</option>${options}</select></label>`];
  });
  const count = html`<output id="count">${rows.length} of ${rows.length} rows</output>`;
  return html`<form class="filters" aria-label="Filter of charts and table">${selects}<button type="button" id="reset"${selects.length === 0 ? html` hidden` : ''}>Show all</button>${count}</form>`;
}

/** How much of it was measured, on what, and when. */
function summaryLine(rows: readonly ResultRow[], {runs}: ReportInput): string {
  const measured = rows.filter(({status}) => status === 'ok');
  const kinds = (of: readonly ResultRow[], name: 'model' | 'format' | 'device'): Set<string | null> =>
    new Set(of.map((row) => row[name]));
  const words = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
  const counts = (['model', 'format', 'device'] as const).map((name) => words(kinds(measured, name).size, name));
  const others = [...kinds(rows, 'device')].filter((device) => !kinds(measured, 'device').has(device)).length;
  const days = [...new Set(runs.map(({manifest}) => manifest.startedAt.slice(0, 10)))].sort();
  const [first, last] = [days[0], days.at(-1)];
  return [
    `${measured.length} of ${words(rows.length, 'cell')} measured`,
    ...(measured.length === 0 ? [] : [`: ${counts.join(', ')}`]),
    others === 0 ? '' : `; ${others} more ${others === 1 ? 'device has' : 'devices have'} no figure yet`,
    first === undefined ? '' : `; measured ${first === last ? `on ${first}` : `from ${first} to ${last}`}`,
    '.',
    rows.some(({caveats}) => (caveats ?? '').split(' ').includes('simulated'))
      ? ' Some rows are simulated: no measurement.'
      : '',
  ].join('');
}
