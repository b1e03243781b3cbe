import koffi from 'koffi';
import {descriptorWriter, writeWhole} from '../worker-kit/write-whole.ts';

/** `enum ggml_log_level`. */
const DEBUG_LEVEL = 1;
const ERROR_LEVEL = 4;
const CONTINUE_LEVEL = 5;
/** Enough for the reason of a failure, and for the few lines that say what was loaded where. */
const KEPT_LINES = 2000;

const STDERR = descriptorWriter(2);

export const LogCallback = koffi.proto('void (int level, const char *text, void *user_data)');

/**
 * What the engine says while it loads: passed on to standard error, which is the log of the cell, at once, so that it is
 * there when the process aborts in the next instant; and kept, because the reason of a failed load is only in the log.
 *
 * Taken off the engine before the first request: from then on it writes to standard error itself.
 */
export class EngineLog {
  readonly #write: (text: string) => void;
  readonly #lines: string[] = [];
  readonly #errors: string[] = [];
  #open = {level: 0, text: ''};

  constructor(write: (text: string) => void = (text) => writeWhole(Buffer.from(text), STDERR)) {
    this.#write = write;
  }

  readonly listen = (level: number, text: string): void => {
    const current = level === CONTINUE_LEVEL ? this.#open.level : level;
    // A thousand lines a load that help nobody, and whose writing would be counted as loading.
    if (current === DEBUG_LEVEL) {
      this.#open = {level: current, text: ''};
      return;
    }
    this.#write(text);
    const parts = (level === CONTINUE_LEVEL ? this.#open.text + text : text).split('\n');
    for (const line of parts.slice(0, -1)) this.#keep(current, line);
    this.#open = {level: current, text: parts.at(-1) ?? ''};
  };

  /** Error lines in order, without the empty ones. */
  get errors(): readonly string[] {
    return this.#errors;
  }

  /** First match of the pattern in any line kept. */
  find(pattern: RegExp): RegExpExecArray | null {
    for (const line of this.#lines) {
      const match = pattern.exec(line);
      if (match !== null) return match;
    }
    return null;
  }

  #keep(level: number, line: string): void {
    const text = line.trim();
    if (text === '') return;
    if (this.#lines.length < KEPT_LINES) this.#lines.push(text);
    if (level === ERROR_LEVEL) this.#errors.push(text);
  }
}
