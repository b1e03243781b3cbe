import {CAVEATS} from '../harness/contract/caveats.ts';
import type {ResultRow} from '../harness/contract/columns.ts';
import type {Reporter, ReportFile, ReportInput} from '../harness/contract/reporter.ts';
import {formatBytes, formatSignificant} from '../harness/contract/units.ts';
import {compareRows} from './cell.ts';
import {findings} from './findings.ts';
import {clean} from './text.ts';

/** A comment on a pull request may not be longer than 65 536 characters. */
const MOST_ROWS = 150;

/** A summary for a pull request: answer, findings, one table, caveats. */
export class MarkdownReporter implements Reporter {
  readonly id = 'md';

  async render(input: ReportInput): Promise<readonly ReportFile[]> {
    return [{path: 'report.md', content: markdown(input)}];
  }
}

/** Text from a file that is text in Markdown, too: no markup, no table cell of its own, no mention, no link. */
export function escapeMarkdown(text: string): string {
  return clean(text, 400)
    .replace(/[\\`*_{}[\]()#+!|~$^]/g, (sign) => `\\${sign}`)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('@', '&#64;')
    .replace(/:\/\//g, ':&#47;&#47;')
    .replace(/www\./gi, 'www&#46;');
}

function markdown(input: ReportInput): string {
  const {decisions = [], runs, rows} = input;
  const lines = [`# ${escapeMarkdown(input.title)}`, '', '## Answer', ''];
  if (decisions.length === 0) lines.push('No need was given: `bench decide` answers what to deploy.', '');
  for (const decision of decisions) {
    lines.push(
      `**${escapeMarkdown(decision.need)}** (${escapeMarkdown(decision.wants)}): ${escapeMarkdown(decision.reason)}`,
    );
    if (decision.recommended !== null) lines.push(`- recommended: ${target(decision.recommended)}`);
    if (decision.runnerUp !== null) lines.push(`- runner-up: ${target(decision.runnerUp)}`);
    lines.push(`- how sure: ${escapeMarkdown(decision.sure)}`);
    if (decision.notMeasured.length > 0)
      lines.push(`- not measured: ${decision.notMeasured.map(escapeMarkdown).join('; ')}`);
    lines.push('');
  }
  const found = findings(input);
  if (found.length > 0) lines.push('## Findings', '', ...found.map(({text}) => `- ${escapeMarkdown(text)}`), '');
  lines.push('## Cells', '', ...table(rows), '', '## Caveats', '', ...caveatLines(rows), '', '## Provenance', '');
  for (const {manifest} of runs) {
    lines.push(
      `- \`${clean(manifest.runId).replaceAll('`', "'")}\`: ${escapeMarkdown(manifest.host.cpuModel)}, bench ${escapeMarkdown(manifest.harnessVersion)}, ${escapeMarkdown(manifest.startedAt)}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function target({name, cost}: {readonly name: string; readonly cost: string | null}): string {
  return `${escapeMarkdown(name)}${cost === null ? ', no price' : `, ${escapeMarkdown(cost)}`}`;
}

function table(rows: readonly ResultRow[]): string[] {
  const number = (value: number | null): string => (value === null ? '' : formatSignificant(value));
  const bytes = (value: number | null): string => (value === null ? '' : formatBytes(value));
  const shown = [...rows].sort(compareRows).slice(0, MOST_ROWS);
  return [
    '| device | model | workload | format | runner · kernel | status | decode tokens/s | prefill tokens/s | latency p50 / p90 ms | RAM | VRAM | n |',
    '| --- | --- | --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...shown.map((row) => {
      const text = (value: string | null): string => escapeMarkdown(clean(value, 60));
      const speed = (value: number | null, low: number | null, high: number | null): string =>
        number(value) + (low === null || high === null ? '' : ` (${number(low)}–${number(high)})`);
      return `| ${[
        text(row.device),
        text(row.model),
        text(row.workload),
        text(row.format),
        [row.runner, row.kernel]
          .filter((part) => part !== null)
          .map(text)
          .join(' · '),
        row.status === 'ok' ? 'ok' : text([row.status, row.status_reason].filter((part) => part !== null).join(': ')),
        speed(row.decode_tokens_per_s, row.decode_tokens_per_s_ci_low, row.decode_tokens_per_s_ci_high),
        speed(row.prefill_tokens_per_s, row.prefill_tokens_per_s_ci_low, row.prefill_tokens_per_s_ci_high),
        row.latency_ms_p50 === null ? '' : `${number(row.latency_ms_p50)} / ${number(row.latency_ms_p90) || '–'}`,
        bytes(row.ram_peak_bytes),
        bytes(row.vram_peak_bytes),
        row.requests === null ? '' : String(row.requests),
      ].join(' | ')} |`;
    }),
    ...(rows.length > shown.length ? ['', `${shown.length} of ${rows.length} rows; results.csv has them all.`] : []),
  ];
}

/** Each caveat once, with how many rows it touches. */
export function countCaveats(
  rows: readonly ResultRow[],
): {readonly code: string; readonly rows: number; readonly doc: string; readonly fix: string}[] {
  const counts = new Map<string, number>();
  for (const row of rows) {
    for (const code of new Set((row.caveats ?? '').split(' ').map((one) => one.split('=')[0] ?? ''))) {
      if (code !== '') counts.set(code, (counts.get(code) ?? 0) + 1);
    }
  }
  return [...counts]
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .map(([code, count]) => {
      const known = Object.hasOwn(CAVEATS, code) ? CAVEATS[code as keyof typeof CAVEATS] : null; // looked up just before
      return {
        code: clean(code, 60),
        rows: count,
        doc: known?.doc ?? 'Not known to this version of bench.',
        fix: known?.fix ?? '',
      };
    });
}

function caveatLines(rows: readonly ResultRow[]): string[] {
  const counted = countCaveats(rows);
  if (counted.length === 0) return ['None.'];
  return counted.map(({code, rows: count, doc, fix}) =>
    `- ${escapeMarkdown(code)} (${count} of ${rows.length} rows): ${doc} ${fix}`.trimEnd(),
  );
}
