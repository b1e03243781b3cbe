/**
 * A spreadsheet takes a cell that begins with one of these for a formula, and runs it. The full-width forms count in
 * some locales.
 */
const DANGER = '[=+\\-@\\t\\r\\n\uFF1D\uFF0B\uFF0D\uFF20]';
const DANGEROUS = new RegExp(`^'*${DANGER}`);
const GUARDED = new RegExp(`^'+${DANGER}`);

/**
 * Puts an apostrophe before a text that a spreadsheet would run. A text that has apostrophes before such a character
 * gets one more, too, so that {@link unguardFormula} restores every text exactly.
 */
export function guardFormula(text: string): string {
  return DANGEROUS.test(text) ? `'${text}` : text;
}

/** Undoes {@link guardFormula}. */
export function unguardFormula(text: string): string {
  // Most texts need no look at the expression.
  return text.startsWith("'") && GUARDED.test(text) ? text.slice(1) : text;
}
