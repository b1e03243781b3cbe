import type {Command} from 'commander';
import {registerMatrixCommand} from './commands/matrix.ts';
import {registerWeightsCommand} from './commands/weights.ts';
import type {CommandContext} from './context.ts';

/** Every command of bench, in the order of the help text. */
export function registerCommands(program: Command, context: CommandContext): void {
  registerMatrixCommand(program, context);
  registerWeightsCommand(program, context);
}
