import {BenchError} from '../contract/errors.ts';
import {plain, type Style} from './terminal.ts';

/**
 * Ends a command: one line for a mistake (with what to do), the whole stack for a bug of ours.
 *
 * @returns The exit status of DESIGN §3.
 */
export function reportError(error: unknown, write: (text: string) => unknown, style: Style): number {
  if (error instanceof BenchError) {
    // Several mistakes in one file are several lines; each is harmless text.
    const lines = error.message.split('\n').map(plain);
    // Who presses Ctrl-C made no mistake.
    const label = error.code === 'INTERRUPTED' ? style.yellow('stopped') : style.red('error');
    write(`${label}: ${lines.join('\n       ')}\n`);
    write(`${style.dim(`  ${error.hint}`)}\n`);
    return error.exitCode === 0 ? 1 : error.exitCode;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  write(`${style.red('bug')}: ${text}\n  This is a bug of bench: please report it with the lines above.\n`);
  return 3;
}
