import {fileURLToPath} from 'node:url';
import {type Attribution, attribute} from '../../harness/claims/attribution.ts';
import type {MeasuredCell} from '../../harness/claims/measured-cell.ts';
import {claimsLedger, type LedgerEntry, type Verdict} from '../../harness/claims/verdict.ts';
import {cellsOf, readRuns} from '../../harness/cli/read-runs.ts';
import {shippedClaims} from '../../harness/cli/shipped-claims.ts';
import {shippedPrices} from '../../harness/cli/shipped-prices.ts';
import {formatSignificant} from '../../harness/contract/units.ts';

/**
 * The runs that README quotes. A run that is committed later changes no sentence of README, and fails no test: it is
 * added here when README shall speak of it.
 */
const RUNS = [
  'licardo-2025--amd-epyc-zen4-2c--vm--20261124T080532Z',
  'quickstart--amd-epyc-zen4-2c--vm--20261124T080503Z',
] as const;
/** The paper that README goes into. */
const PAPER = 'licardo-2025';
const VERDICTS: readonly Verdict[] = ['reproduced', 'direction only', 'contradicted', 'inconclusive', 'not measured'];

async function firstCells(): Promise<MeasuredCell[]> {
  const folder = new URL('../../results/', import.meta.url);
  return cellsOf(await readRuns(RUNS.map((run) => fileURLToPath(new URL(run, folder)))));
}

/** What the first runs say of the publications: the paper reading by reading, and how often each verdict was given. */
export async function claimsTables(): Promise<string> {
  const cells = await firstCells();
  const ledgers = shippedClaims(shippedPrices()).map((claims) => ({claims, ledger: claimsLedger(claims, cells)}));
  const paper = ledgers.find(({claims}) => claims.claims === PAPER);
  if (paper === undefined) throw new Error(`no claims of ${PAPER}`);
  const measured = paper.ledger.filter(({device}) => device !== null);
  const devices = [...new Set(measured.map(({device}) => device ?? ''))].sort();
  const lines = paper.claims.sentences.flatMap(({id, sentence, readings}) => {
    const best = readings.flatMap((reading) => (reading.of === 'each' ? [] : [reading.id]));
    const groups = grouped(
      measured.filter(({claim}) => claim === id),
      best,
    );
    const rows =
      groups.length === 0
        ? [['', '', '', ...devices.map(() => 'not measured')]]
        : groups.map((group) => rowOf(group, devices));
    return rows.map((row, index) => [index === 0 ? sentence : '', ...row]);
  });
  return [
    table(['sentence', 'figure', 'says', 'cell', ...devices], lines),
    table(
      ['publication', ...VERDICTS],
      ledgers.map(({claims, ledger}) => [
        claims.claims,
        ...VERDICTS.map((verdict) => String(ledger.filter((entry) => entry.verdict === verdict).length)),
      ]),
    ),
  ].join('\n\n');
}

/**
 * Readings that differ only in what they expect share a row: they were measured once.
 *
 * @param best Readings of "up to": another format or instruction set may be the best on another device.
 */
function grouped(entries: readonly LedgerEntry[], best: readonly string[]): LedgerEntry[][] {
  const groups = new Map<string, LedgerEntry[]>();
  for (const entry of entries) {
    const key = [entry.measure, best.includes(entry.reading) ? entry.reading : entry.cell, entry.workload].join(' ');
    const known = groups.get(key);
    if (known === undefined) groups.set(key, [entry]);
    else known.push(entry);
  }
  return [...groups.values()];
}

function rowOf(group: readonly LedgerEntry[], devices: readonly string[]): string[] {
  const [first] = group;
  const expected = [...new Set(group.map((entry) => `× ${formatSignificant(entry.expected)}`))].join(', ');
  const cells = [...new Set(group.map(({cell}) => (cell ?? '').replace(/ (?:fp16|f32)$/, '')))].join('; ');
  return [
    `\`${first?.measure}\``,
    expected,
    `${cells}, against ${(first?.against ?? '').replace(/ .*/, '')}${first?.workload === 'intent' ? '' : ` (${first?.workload})`}`,
    ...devices.map((device) => findingOf(group.filter((entry) => entry.device === device))),
  ];
}

function findingOf(entries: readonly LedgerEntry[]): string {
  const [first] = entries;
  if (first === undefined) return 'not measured';
  return `${spread(first.ratio)}: ${[...new Set(entries.map(({verdict}) => verdict))].join(', ')}`;
}

/** Why the decode of some formats is as fast as it is, on the first hosts. */
export async function attributionTable(): Promise<string> {
  const formats = ['gptq-4bit', 'gguf-q8_0', 'gguf-q4_k_m'];
  const attributions = attribute(await firstCells()).filter(
    ({row, phase, total}) =>
      phase === 'decode' &&
      total !== null &&
      formats.includes(row.format ?? '') &&
      row.workload === 'intent' &&
      !/isa-capped/.test(row.caveats ?? ''),
  );
  const inOrder = attributions.toSorted((a, b) => keyOf(a).localeCompare(keyOf(b)));
  return table(
    ['device', 'format', 'kernel', 'decode ÷ fp16 in PyTorch', '= runtime', '× bytes', '× kernel', '× rest'],
    inOrder.map(({row, total, factors}) => [
      row.device ?? '',
      row.format ?? '',
      row.kernel ?? '',
      spread(total),
      ...factors.map((factor) => (factor.ratio === null ? '?' : spread({...factor, ratio: factor.ratio}))),
    ]),
  );
  function keyOf({row}: Attribution): string {
    return [row.device, formats.indexOf(row.format ?? ''), row.kernel].join(' ');
  }
}

function spread(of: {ratio: number; low: number | null; high: number | null} | null): string {
  if (of === null) return '?';
  const {ratio, low, high} = of;
  const bounds =
    low === null || high === null || low === high ? '' : ` (${formatSignificant(low)}–${formatSignificant(high)})`;
  return `× ${formatSignificant(ratio)}${bounds}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
