import {createHash} from 'node:crypto';
import {COLUMN_NAMES, type ResultRow} from '../harness/contract/columns.ts';
import type {Reporter, ReportFile, ReportInput} from '../harness/contract/reporter.ts';
import {commandOf, compareRows, rowKey} from './cell.ts';
import type {Chart} from './chart.ts';
import {cellTable} from './html/cell-table.ts';
import {interpreterScript} from './html/interpreter-script.ts';
import {html, jsonForScript, type Markup, trusted} from './html/markup.ts';
import {answer, caveatTable, findingList, provenance} from './html/sections.ts';
import {toSvg, toVega} from './render.ts';
import {clean} from './text.ts';
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

/** A table of more rows is neither read nor scrolled. */
const MOST_ROWS = 2000;

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
    const all = [...input.rows].sort(compareRows);
    const rows = all.slice(0, MOST_ROWS);
    const places = new Map(rows.map((row, index) => [rowKey(row), index]));
    const anchorOf = (key: string): string | null => (places.has(key) ? `#row-${places.get(key)}` : null);
    const figures: Markup[] = [];
    const absent: Markup[] = [];
    const charts: {id: string; spec: unknown}[] = [];
    for (const chart of this.#charts) {
      const spec = chart.spec(input);
      if (spec === null) {
        absent.push(html`<li>${chart.title}: ${chart.absent}</li>`);
        continue;
      }
      const vega = toVega(chart.id, spec);
      charts.push({id: chart.id, spec: vega});
      figures.push(
        html`<figure id="${chart.id}"><div class="chart" id="chart-${chart.id}" tabindex="0" role="group" aria-label="${chart.title}">${trusted(await toSvg(chart.id, vega))}</div><figcaption>${chart.about}</figcaption></figure>`,
      );
    }
    const data = {
      columns: COLUMN_NAMES,
      charts,
      rows: rows.map((row) => ({
        key: rowKey(row),
        model: clean(row.model, 80),
        device: clean(row.device, 80),
        format: clean(row.format, 80),
        command: commandOf(row),
        values: COLUMN_NAMES.map((name) => row[name]),
      })),
    };
    const scripts = [this.#assets.vega, interpreterScript(this.#assets.interpreter), this.#assets.script].map(
      inlineScript,
    );
    const style = `${this.#assets.style}@media screen and (prefers-color-scheme:dark){${darkRules('.chart svg ')}}`;
    const policy = `default-src 'none'; script-src ${scripts.map((text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`).join(' ')}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'`;
    const body = html`<a class="skip" href="#cells-section">Skip to the table</a>
<header><p class="muted">bench report</p><h1>${input.title}</h1><p class="muted">${summaryLine(all)}</p></header>
<main>
<h2 id="answer">Answer</h2>${answer(input, anchorOf)}
<h2 id="findings">Findings</h2>${findingList(input, anchorOf)}
<h2 id="charts">Charts</h2>
<form class="filters" aria-label="Filter">${filter('device', rows)}${filter('model', rows)}${filter('format', rows)}<button type="button" id="reset">Show all</button><output id="count">${rows.length} of ${rows.length} rows</output></form>
${figures}
${absent.length === 0 ? '' : html`<h3>Not shown</h3><ul>${absent}</ul>`}
<h2 id="cells-section" tabindex="-1">Cells</h2>
<p><button type="button" id="copy">Copy as CSV</button> <span id="copied" role="status"></span>${rows.length < all.length ? ` The first ${rows.length} of ${all.length} rows; results.csv has them all.` : ''}</p>
<div class="scroll" tabindex="0" role="region" aria-label="Cells">${cellTable(rows)}</div>
<h2 id="caveats">Caveats</h2>${caveatTable(input)}
<h2 id="provenance">Provenance</h2>${provenance(input)}
</main>
<dialog id="row" aria-labelledby="row-title"><h2 id="row-title">Row</h2><p>Measure it again: <code id="row-command"></code></p><dl id="row-values"></dl><button type="button" id="row-close">Close</button></dialog>
<div id="tip" role="tooltip" hidden></div>`;
    return [
      '<!doctype html>',
      '<html lang="en"><head><meta charset="utf-8">',
      `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
      '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer"><link rel="icon" href="data:,">',
      html`<title>${input.title}</title>`.markup,
      `<style>${style}</style></head><body>`,
      body.markup,
      `<script type="application/json" id="data">${jsonForScript(data)}</script>`,
      ...scripts.map((text) => `<script>${text}</script>`),
      '</body></html>',
      '',
    ].join('\n');
  }
}

/** A script that holds the end tag of a script would end there. */
function inlineScript(text: string): string {
  return text.replaceAll('\r', '').replace(/<(?=\/script|!--)/gi, '\\x3c');
}

function filter(name: 'device' | 'model' | 'format', rows: readonly ResultRow[]): Markup {
  const values = [...new Set(rows.map((row) => clean(row[name], 80)))].filter((value) => value !== '').sort();
  return html`<label>${name} <select name="${name}"><option value="">all</option>${values.map((value) => html`<option value="${value}">${value}</option>`)}</select></label>`;
}

function summaryLine(rows: readonly ResultRow[]): string {
  const count = (name: 'model' | 'format' | 'device'): number => new Set(rows.map((row) => row[name])).size;
  const ok = rows.filter(({status}) => status === 'ok').length;
  const words = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
  const simulated = rows.some(({caveats}) => (caveats ?? '').split(' ').includes('simulated'))
    ? ' Some rows are simulated: no measurement.'
    : '';
  return `${words(rows.length, 'cell')}, ${ok} measured: ${words(count('model'), 'model')}, ${words(count('format'), 'format')}, ${words(count('device'), 'device')}.${simulated}`;
}
