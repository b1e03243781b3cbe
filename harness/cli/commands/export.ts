import {mkdir, writeFile} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {type Command, Option} from 'commander';
import type {Exported, ExportRun} from '../../../reports/exports/export.ts';
import {exportLlamaBench} from '../../../reports/exports/llama-bench.ts';
import {exportLocalscore} from '../../../reports/exports/localscore.ts';
import {exportOptimum} from '../../../reports/exports/optimum.ts';
import type {RequestRow} from '../../contract/columns.ts';
import {BenchError} from '../../contract/errors.ts';
import type {CommandContext} from '../context.ts';
import {readRuns} from '../read-runs.ts';
import {plain} from '../terminal.ts';

const TARGETS = {
  'llama-bench': exportLlamaBench,
  optimum: exportOptimum,
  localscore: exportLocalscore,
} as const satisfies Record<string, (runs: readonly ExportRun[]) => Exported>;
type Target = keyof typeof TARGETS;

/** `bench export PATH… --to TOOL`: results as another tool’s readers expect them. */
export function registerExportCommand(program: Command, context: CommandContext): void {
  program
    .command('export')
    .description('results in the form of another tool, for its own readers')
    .argument('<path...>', 'run folders, or folders of runs')
    .addOption(
      new Option('--to <tool>', 'llama-bench (CSV), optimum (benchmark.json), localscore (POST bodies)')
        .choices(Object.keys(TARGETS))
        .makeOptionMandatory(),
    )
    .option('--out <dir>', 'folder to write to', 'export')
    .action(async (paths: readonly string[], options: {readonly to: Target; readonly out: string}) => {
      const runs = (await readRuns(paths)).map(({manifest, rows, requests}): ExportRun => {
        const byCell = new Map<string, RequestRow[]>();
        for (const request of requests) {
          const known = byCell.get(request.cell_id ?? '');
          if (known === undefined) byCell.set(request.cell_id ?? '', [request]);
          else known.push(request);
        }
        return {manifest, rows, requests: byCell};
      });
      const {files, notes} = TARGETS[options.to](runs);
      for (const {path, content} of files) {
        const target = join(options.out, path);
        await write(target, content);
        context.stdout.write(`${plain(target)}\n`);
      }
      for (const note of notes) context.stderr.write(`${plain(note)}\n`);
    });
}

async function write(path: string, content: string | Uint8Array): Promise<void> {
  try {
    await mkdir(dirname(path), {recursive: true});
    await writeFile(path, content);
  } catch (cause) {
    // biome-ignore lint/style/useErrorCause: the cause is the third argument of BenchError.
    throw new BenchError('FILE_UNREADABLE', `${path}: cannot be written`, {cause});
  }
}
