import type {ReportDecision, ReportTarget} from '../../harness/contract/report-data.ts';
import type {ReportInput} from '../../harness/contract/reporter.ts';
import {rowKey} from '../cell.ts';
import {findings} from '../findings.ts';
import {countCaveats} from '../markdown-reporter.ts';
import {html, type Markup} from './markup.ts';

/** Anchor of a row, or null when the page does not show it. */
export type AnchorOf = (key: string) => string | null;

const nothing = html``;

export function answer({decisions = []}: ReportInput, anchorOf: AnchorOf): Markup {
  if (decisions.length === 0) {
    return html`<p>No need was given, so there is no recommendation: <code>bench report PATH --need FILE</code> or <code>bench decide PATH --p90-ms …</code> answers what to deploy where.</p>`;
  }
  return html`${decisions.map((decision) => one(decision, anchorOf))}`;
}

function one(decision: ReportDecision, anchorOf: AnchorOf): Markup {
  const {need, wants, verdict, reason, recommended, runnerUp, sure, notMeasured, excluded} = decision;
  const list = (title: string, texts: readonly string[]): Markup =>
    texts.length === 0
      ? nothing
      : html`<dt>${title}</dt><dd>${texts.slice(0, 12).map((text) => html`${text}<br>`)}${texts.length > 12 ? `… and ${texts.length - 12} more` : ''}</dd>`;
  return html`<section class="answer ${verdict}"><h3>${need}</h3><p class="muted">${wants}</p><p><strong>${reason}</strong></p><dl>${target('recommended', recommended, anchorOf)}${target('runner-up', runnerUp, anchorOf)}<dt>how sure</dt><dd>${sure}</dd>${list('not measured', notMeasured)}${list(
    'cannot',
    excluded.map(({name, reason: why}) => `${name}: ${why}`),
  )}</dl></section>`;
}

function target(title: string, value: ReportTarget | null, anchorOf: AnchorOf): Markup {
  if (value === null) return nothing;
  const anchor = value.row === null ? null : anchorOf(rowKey(value.row));
  const name = anchor === null ? html`${value.name}` : html`<a href="${anchor}">${value.name}</a>`;
  return html`<dt>${title}</dt><dd>${name}${value.cost === null ? ', no price' : `, ${value.cost}`}</dd>`;
}

export function findingList(input: ReportInput, anchorOf: AnchorOf): Markup {
  const found = findings(input);
  if (found.length === 0)
    return html`<p>No effect can be told apart: a quantized cell and its 16-bit control are needed.</p>`;
  return html`<ul>${found.map(({text, key}) => {
    const anchor = anchorOf(key);
    return anchor === null ? html`<li>${text}</li>` : html`<li>${text} <a href="${anchor}">its row</a></li>`;
  })}</ul>`;
}

export function caveatTable({rows}: ReportInput): Markup {
  const counted = countCaveats(rows);
  if (counted.length === 0) return html`<p>None.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Caveats"><table><thead><tr><th>caveat</th><th>rows</th><th>what it means</th><th>what to do</th></tr></thead><tbody>${counted.map(
    ({code, rows: count, doc, fix}) =>
      html`<tr><td><code>${code}</code></td><td class="n">${count} of ${rows.length}</td><td class="reason">${doc}</td><td class="reason">${fix}</td></tr>`,
  )}</tbody></table></div>`;
}

export function provenance({runs}: ReportInput): Markup {
  return html`${runs.map(({manifest, rows}) => {
    const {host} = manifest;
    return html`<details><summary><code>${manifest.runId}</code>, ${rows.length} rows</summary><dl>${[
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
        manifest.caveats.map(({code, value}) => (value === undefined ? code : `${code}=${value}`)).join(' '),
      ],
      [
        'not sampled',
        manifest.samplers
          .filter(({available}) => !available)
          .map(({id, detail}) => `${id}: ${detail}`)
          .join('; '),
      ],
    ].map(([name, value]) => html`<dt>${name ?? ''}</dt><dd>${value ?? ''}</dd>`)}</dl></details>`;
  })}`;
}
