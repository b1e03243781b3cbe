/** One word of a POSIX shell, whatever is in it. */
export function quoted(text: string): string {
  return /^[a-zA-Z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

export const commandLine = (words: readonly string[]): string => words.map(quoted).join(' ');
