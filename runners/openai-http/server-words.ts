/** Longer words of a server say nothing more. */
const MOST_CHARACTERS = 200;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be taken out
const CONTROL = /\u001b\[[0-9;?]*[A-Za-z]|[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** A text that a server chose, as one short line; a key that it repeats is blotted out. */
export function shortLine(text: string, secret: string | null = null): string {
  const hidden = secret === null || secret === '' ? text : text.replaceAll(secret, '***');
  const clean = hidden.replace(CONTROL, ' ').replace(/\s+/g, ' ').trim();
  return clean.length > MOST_CHARACTERS ? `${clean.slice(0, MOST_CHARACTERS - 1)}…` : clean;
}

/** What the body of an error says: `{error: {message}}`, `{message}`, `{detail}`, or the text itself. */
export function errorWords(body: unknown): string {
  if (typeof body === 'string') return body;
  if (!isRecord(body)) return '';
  for (const key of ['error', 'message', 'detail']) {
    const value = body[key];
    const words = typeof value === 'string' ? value : errorWords(value);
    if (words !== '') return words;
  }
  return '';
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A whole number from 0 on, from whatever a server sent; null for all else. */
export function countIn(record: unknown, key: string): number | null {
  const value = isRecord(record) ? record[key] : undefined;
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** A text that is not empty. */
export function textIn(record: unknown, key: string): string | null {
  const value = isRecord(record) ? record[key] : undefined;
  return typeof value === 'string' && value !== '' ? value : null;
}

/** JSON of foreign origin; undefined when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
