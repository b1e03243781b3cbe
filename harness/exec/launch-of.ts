import {resolve} from 'node:path';
import type {Cell} from '../contract/cell.ts';
import type {HostFacts} from '../contract/device.ts';
import {BenchError} from '../contract/errors.ts';
import {type Launch, type Runner, runnerOf} from '../contract/runner.ts';

/**
 * How to start the worker of a cell: by its runner, or by the user's own command, where paths are relative to the
 * matrix file.
 *
 * @throws {BenchError} `UNSUPPORTED` for a runner that is not there, and what the runner refuses.
 */
export function launchOf(
  cell: Cell,
  {host, runners, matrixDir}: {host: HostFacts; runners: ReadonlyMap<string, Runner>; matrixDir: string},
): Launch {
  const [file, ...args] = cell.runner.command ?? [];
  if (file !== undefined) {
    const isPath = (text: string) => /^\.{1,2}\//.test(text);
    const place = (text: string) => (isPath(text) ? resolve(matrixDir, text) : text);
    return {file: place(file), args: args.map(place), env: {}};
  }
  const runner = runnerOf(cell, runners);
  if (runner === undefined) throw new BenchError('UNSUPPORTED', `There is no runner ${cell.runner.id}`);
  const support = runner.supports(cell, host);
  if (!support.ok) throw new BenchError('UNSUPPORTED', support.reason);
  const launch = runner.launch(cell, host);
  // Where the paths of a server's command begin.
  return cell.runner.server === undefined ? launch : {...launch, env: {...launch.env, BENCH_MATRIX_DIR: matrixDir}};
}
