import type {Command} from 'commander';
import {registerCancelCommand} from './commands/cancel.ts';
import {registerCellCommand} from './commands/cell.ts';
import {registerClaimsCommand} from './commands/claims.ts';
import {registerCompareCommand} from './commands/compare.ts';
import {registerDecideCommand} from './commands/decide.ts';
import {registerDoctorCommand} from './commands/doctor.ts';
import {registerExportCommand} from './commands/export.ts';
import {registerMatrixCommand} from './commands/matrix.ts';
import {registerMergeCommand} from './commands/merge.ts';
import {registerReportCommand} from './commands/report.ts';
import {registerSetupLlamaCppCommand} from './commands/setup-llama-cpp.ts';
import {registerSetupPythonCommand} from './commands/setup-python.ts';
import {registerStatusCommand} from './commands/status.ts';
import {registerWeightsCommand} from './commands/weights.ts';
import type {CommandContext} from './context.ts';

/** Every command of bench, in the order of the help text. */
export function registerCommands(program: Command, context: CommandContext): void {
  registerMatrixCommand(program, context);
  registerDoctorCommand(program, context);
  registerWeightsCommand(program, context);
  registerSetupPythonCommand(program, context);
  registerDecideCommand(program, context);
  registerExportCommand(program, context);
  registerMergeCommand(program, context);
  registerCellCommand(program, context);
  registerStatusCommand(program, context);
  registerCancelCommand(program, context);
  registerSetupLlamaCppCommand(program, context);
  registerClaimsCommand(program, context);
  registerCompareCommand(program, context);
  registerReportCommand(program, context);
}
