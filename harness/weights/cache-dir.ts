import {homedir} from 'node:os';
import {isAbsolute, join, resolve} from 'node:path';

/**
 * The folder for everything that can be made or fetched again: `$BENCH_CACHE`, else `$XDG_CACHE_HOME/bench`, else
 * `~/.cache/bench`. Always absolute. A relative `XDG_CACHE_HOME` is ignored, as the XDG base directory specification
 * asks; a relative `BENCH_CACHE` is taken from the working directory, because a person typed it.
 */
export function cacheDir(env: Readonly<Record<string, string | undefined>>): string {
  const own = env['BENCH_CACHE'] ?? '';
  if (own !== '') return resolve(own);
  const xdg = env['XDG_CACHE_HOME'] ?? '';
  if (isAbsolute(xdg)) return join(xdg, 'bench');
  const home = env['HOME'] ?? '';
  return join(isAbsolute(home) ? home : homedir(), '.cache', 'bench');
}
