import type {Command} from 'commander';
import type {CommandContext} from './context.ts';

type Register = (program: Command, context: CommandContext) => void;

/** Every command of bench, in the order of the help text. */
const COMMANDS: readonly (readonly [name: string, load: () => Promise<Register>])[] = [
  ['matrix', async () => (await import('./commands/matrix.ts')).registerMatrixCommand],
  ['doctor', async () => (await import('./commands/doctor.ts')).registerDoctorCommand],
  ['weights', async () => (await import('./commands/weights.ts')).registerWeightsCommand],
  ['setup', async () => (await import('./commands/setup-python.ts')).registerSetupPythonCommand],
  ['decide', async () => (await import('./commands/decide.ts')).registerDecideCommand],
  ['export', async () => (await import('./commands/export.ts')).registerExportCommand],
  ['merge', async () => (await import('./commands/merge.ts')).registerMergeCommand],
  ['cell', async () => (await import('./commands/cell.ts')).registerCellCommand],
  ['status', async () => (await import('./commands/status.ts')).registerStatusCommand],
  ['cancel', async () => (await import('./commands/cancel.ts')).registerCancelCommand],
  ['setup', async () => (await import('./commands/setup-llama-cpp.ts')).registerSetupLlamaCppCommand],
  ['claims', async () => (await import('./commands/claims.ts')).registerClaimsCommand],
  ['compare', async () => (await import('./commands/compare.ts')).registerCompareCommand],
  ['report', async () => (await import('./commands/report.ts')).registerReportCommand],
];

/**
 * Registers the command that the arguments begin with; all of them where they begin with none (help, a slip of the pen).
 * Charts, engines and their packages take longer to load than most commands to run, so each loads only its own.
 *
 * @param args What stands behind `bench` on the command line.
 */
export async function registerCommands(
  program: Command,
  context: CommandContext,
  args: readonly string[] = [],
): Promise<void> {
  const asked = COMMANDS.filter(([name]) => name === args[0]);
  for (const [, load] of asked.length > 0 ? asked : COMMANDS) (await load())(program, context);
}
