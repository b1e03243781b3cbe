import {CAVEATS} from '../harness/contract/caveats.ts';
import type {ResultRow} from '../harness/contract/columns.ts';
import type {ReportClaim, ReportDecision} from '../harness/contract/report-data.ts';
import type {Reporter, ReportFile, ReportInput, RunData} from '../harness/contract/reporter.ts';
import {formatBytes} from '../harness/contract/units.ts';
import {cellData} from './cell.ts';
import {timesControls} from './controls.ts';
import {findings} from './findings.ts';
import {WAITING} from './panels.ts';
import {reasons} from './reasons.ts';
import {clean, withInterval} from './text.ts';
import {apart} from './waiting.ts';

/** A comment on a pull request may not be longer than 65 536 characters. */
const MOST_ROWS = 120;
const MOST_CLAIMS = 40;
const MOST_LISTED = 4;
const MOST_RUNS = 20;

/** A summary for a pull request: answer, findings, tables, caveats, provenance. */
export class MarkdownReporter implements Reporter {
  readonly id = 'md';

  async render(input: ReportInput): Promise<readonly ReportFile[]> {
    return [{path: 'report.md', content: markdown(input)}];
  }
}

/** Text that no one sees, and that keeps `@name` and `#1` from becoming a mention and a link. */
const JOINER = '\u2060';

