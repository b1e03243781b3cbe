/** A field of a file with one `name number` a line: memory.stat, memory.events, /proc/vmstat. */
export function memoryStatField(text: string, field: string): number | null {
  const match = new RegExp(`^${field} (\\d+)$`, 'm').exec(text);
  return match === null ? null : Number(match[1]);
}
