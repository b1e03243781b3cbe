const KIB = 1024;

/** Memory of one process from /proc/<pid>/status, in bytes. `rss` = anonymous + file + shared. */
export interface ProcessMemory {
  readonly rssBytes: number;
  /** The largest resident size since the process began, or since the mark was reset; null where the kernel keeps none. */
  readonly rssPeakBytes: number | null;
  readonly anonymousBytes: number;
  /** Mapped files: weights, libraries. */
  readonly fileBytes: number;
  /** Shared memory and tmpfs. */
  readonly sharedBytes: number;
  readonly swapBytes: number;
}

/** Written to /proc/<pid>/clear_refs, it sets {@link ProcessMemory.rssPeakBytes} back to the present size (proc(5)). */
export const RESET_PEAK = '5';

/** Null when the process has ended: a zombie has a status file without memory lines. */
export function parseProcessMemory(text: string): ProcessMemory | null {
  const rss = kibAfter(text, '\nVmRSS:');
  if (rss === null) return null;
  return {
    rssBytes: rss,
    rssPeakBytes: kibAfter(text, '\nVmHWM:'),
    anonymousBytes: kibAfter(text, '\nRssAnon:') ?? 0,
    fileBytes: kibAfter(text, '\nRssFile:') ?? 0,
    sharedBytes: kibAfter(text, '\nRssShmem:') ?? 0,
    swapBytes: kibAfter(text, '\nVmSwap:') ?? 0,
  };
}

/** Proportional set size from /proc/<pid>/smaps_rollup: pages shared with n processes count 1/n. */
export function parsePssBytes(text: string): number | null {
  return kibAfter(text, '\nPss:');
}

/** A field of /proc/meminfo in bytes, for example `MemTotal`. */
export function memInfoBytes(text: string, field: string): number | null {
  return kibAfter(`\n${text}`, `\n${field}:`);
}

/** Any other field of a status file, for example `Cpus_allowed_list`. */
export function statusField(text: string, field: string): string | null {
  const start = `\n${text}`.indexOf(`\n${field}:`);
  if (start < 0) return null;
  const end = text.indexOf('\n', start);
  return text.slice(start + field.length + 1, end < 0 ? undefined : end).trim();
}

/** By hand, not by a regular expression: this runs at every reading of every process. */
function kibAfter(text: string, key: string): number | null {
  const start = text.indexOf(key);
  if (start < 0) return null;
  const value = Number.parseInt(text.slice(start + key.length, start + key.length + 24), 10);
  return Number.isFinite(value) && value >= 0 ? value * KIB : null;
}
