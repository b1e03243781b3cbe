import {type Cell, serverTakesWeights} from './cell.ts';
import type {HostFacts} from './device.ts';
import {SERVER_RUNNER} from './server.ts';

/** Whether a cell can run here. A refusal is a result, not an error: it becomes a CSV row. */
export type Support =
  | {readonly ok: true}
  | {
      readonly ok: false;
      readonly reason: string;
      /** Only software is missing: another host, or this one after a setup, may run the cell. */
      readonly missing?: true;
    };

/** How to start the worker of one cell. */
export interface Launch {
  /** Program, found on PATH or absolute. */
  readonly file: string;
  readonly args: readonly string[];
  /** Added to the environment of the harness. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Makes one inference engine measurable.
 *
 * A runner is two pure functions and a worker program. The worker reads a `WorkOrder` as JSON from its standard input
 * and writes `WorkerEvent`s to file descriptor 3, one JSON object a line; `harness/exec` does the rest (spawn, limits,
 * kill, journal), the same way for every engine and every language.
 */
export interface Runner {
  readonly id: string;
  /** What it is, for `bench doctor` and the README. */
  readonly doc: string;
  /** Needs a model file; false for `simulated`. */
  readonly needsWeights: boolean;
  supports(cell: Cell, host: HostFacts): Support;
  launch(cell: Cell, host: HostFacts): Launch;
}

/** The runner of a cell: by its name, or the one for servers; undefined for a user's own worker. */
export function runnerOf({runner}: Pick<Cell, 'runner'>, runners: ReadonlyMap<string, Runner>): Runner | undefined {
  return runners.get(runner.server === undefined ? runner.id : SERVER_RUNNER);
}

/** Whether a cell needs a model file here; a user's own worker does. */
export function needsWeights(cell: Cell, runners: ReadonlyMap<string, Runner>): boolean {
  return cell.runner.server === undefined ? runnerOf(cell, runners)?.needsWeights !== false : serverTakesWeights(cell);
}
