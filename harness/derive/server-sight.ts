import type {Cell} from '../contract/cell.ts';
import {type ServerPlaceholder, tellsServer} from '../contract/server.ts';

/**
 * Whether the server of a cell ran already: it is no process of ours, so its memory, its loading and its share of
 * the machine cannot be told from those of others.
 */
export function sawOnlyAnswers({runner}: Pick<Cell, 'runner'>): boolean {
  return runner.server !== undefined && runner.server.url !== null;
}

/** Whether it runs on another machine, whose clocks, power and driver are not this one's. */
export function isElsewhere({runner}: Pick<Cell, 'runner'>): boolean {
  return runner.server?.elsewhere === true;
}

/** A setting of the engine, where the engine was told; null for a server that was not. */
export function toldSetting<Value>(
  {runner}: Pick<Cell, 'runner'>,
  placeholder: ServerPlaceholder,
  value: Value,
): Value | null {
  return runner.server === undefined || tellsServer(runner.server, placeholder) ? value : null;
}
