/** How text may look on one stream: no escape codes into pipes, under NO_COLOR, in CI or on a dumb terminal. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether a stream may be redrawn (cursor movement): only a real terminal outside CI. */
export function isLive(stream: {readonly isTTY?: boolean}, env: Environment): boolean {
  return stream.isTTY === true && env['TERM'] !== 'dumb' && (env['CI'] ?? '') === '';
}

/** NO_COLOR (https://no-color.org): any non-empty value switches colours off; FORCE_COLOR switches them on. */
export function styleFor(stream: {readonly isTTY?: boolean}, env: Environment): Style {
  const forced = (env['FORCE_COLOR'] ?? '') !== '' && env['FORCE_COLOR'] !== '0';
  const enabled = (env['NO_COLOR'] ?? '') === '' && (forced || isLive(stream, env));
  const paint = (code: string) => (text: string) => (enabled ? `\u001B[${code}m${text}\u001B[0m` : text);
  return {bold: paint('1'), dim: paint('2'), red: paint('31'), green: paint('32'), yellow: paint('33')};
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\u0000-\u001F\u007F-\u009F]/g;

/** Text from a file, a model or an engine, made harmless for a terminal: no escape sequence, one line. */
export function plain(text: string): string {
  return text.replace(CONTROL, ' ');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the colour codes that `styleFor` writes
const COLOUR = /\u001B\[\d+m/g;

const RESET = '\u001B[0m';

/** The text cut to so many columns, with `…` where something is missing. Colour codes take no room, and are closed. */
export function cutTo(text: string, columns: number): string {
  const visible = text.replace(COLOUR, '');
  if (visible.length <= columns) return text;
  let cut = '';
  let room = Math.max(0, columns - 1);
  let at = 0;
  for (const match of [...text.matchAll(COLOUR), null]) {
    const piece = text.slice(at, match?.index ?? text.length).slice(0, room);
    room -= piece.length;
    cut += piece;
    if (match === null) break;
    // Codes stay, also behind the cut: what was opened is closed.
    cut += match[0];
    at = match.index + match[0].length;
  }
  const end = cut.endsWith(RESET) ? RESET : '';
  return `${cut.slice(0, cut.length - end.length)}…${end}`;
}
