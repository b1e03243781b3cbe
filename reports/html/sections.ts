import type {ReportDecision, ReportTarget} from '../../harness/contract/report-data.ts';
import type {ReportInput} from '../../harness/contract/reporter.ts';
import {rowKey} from '../cell.ts';
import {findings} from '../findings.ts';
import {countCaveats} from '../markdown-reporter.ts';
import {reasons} from '../reasons.ts';
import {html, type Markup} from './markup.ts';

/** Anchor of a row, or null when the page does not show it. */
export type AnchorOf = (key: string) => string | null;

const nothing = html``;
/** Lines of a list that stand open; the others are opened by who wants them. */
const OPEN_LINES = 4;

export function answer({decisions = []}: ReportInput, anchorOf: AnchorOf): Markup {
  if (decisions.length === 0) {
    return html`<p>No need was given, and none of the examples of matrices/needs is about these results, so nothing is recommended. <code>bench report PATH --need matrices/needs/intent-chat.yaml</code> puts the answer here; <code>bench decide PATH --p90-ms 800 --requests-per-hour 200</code> gives it at once.</p>`;
  }
  return html`${decisions.map((decision, index) => one(decision, index, anchorOf))}`;
}

/** How a need came out, at a glance. */
const BADGES: Readonly<Record<ReportDecision['verdict'], string>> = {
  recommended: 'recommended',
  undecided: 'undecided',
  'no-price': 'not priced',
  'nothing-fits': 'nothing fits',
};

/** A sentence that ends in what to type: that part as code. */
function withCommand(text: string): Markup {
  const at = text.indexOf(': bench ');
  return at < 0 ? html`${text}` : html`${text.slice(0, at + 2)}<code>${text.slice(at + 2)}</code>`;
}

function one(decision: ReportDecision, index: number, anchorOf: AnchorOf): Markup {
  const {need, wants, verdict, reason, recommended, runnerUp, sure, next = [], notMeasured, excluded} = decision;
  const targets =
    recommended === null && runnerUp === null
      ? nothing
      : html`<div class="targets">${target(verdict === 'undecided' ? 'first among equals' : 'recommended', recommended, anchorOf)}${target('runner-up', runnerUp, anchorOf)}</div>`;
  return html`<section class="answer ${verdict}" aria-labelledby="need-${index}"><h3 id="need-${index}">${need}</h3> <span class="badge">${BADGES[verdict]}</span><p class="muted">${wants}</p><p><strong>${reason}</strong></p>${targets}<dl><dt>how sure</dt><dd>${sure}</dd>${list('what would settle it', next)}${list('not measured', notMeasured)}${list('cannot', reasons(excluded))}</dl></section>`;
}

function target(title: string, value: ReportTarget | null, anchorOf: AnchorOf): Markup {
  if (value === null) return nothing;
  const anchor = value.row === null ? null : anchorOf(rowKey(value.row));
  const name = anchor === null ? html`${value.name}` : html`<a href="${anchor}">${value.name}</a>`;
  return html`<div class="target"><span class="muted">${title}</span><br>${name}<br><span>${value.cost ?? 'no price is known'}</span></div>`;
}

function list(title: string, texts: readonly string[]): Markup {
  if (texts.length === 0) return nothing;
  const lines = texts.map((text) => html`<li>${withCommand(text)}</li>`);
  if (lines.length <= OPEN_LINES + 1) return html`<dt>${title}</dt><dd><ul>${lines}</ul></dd>`;
  return html`<dt>${title}</dt><dd><ul>${lines.slice(0, OPEN_LINES)}</ul><details><summary>${lines.length - OPEN_LINES} more</summary><ul>${lines.slice(OPEN_LINES)}</ul></details></dd>`;
}

export function findingList(input: ReportInput, anchorOf: AnchorOf): Markup {
  const found = findings(input);
  if (found.length === 0)
    return html`<p>No effect can be told apart: a quantized cell and its 16-bit control are needed.</p>`;
  return html`<ul>${found.map(({lead, text, key}) => {
    const anchor = anchorOf(key);
    const row = anchor === null ? nothing : html` <a href="${anchor}">its row</a>`;
    return html`<li><strong>${lead}:</strong> ${text}${row}</li>`;
  })}</ul>`;
}

/** Text of our own, in which backticks mark what is typed. */
function withCode(text: string): Markup {
  return html`${text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part))}`;
}

export function caveatTable({rows}: ReportInput): Markup {
  const counted = countCaveats(rows);
  if (counted.length === 0) return html`<p>None.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Caveats"><table><thead><tr><th scope="col">caveat</th><th scope="col" class="n">rows</th><th scope="col">what it means</th><th scope="col">what to do</th></tr></thead><tbody>${counted.map(
    ({code, rows: count, doc, fix}) =>
      html`<tr><th scope="row"><code>${code}</code></th><td class="n">${count} of ${rows.length}</td><td class="long">${withCode(doc)}</td><td class="long">${withCode(fix)}</td></tr>`,
  )}</tbody></table></div>`;
}

export function provenance({runs, requests, requestsTotal = requests.length}: ReportInput): Markup {
  const sample =
    requests.length < requestsTotal
      ? html`<p>Of ${requestsTotal} requests, ${requests.length} were read for the charts; every figure of a cell comes from all of its requests.</p>`
      : nothing;
  return html`${sample}${runs.map(({manifest, rows}) => {
    const {host} = manifest;
    return html`<details><summary><code>${manifest.runId}</code>, ${rows.length} ${rows.length === 1 ? 'row' : 'rows'}</summary><dl>${[
      ['command', manifest.command],
      ['started', manifest.startedAt],
      ['finished', manifest.finishedAt ?? 'not finished'],
      ['matrix', `${manifest.matrix}, SHA-256 ${manifest.matrixSha256}`],
      ['bench', `${manifest.harnessVersion}${manifest.gitCommit === null ? '' : `, commit ${manifest.gitCommit}`}`],
      ['host', `${host.host}: ${host.cpuModel}, ${host.cores} cores, ${host.isa}`],
      ['system', `${host.os}, kernel ${host.kernelRelease}, Node ${host.node}`],
      ['driver', host.driver === null ? '–' : `${host.driver}, CUDA ${host.cuda ?? '–'}`],
      ['devices', host.devices.map(({title, forced}) => `${title}${forced ? ' (forced)' : ''}`).join(', ')],
      [
        'caveats of the host',
        manifest.caveats.map(({code, value}) => (value === undefined ? code : `${code}=${value}`)).join(' ') || 'none',
      ],
      [
        'not sampled',
        manifest.samplers
          .filter(({available}) => !available)
          .map(({id, detail}) => `${id}: ${detail}`)
          .join('; ') || '–',
      ],
    ].map(([name, value]) => html`<dt>${name ?? ''}</dt><dd>${value ?? ''}</dd>`)}</dl></details>`;
  })}`;
}
