import {describe, expect, test} from 'vitest';
import type {ResultRow} from '../../../harness/contract/columns.ts';
import type {ReportInput} from '../../../harness/contract/reporter.ts';
import {CHARTS} from '../../../reports/all-charts.ts';
import {escapeMarkdown, MarkdownReporter} from '../../../reports/markdown-reporter.ts';
import {SvgReporter} from '../../../reports/svg-reporter.ts';
import {simulatedInput} from '../../support/report-rows.ts';

const RTL = '\u202E';
/** No such character may be left in a file; by name, because a pattern with a control character is hard to read. */
const unfit = (text: string): boolean => text.includes('\u0000') || text.includes(RTL);
const HOSTILE: Readonly<Record<string, string>> = {
  script: '<script>alert(1)</script>',
  attribute: '" onload="alert(1)" x="',
  formula: '=cmd()',
  cdata: '"]]><image href="https://example.org/x.png"/>',
  link: '](javascript:alert(1))',
  'Markdown image': '![x](https://example.org/x.png)',
  mention: '@everyone #1 www.example.org https://example.org a@example.org',
  table: 'a | b\n| --- | --- |\n| `c` | d |',
  'very long': 'x'.repeat(10_000),
  'turned around': `${RTL}fdp.exe`,
  entity: '&lt;b&gt;&#60;i&#62;',
  expression: "'+alert(1)+'",
  'name of a property': 'constructor',
  prototype: '__proto__',
  'half a character': '\uD800x\u0000',
};
const TEXTS = [
  'model',
  'format',
  'runner',
  'kernel',
  'device',
  'workload',
  'status_reason',
  'caveats',
  'host',
  'isa',
  'energy_source',
  'price_date',
  'quality_metric',
] as const satisfies readonly (keyof ResultRow)[];

/** The whole fixture with one text in every place that a file can write to. */
function poisoned(text: string): ReportInput {
  const input = simulatedInput(14);
  const change = (row: ResultRow): ResultRow => ({...row, ...Object.fromEntries(TEXTS.map((name) => [name, text]))});
  const rows = input.rows.map((row) => (row.status === 'ok' ? change(row) : {...change(row), status: text}));
  return {
    ...input,
    title: text,
    rows,
    runs: input.runs.map(({manifest, rows: own}) => ({
      rows: own.map(change),
      manifest: {
        ...manifest,
        runId: text,
        command: text,
        harnessVersion: text,
        gitCommit: text,
        startedAt: text,
        host: {...manifest.host, cpuModel: text, devices: []},
      },
    })),
    devices: [{name: text, kind: 'cpu', memoryBytes: 2 ** 34}],
    claims: (input.claims ?? []).map((claim) => ({
      ...claim,
      sentence: text,
      says: text,
      reason: text,
      verdict: text,
      device: text,
      cell: text,
      against: text,
      workload: text,
    })),
    attributions: (input.attributions ?? []).map((one) => ({
      ...one,
      factors: one.factors.map((factor) => ({...factor, name: text, note: text})),
    })),
    decisions: (input.decisions ?? []).map((decision) => ({
      ...decision,
      need: text,
      wants: text,
      reason: text,
      sure: text,
      recommended: {name: text, cost: text, row: null},
      notMeasured: [text],
      excluded: [{name: text, reason: text}],
    })),
    ...(input.telemetry === undefined
      ? {}
      : {
          telemetry: {
            ...input.telemetry,
            phases: input.telemetry.phases.map((phase) => ({...phase, name: text})),
          },
        }),
  };
}

/** Tags of an XML text, by a scanner that knows comments, character data and quotes. */
function tagsOf(xml: string): {name: string; attributes: Record<string, string>}[] {
  return [
    ...xml.matchAll(/<!\[CDATA\[[\s\S]*?\]\]>|<!--[\s\S]*?-->|<([A-Za-z][\w:-]*)((?:\s+[\w:-]+="[^"]*")*)\s*\/?>/g),
  ].flatMap(([, name, rest = '']) =>
    name === undefined
      ? []
      : [
          {
            name: name.toLowerCase(),
            attributes: Object.fromEntries(
              [...rest.matchAll(/([\w:-]+)="([^"]*)"/g)].map(([, key, value]) => [key, value]),
            ),
          },
        ],
  );
}

describe.each(Object.entries(HOSTILE))('%s', (_name, text) => {
  test('is inert text in every SVG', async () => {
    const files = await new SvgReporter(CHARTS).render(poisoned(text));
    expect(files.length).toBeGreaterThan(10);
    for (const {path, content} of files) {
      const svg = String(content);
      const tags = tagsOf(svg);
      // Every opening bracket belongs to a tag that the scanner knows: none is left over in text.
      expect([path, svg.match(/<(?![/!?])/g)?.length]).toEqual([path, tags.length]);
      expect([path, [...new Set(tags.map(({name}) => name))].filter((name) => !DRAWN.has(name))]).toEqual([path, []]);
      const attributes = tags.flatMap((tag) => Object.entries(tag.attributes));
      expect([path, attributes.filter(([name]) => /^on|href$/i.test(name))]).toEqual([path, []]);
      expect([path, unfit(svg) || /\p{Cs}/u.test(svg)]).toEqual([path, false]);
    }
  });

  test('is inert text in Markdown', async () => {
    const [file] = await new MarkdownReporter().render(poisoned(text));
    const page = String(file?.content);
    // What is between backticks is text; the rest may hold no markup that is not escaped.
    const outside = page.replace(/(?<!\\)`[^`\n]*`/g, '');
    expect(outside).not.toMatch(/<(?!-)/);
    expect(outside).not.toMatch(/(?<!\\)[[\]]/);
    expect(outside).not.toMatch(/@\w|www\.|:\/\/|#\d/);
    expect(unfit(page)).toBe(false);
    // One more pipe in a table would be one more cell.
    const widths = new Map<string, number>();
    let header = '';
    for (const line of outside.split('\n')) {
      if (!line.startsWith('|')) {
        header = '';
        continue;
      }
      if (header === '') header = line;
      const cells = line.match(/(?<!\\)\|/g)?.length ?? 0;
      widths.set(header, widths.get(header) ?? cells);
      expect([line.slice(0, 80), cells]).toEqual([line.slice(0, 80), widths.get(header)]);
    }
    expect(page.length).toBeLessThan(65_536);
  });
});

/** Elements that a drawing is made of. */
const DRAWN = new Set([
  'svg',
  'style',
  'g',
  'path',
  'text',
  'tspan',
  'line',
  'rect',
  'defs',
  'clippath',
  'circle',
  'title',
]);

test('Markdown is escaped where it would mean something', () => {
  expect(escapeMarkdown('a|b `c` [d](e) <f> *g* _h_ #1 @i')).toMatchInlineSnapshot(
    `"a\\|b \\\`c\\\` \\[d\\]\\(e\\) &lt;f&gt; \\*g\\* \\_h\\_ \\#⁠1 @⁠i"`,
  );
});
