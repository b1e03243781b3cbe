import {clean} from '../text.ts';

/** Markup that was made here; everything else is text and gets escaped. */
export interface Markup {
  readonly markup: string;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

/** `100 000` stays on one line. */
const GROUPS = /(\d) (?=\d{3}(?!\d))/g;

export function escapeHtml(text: string): string {
  return clean(text, 4000)
    .replace(GROUPS, '$1\u00A0')
    .replace(/[&<>"'`]/g, (sign) => ENTITIES[sign] ?? '');
}

type Part = string | number | null | Markup | readonly (string | Markup)[];

/** Template tag: what is put in is escaped, unless it is itself the result of this tag. */
export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  let markup = texts[0] ?? '';
  for (const [index, part] of parts.entries()) markup += render(part) + (texts[index + 1] ?? '');
  return {markup};
}

function render(part: Part): string {
  if (part === null) return '';
  if (typeof part === 'string' || typeof part === 'number') return escapeHtml(String(part));
  if ('markup' in part) return part.markup;
  return part.map(render).join('');
}

/** Markup of our own that is complete as it is: an SVG that Vega has drawn. */
export function trusted(markup: string): Markup {
  return {markup};
}

/** JSON that can stand in a script element: no character can end it or begin markup. */
export function jsonForScript(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('>', '\\u003e')
    .replaceAll('&', '\\u0026')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
}
