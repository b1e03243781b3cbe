import {CAVEATS} from '../../harness/contract/caveats.ts';
import {COLUMNS, REQUEST_COLUMNS} from '../../harness/contract/columns.ts';
import {attributionTable, claimsTables} from './first-results.ts';

/** Replaces what stands between `<!-- generated: NAME -->` and `<!-- /generated -->`, for every name. */
export async function fillReadme(current: string | null): Promise<string> {
  if (current === null) throw new Error('README.md is missing');
  let text = current;
  for (const [name, make] of Object.entries(PARTS)) {
    const open = `<!-- generated: ${name} -->`;
    const start = text.indexOf(open);
    const end = text.indexOf('<!-- /generated -->', start);
    if (start < 0 || end < 0) throw new Error(`README.md has no part "${name}"`);
    text = `${text.slice(0, start + open.length)}\n\n${await make()}\n\n${text.slice(end)}`;
  }
  return text;
}

const PARTS: Readonly<Record<string, () => string | Promise<string>>> = {
  claims: claimsTables,
  attribution: attributionTable,
  columns: () => {
    const rows = Object.entries(COLUMNS).map(
      ([name, {group, unit, doc}]) => `| ${group} | \`${name}\` | ${unit ?? ''} | ${cell(doc)} |`,
    );
    return ['| group | column | unit | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
  },
  'request-columns': () => {
    const rows = Object.entries(REQUEST_COLUMNS).map(([name, {doc}]) => `| \`${name}\` | ${cell(doc)} |`);
    return ['| column | meaning |', '| --- | --- |', ...rows].join('\n');
  },
  caveats: () => {
    const rows = Object.entries(CAVEATS).map(([code, {doc, fix}]) => `| \`${code}\` | ${cell(doc)} | ${cell(fix)} |`);
    return ['| code | what it means | what to do |', '| --- | --- | --- |', ...rows].join('\n');
  },
};

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
