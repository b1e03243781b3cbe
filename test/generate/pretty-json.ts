const WIDTH = 120;

/** JSON as the formatter of this repository leaves it: lists of plain values on one line where they fit. */
export function prettyJson(value: unknown, indent = '', lead = 0): string {
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]';
    const flat = `[${value.map((item) => JSON.stringify(item)).join(', ')}]`;
    const plain = value.every((item) => typeof item !== 'object' || item === null);
    // One more for the comma that may follow.
    if (plain && lead + flat.length + 1 <= WIDTH) return flat;
    const items = value.map((item) => `${indent}  ${prettyJson(item, `${indent}  `, indent.length + 2)}`);
    return `[\n${items.join(',\n')}\n${indent}]`;
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value);
  if (entries.length === 0) return '{}';
  const lines = entries.map(([key, child]) => {
    const name = `${indent}  ${JSON.stringify(key)}: `;
    return name + prettyJson(child, `${indent}  `, name.length);
  });
  return `{\n${lines.join(',\n')}\n${indent}}`;
}
