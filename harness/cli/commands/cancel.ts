import type {Command} from 'commander';
import {BenchError} from '../../contract/errors.ts';
import {callProgram} from '../../engines/call.ts';
import {PlanFolder} from '../../engines/plan-folder.ts';
import {Slurm} from '../../engines/slurm.ts';
import {isLive} from '../../engines/slurm-state.ts';
import type {CommandContext} from '../context.ts';

/** `bench cancel`: ends what an engine still has of a plan; what is measured stays. */
export function registerCancelCommand(program: Command, context: CommandContext): void {
  program
    .command('cancel')
    .description('end all jobs of the plan in DIR; finished cells stay')
    .argument('<dir>', 'folder of the plan')
    .action(async (dir: string) => {
      const folder = new PlanFolder(dir);
      await folder.plan();
      const jobs = await folder.jobs();
      if (jobs === null) {
        throw new BenchError(
          'USAGE',
          `${folder.jobsPath} is not there: no job was submitted from here (SkyPilot: sky cancel, sky down)`,
        );
      }
      const slurm = new Slurm(callProgram);
      const live = (
        await slurm.tasks(
          jobs.planId,
          jobs.jobs.map(({id}) => id),
        )
      ).filter(isLive);
      const ids = [...new Set(live.map(({arrayId}) => arrayId))];
      await slurm.cancel(ids);
      context.stdout.write(ids.length === 0 ? 'nothing is queued or running\n' : `cancelled ${ids.join(' ')}\n`);
    });
}
