import type {LedgerEntry, Verdict} from '../claims/verdict.ts';
import type {ClaimsFile} from '../contract/claim.ts';
import {COLUMNS as COLUMNS_OF_RESULTS} from '../contract/columns.ts';
import {formatSignificant} from '../contract/units.ts';
import {renderTable, type TableColumn} from './table.ts';
import {plain} from './terminal.ts';

const COLUMNS: readonly TableColumn[] = [
  {title: 'verdict', align: 'left'},
  {title: 'reading', align: 'left'},
  {title: 'says', align: 'right'},
  {title: 'measured', align: 'right'},
  {title: '95 %', align: 'left'},
  {title: 'workload', align: 'left'},
  {title: 'cell', align: 'left'},
  {title: 'against', align: 'left'},
  {title: 'finding', align: 'left'},
];

const VERDICTS: readonly Verdict[] = ['reproduced', 'direction only', 'contradicted', 'inconclusive', 'not measured'];

/** The claims of one publication with what was found of them. */
export interface Publication {
  readonly claims: ClaimsFile;
  readonly ledger: readonly LedgerEntry[];
}

/**
 * The ledger for people: publication by publication, sentence by sentence, device by device, what is missing with the
 * command that would measure it. Of several publications, one of which nothing was measured takes two lines.
 */
export function claimsText(publications: readonly Publication[]): string {
  const texts = publications.map((publication) => {
    const {title, source, sentences} = publication.claims;
    const head = `${plain(title)}\n${plain(source)}`;
    if (publications.length > 1 && isUnmeasured(publication)) return `${head}\n${unmeasuredText(publication)}`;
    const parts = sentences.map(({id, sentence}) => {
      const entries = publication.ledger.filter(({claim}) => claim === id);
      return [`“${plain(sentence)}”`, ...measuredText(entries), ...missingText(entries)].join('\n');
    });
    return [head, ...parts].join('\n\n');
  });
  return [...texts, countsText(publications)].join('\n\n');
}

function isUnmeasured({ledger}: Publication): boolean {
  return ledger.every(({verdict}) => verdict === 'not measured');
}

function unmeasuredText({claims: {sentences, matrix, claims}, ledger}: Publication): string {
  const readings = new Set(ledger.map(({claim, reading}) => `${claim} ${reading}`)).size;
  return `nothing of it was measured: ${readings} readings of ${sentences.length} sentences (--file matrices/claims/${plain(claims)}.yaml lists them)
to measure: bench matrix ${plain(matrix)}`;
}

function measuredText(entries: readonly LedgerEntry[]): string[] {
  const measured = entries.filter(({verdict}) => verdict !== 'not measured');
  const places = [...new Set(measured.map(placeOf))];
  return places.flatMap((place) => {
    const here = measured.filter((entry) => placeOf(entry) === place);
    const caveats = caveatsOf(here);
    return [
      '',
      ...(place === '' ? [] : [`${plain(place)}:`]),
      renderTable(COLUMNS, here.map(lineOf)),
      ...(caveats.length === 0 ? [] : [`caveats: ${plain(caveats.join(' '))}`]),
    ];
  });
}

/** Each code once; of one that carries a figure, from the least to the greatest. */
function caveatsOf(entries: readonly LedgerEntry[]): string[] {
  const figures = new Map<string, number[]>();
  const texts = new Set<string>();
  for (const caveat of entries.flatMap((entry) => entry.caveats)) {
    const [code = '', value = ''] = caveat.split('=', 2);
    const figure = Number(value);
    if (value === '' || Number.isNaN(figure)) texts.add(caveat);
    else figures.set(code, [...(figures.get(code) ?? []), figure]);
  }
  for (const [code, values] of figures) {
    const [least, greatest] = [Math.min(...values), Math.max(...values)];
    texts.add(least === greatest ? `${code}=${least}` : `${code}=${least}…${greatest}`);
  }
  return [...texts].sort();
}

/** Where it was checked; of another device than the sentence is about, that is the reason of its verdict, too. */
function placeOf({elsewhere, reason, device}: LedgerEntry): string {
  if (device === null) return '';
  return elsewhere ? reason : `checked on ${device}`;
}

function lineOf(entry: LedgerEntry): string[] {
  const {ratio, kind, expected} = entry;
  const unit = COLUMNS_OF_RESULTS[entry.measure].unit;
  // Of a figure, `ratio` is measured ÷ expected; people want the figure itself.
  const show = (value: number): string => formatSignificant(kind === 'figure' ? value * expected : value);
  const whole = (text: string): string => (kind === 'figure' ? `${text} ${unit ?? ''}`.trimEnd() : `× ${text}`);
  return [
    entry.verdict,
    entry.reading,
    whole(formatSignificant(expected)),
    ratio === null ? '' : whole(show(ratio.ratio)),
    ratio === null || ratio.low === null || ratio.high === null ? '' : `${show(ratio.low)} … ${show(ratio.high)}`,
    entry.workload ?? '',
    entry.cell ?? '',
    entry.against ?? '',
    entry.finding,
  ];
}

/** Readings that lack the same are told together. */
function missingText(entries: readonly LedgerEntry[]): string[] {
  const missing = entries.filter(({verdict}) => verdict === 'not measured');
  const commands = [...new Set(missing.map(({command}) => command))];
  return commands.flatMap((command) => {
    const alike = missing.filter((entry) => entry.command === command);
    const reasons = [...new Set(alike.map(({reason}) => reason))];
    return [
      '',
      ...reasons.map((reason) => {
        const readings = alike.filter((entry) => entry.reason === reason).map(({reading}) => reading);
        return `not measured, ${plain(reason)}: ${plain(readings.join(', '))}`;
      }),
      ...(command === null ? [] : [`to measure: ${plain(command)}`]),
    ];
  });
}

/** How often each verdict was given, publication by publication. */
function countsText(publications: readonly Publication[]): string {
  return [
    'Verdicts, every reading on every device and workload apart:',
    renderTable(
      [{title: 'publication', align: 'left'}, ...VERDICTS.map((title) => ({title, align: 'right' as const}))],
      publications.map(({claims, ledger}) => [
        claims.claims,
        ...VERDICTS.map((verdict) => String(ledger.filter((entry) => entry.verdict === verdict).length)),
      ]),
    ),
  ].join('\n');
}