/** Text from a file that is text in Markdown, too: no markup, no table cell of its own, no mention, no link. */
export function escapeMarkdown(text: string): string {
  return clean(text, 400)
    .replace(/[\\`*_{}[\]()#+!|~$^]/g, (sign) => `\\${sign}`)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('@', `@${JOINER}`)
    .replace(/#(?=\w)/g, `#${JOINER}`)
    .replace(/:\/\//g, `:${JOINER}//`)
    .replace(/www\./gi, (start) => `${start.slice(0, -1)}${JOINER}.`);
}

function markdown(input: ReportInput): string {
  const {decisions = [], claims = [], runs, rows} = input;
  const found = findings(input).map(({lead, text}) => `- **${escapeMarkdown(lead)}:** ${escapeMarkdown(text)}`);
  const sections: readonly (readonly [string, readonly string[]])[] = [
    [
      'Answer',
      decisions.length === 0
        ? ['No need was given: `bench decide` answers what to deploy.']
        : decisions.flatMap(answer),
    ],
    ['Findings', found.length === 0 ? ['No two measured cells can be compared.'] : found],
    ['Cells', tables(input)],
    ...(claims.length === 0 ? [] : ([['Claims', claimTable(claims)]] as const)),
    ['Caveats', caveatLines(rows)],
    ['Provenance', provenance(runs)],
  ];
  const lines = sections.flatMap(([title, body]) => [`## ${title}`, '', ...body, '']);
  return `${[`# ${escapeMarkdown(input.title)}`, '', ...lines].join('\n').trimEnd()}\n`;
}

function answer(decision: ReportDecision, index: number): string[] {
  const {need, wants, verdict, reason, recommended, runnerUp, sure, next = [], notMeasured, excluded} = decision;
  const target = ({name, cost}: {readonly name: string; readonly cost: string | null}): string =>
    `${escapeMarkdown(name)}, ${cost === null ? 'no price' : escapeMarkdown(cost)}`;
  const listed = (texts: readonly string[]): string => {
    const more = texts.length > MOST_LISTED ? `; and ${texts.length - MOST_LISTED} more` : '';
    return texts.slice(0, MOST_LISTED).map(escapeMarkdown).join('; ') + more;
  };
  const points = [
    ...(recommended === null
      ? []
      : [`${verdict === 'undecided' ? 'first among equals' : 'recommended'}: ${target(recommended)}`]),
    ...(runnerUp === null ? [] : [`runner-up: ${target(runnerUp)}`]),
    `how sure: ${escapeMarkdown(sure)}`,
    ...(next.length === 0 ? [] : [`what would settle it: ${listed(next)}`]),
    ...(notMeasured.length === 0 ? [] : [`not measured: ${listed(notMeasured)}`]),
    ...(excluded.length === 0 ? [] : [`cannot: ${listed(reasons(excluded))}`]),
  ];
  return [
    ...(index === 0 ? [] : ['']),
    `**${escapeMarkdown(need)}** (${escapeMarkdown(wants)}): ${escapeMarkdown(reason)}`,
    '',
    ...points.map((point) => `- ${point}`),
  ];
}

/** A column of the tables; left out where no row has it. */
interface Shown {
  readonly title: string;
  readonly of: (row: ResultRow) => string;
}

function shownColumns({rows, attributions}: ReportInput): Shown[] {
  const timesOf = timesControls(rows, attributions);
  const rate = (value: number | null, low: number | null, high: number | null): string =>
    value === null ? '' : withInterval(value, low, high);
  const bytes = (value: number | null): string => (value === null ? '' : formatBytes(value));
  const columns: Shown[] = [
    {
      title: 'decode tokens/s',
      of: (row) => rate(row.decode_tokens_per_s, row.decode_tokens_per_s_ci_low, row.decode_tokens_per_s_ci_high),
    },
    {
      title: 'decode ÷ 16 bit',
      of: (row) => {
        const times = timesOf(row, 'decode_tokens_per_s');
        return times === null ? '' : withInterval(times.value, times.low, times.high, '×');
      },
    },
    {
      title: 'prefill tokens/s',
      of: (row) => rate(row.prefill_tokens_per_s, row.prefill_tokens_per_s_ci_low, row.prefill_tokens_per_s_ci_high),
    },
    {
      title: 'latency p50 ms',
      of: (row) => rate(row.latency_ms_p50, null, null),
    },
    {
      title: 'latency p90 ms',
      of: (row) => rate(row.latency_ms_p90, row.latency_ms_p90_ci_low, row.latency_ms_p90_ci_high),
    },
    {title: 'RAM', of: (row) => bytes(row.ram_peak_bytes)},
    {title: 'VRAM', of: (row) => bytes(row.vram_peak_bytes)},
    {
      title: 'energy J/token',
      of: (row) => rate(row.energy_j_per_token, null, null),
    },
    {
      title: 'quality',
      of: (row) => rate(row.quality_value, row.quality_ci_low, row.quality_ci_high),
    },
    {
      title: 'USD per 1M output tokens',
      of: (row) => rate(row.usd_per_1m_output_tokens, null, null),
    },
    {title: 'n', of: (row) => (row.requests === null || row.requests === 0 ? '' : String(row.requests))},
  ];
  return columns.filter(({of}) => rows.some((row) => of(row) !== ''));
}

/** One table a device, model and workload; cells without figures say how they ended. */
function tables(input: ReportInput): string[] {
  const {rows} = input;
  if (rows.length === 0) return ['There are no rows.'];
  const {ran: cells, waiting} = apart(cellData(rows));
  const shown = cells.slice(0, MOST_ROWS);
  const columns = shownColumns(input);
  const ended = shown.some(({status}) => status !== 'ok');
  const lines: string[] = [];
  let panel: string | null = null;
  for (const cell of shown) {
    if (cell.panel !== panel) {
      if (panel !== null) lines.push('');
      panel = cell.panel;
      lines.push(
        `**${escapeMarkdown(panel)}**`,
        '',
        `| ${['cell', ...(ended ? ['ended'] : []), ...columns.map(({title}) => title)].join(' | ')} |`,
        `| ${['---', ...(ended ? ['---'] : []), ...columns.map(() => '---:')].join(' | ')} |`,
      );
    }
    const end = cell.status === 'ok' ? 'ok' : escapeMarkdown(clean(cell.ended, 90));
    const figures = columns.map(({of}) => of(cell.row));
    lines.push(`| ${[escapeMarkdown(cell.label), ...(ended ? [end] : []), ...figures].join(' | ')} |`);
  }
  lines.push('', 'In brackets the 95 % interval; × is relative to 16 bit in the same engine; empty: not measured.');
  if (cells.length > shown.length) {
    lines.push(`The first ${shown.length} of ${cells.length} rows; results.csv has them all.`);
  }
  if (waiting.length > 0) {
    lines.push('', `${WAITING}:`, '', ...waiting.map(({label}) => `- ${escapeMarkdown(label)}`));
  }
  return lines;
}

function claimTable(claims: readonly ReportClaim[]): string[] {
  const shown = claims.slice(0, MOST_CLAIMS);
  return [
    '| sentence | says | verdict | measured | on |',
    '| --- | --- | --- | ---: | --- |',
    ...shown.map(({sentence, says, verdict, kind, ratio, reason, device}) => {
      const measured =
        ratio === null
          ? escapeMarkdown(clean(reason, 90))
          : `${withInterval(ratio.ratio, ratio.low, ratio.high, '×')}${kind === 'figure' ? ' of what is said' : ''}`;
      const texts = [clean(sentence, 110), clean(says, 80), verdict].map(escapeMarkdown);
      return `| ${[...texts, measured, escapeMarkdown(clean(device, 40))].join(' | ')} |`;
    }),
    ...(claims.length > shown.length
      ? ['', `The first ${shown.length} of ${claims.length} readings; bench claims has them all.`]
      : []),
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
    `- ${escapeMarkdown(code)} (${count === rows.length ? 'all rows' : `${count} of ${rows.length} rows`}): ${doc} ${fix}`.trimEnd(),
  );
}

/** Text between backticks is text, whatever it holds but a backtick. */
const code = (text: string): string => `\`${clean(text, 200).replaceAll('`', "'")}\``;

function provenance(runs: readonly RunData[]): string[] {
  const lines = runs.slice(0, MOST_RUNS).map(({manifest, rows}) => {
    const {host, harnessVersion, gitCommit, startedAt} = manifest;
    const devices = host.devices.map(({title}) => escapeMarkdown(clean(title, 60)));
    return `- ${[
      `${code(manifest.runId)} (${rows.length} rows)`,
      `${escapeMarkdown(host.cpuModel)}${devices.length === 0 ? '' : `, ${devices.join(', ')}`}`,
      `bench ${escapeMarkdown(harnessVersion)}${gitCommit === null ? '' : ` at ${code(gitCommit)}`}`,
      escapeMarkdown(startedAt),
      code(manifest.command),
    ].join('; ')}`;
  });
  return runs.length > MOST_RUNS ? [...lines, `- and ${runs.length - MOST_RUNS} more runs`] : lines;
}
