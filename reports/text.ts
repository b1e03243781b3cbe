import {COLUMNS, type ColumnName} from '../harness/contract/columns.ts';
import {formatSignificant} from '../harness/contract/units.ts';

/** Control characters, what turns text around, and what is no character: by Unicode property, without naming one. */
const UNFIT = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069\uFFFE\uFFFF]/gu;

/** Text from a file made fit for a chart: one line of bounded length, nothing that XML forbids or that turns text around. */
export function clean(text: string | null, longest = 160): string {
  const line = (text ?? '').replace(UNFIT, ' ');
  // Vega looks names up in plain objects: it would find the `constructor` that every object has.
  if (line in Object.prototype) return `${line} `;
  return line.length <= longest ? line : `${line.slice(0, longest - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

const SHORT: Readonly<Record<string, string>> = {
  vram: 'VRAM',
  ram: 'RAM',
  ttft: 'TTFT',
  tpot: 'TPOT',
  usd: 'USD',
  '1m': '1M',
  '1k': '1 000',
  cpu: 'CPU',
  ci: 'CI',
};

/** Name of a column as people say it; its unit stands apart. */
export function columnWords(name: ColumnName): string {
  return name
    .replace(/(?<=.)_(?:tokens_per_s|requests_per_s|bytes_per_s|ms|hz|j|ratio)(?=_|$)/g, '')
    .replace(/(?<=peak|baseline)_bytes$/, '')
    .split('_')
    .map((word) => SHORT[word] ?? word)
    .join(' ');
}

/** Title of an axis: name and unit of a column, or the unit in which the chart shows it. */
export function axisTitle(name: ColumnName, shownUnit?: string): string {
  const unit = shownUnit ?? COLUMNS[name].unit;
  const words = columnWords(name);
  return unit === null || words.startsWith(unit) ? words : `${words} (${unit})`;
}

/** A figure with its interval: `271 (251–293)`, of a ratio `2.44× (2.27–2.63×)`. */
export function withInterval(value: number, low: number | null, high: number | null, sign = ''): string {
  const figure = `${formatSignificant(value)}${sign}`;
  if (low === null || high === null) return figure;
  const [from, to] = [formatSignificant(low), formatSignificant(high)];
  return from === to ? figure : `${figure} (${from}–${to}${sign})`;
}

/** Half the width of an interval, relative to its figure: `±3 %`; empty without an interval. */
export function plusMinus(value: number, low: number | null, high: number | null): string {
  if (low === null || high === null || value <= 0) return '';
  const percent = (50 * (high - low)) / value;
  return `±${percent < 1 ? percent.toFixed(1) : Math.round(percent)} %`;
}

/** A program argument that a POSIX shell reads back as the same text. */
export function shellQuote(text: string): string {
  return /^[\w@%+:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
