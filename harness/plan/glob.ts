/** `*` = any characters, `?` = one; everything else stands for itself. Matches the whole text. */
export function matchesGlob(pattern: string, text: string): boolean {
  // Two pointers instead of a regular expression: a pattern with many stars stays quadratic at worst.
  let at = 0;
  let position = 0;
  let star = -1;
  let marked = 0;
  while (position < text.length) {
    if (pattern[at] === '*') {
      star = at++;
      marked = position;
    } else if (pattern[at] === '?' || pattern[at] === text[position]) {
      at++;
      position++;
    } else if (star >= 0) {
      at = star + 1;
      position = ++marked;
    } else {
      return false;
    }
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}

/** A rule value of the matrix: one glob, or several of which one must match. */
export function matchesAny(patterns: string | readonly string[], texts: readonly string[]): boolean {
  const list = typeof patterns === 'string' ? [patterns] : patterns;
  return list.some((pattern) => texts.some((text) => matchesGlob(pattern, text)));
}
