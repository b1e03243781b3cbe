/** @module Which fields this driver offers: one unknown field makes nvidia-smi refuse the whole query. */

/** `"memory.used"` or `"clocks.current.sm" or "clocks.sm"` alone on a line of the help text. */
const HELP_LINE = /^"([A-Za-z0-9_.]+)"((?: or "[A-Za-z0-9_.]+")*)\s*$/;

/**
 * Reads `nvidia-smi --help-query-gpu` (or another `--help-query-…`): every name, the aliases included, mapped to the
 * first name of its line. Empty when the text is no such help. Never throws.
 */
export function parseHelp(text: string): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = HELP_LINE.exec(line);
    const first = match?.[1];
    if (first === undefined) continue;
    names.set(first, first);
    for (const alias of (match?.[2] ?? '').matchAll(/"([^"]+)"/g)) names.set(alias[1] ?? first, first);
  }
  return names;
}

/**
 * For each wanted quantity the first spelling that this driver knows: the throttle reasons were renamed from
 * `clocks_throttle_reasons.*` to `clocks_event_reasons.*`, and a driver knows one, the other or both.
 *
 * @param wanted Spellings in order of preference, by our own key.
 * @returns Only the keys that this driver has.
 */
export function chooseFields<Key extends string>(
  available: ReadonlyMap<string, string>,
  wanted: Readonly<Record<Key, readonly string[]>>,
): ReadonlyMap<Key, string> {
  const chosen = new Map<Key, string>();
  for (const [key, spellings] of Object.entries<readonly string[]>(wanted)) {
    const name = spellings.find((spelling) => available.has(spelling));
    // Object.entries widens the keys of a record to string; they are Key.
    if (name !== undefined) chosen.set(key as Key, name);
  }
  return chosen;
}
