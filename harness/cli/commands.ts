import type {Command} from 'commander';
import {registerDoctorCommand} from './commands/doctor.ts';
import {registerMatrixCommand} from './commands/matrix.ts';
import {registerSetupLlamaCppCommand} from './commands/setup-llama-cpp.ts';
import {registerSetupPythonCommand} from './commands/setup-python.ts';
import {registerWeightsCommand} from './commands/weights.ts';
import type {CommandContext} from './context.ts';

/** Every command of bench, in the order of the help text. */
export function registerCommands(program: Command, context: CommandContext): void {
  registerMatrixCommand(program, context);
  registerDoctorCommand(program, context);
  registerWeightsCommand(program, context);
  registerSetupPythonCommand(program, context);
  registerSetupLlamaCppCommand(program, context);
}
