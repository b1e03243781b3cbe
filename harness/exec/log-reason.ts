const MAX_CHARACTERS = 300;
// Escape sequences of terminals, and control characters.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be taken out
const CONTROL = /\u001b\[[0-9;?]*[A-Za-z]|[\u0000-\u001f\u007f]/g;
const TELLING =
  /error|fail|assert|abort|exception|out of memory|bad_alloc|panic|fatal|cannot|can't|unable|invalid|unsupported|not supported|no kernel|killed/i;
/** Stack frames and banners follow the line that tells. */
const NOISE = /^\s*(?:at |#\d+ |File "|Node\.js v|\^+\s*$|[~^]+$|\[\w+:\d+\] \*\*\*|WARNING: Using native backtrace)/;
const OUT_OF_MEMORY =
  /out of memory|bad_alloc|cannot allocate memory|failed to allocate|unable to allocate|MemoryError|ENOMEM|ErrorOutOfDeviceMemory|cudaMalloc failed|heap limit|InsufficientMemory/i;

/**
 * What a log says about how a worker ended: its last telling line, else its last line, as one line for
 * `status_reason`; '' for an empty log. Access tokens are blotted out: the text is committed.
 */
export function logReason(log: string): string {
  const lines = log
    .split('\n')
    .map((line) => line.replace(CONTROL, ' ').trimEnd())
    .filter((line) => line.trim() !== '' && !NOISE.test(line));
  const line = lines.findLast((candidate) => TELLING.test(candidate)) ?? lines.at(-1) ?? '';
  return oneLine(line);
}

/** Whether a log speaks of missing memory in its last lines. */
export function tellsOutOfMemory(log: string): boolean {
  return OUT_OF_MEMORY.test(log.split('\n').slice(-60).join('\n'));
}

/** A text of foreign origin as one short line without access tokens. */
export function oneLine(text: string): string {
  const clean = text
    .replace(CONTROL, ' ')
    .replace(/\b(hf_|sk-)[A-Za-z0-9_-]{8,}/g, '$1***')
    .replace(/\s+/g, ' ')
    .trim();
  return clean.length > MAX_CHARACTERS ? `${clean.slice(0, MAX_CHARACTERS - 1)}…` : clean;
}
