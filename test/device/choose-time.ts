import {text} from 'node:stream/consumers';
import {z} from 'zod';
import {CellSchema} from '../../harness/contract/cell.ts';
import {planTime, type TimedCell} from './time-plan.ts';

/**
 * A program for run.sh: the plan of `bench matrix --plan --json` on standard input, the seconds that are left and those
 * that importing PyTorch takes as arguments. Prints lines of shell variables.
 */
const PlanSchema = z.object({
  cells: z.array(
    z.object({
      cell: CellSchema,
      verdict: z.enum(['run', 'waiting', 'refused']),
      reason: z.string(),
      estimate: z.object({weightsBytes: z.number().nullable(), diskBytes: z.number().nullable()}),
    }),
  ),
});

const [secondsLeft = Number.NaN, importSeconds = Number.NaN] = process.argv.slice(2).map(Number);
const {cells} = PlanSchema.parse(JSON.parse(await text(process.stdin)));
const here = cells.filter(({verdict}) => verdict === 'run');
const timed = here.map(({cell, estimate}): TimedCell => ({cell, weightsBytes: estimate.weightsBytes}));
const plan = planTime(timed, {secondsLeft, importSeconds});
const kernels = new Set(here.map(({cell}) => cell.kernel).filter((kernel) => plan?.leftOut.includes(kernel) !== true));
for (const {cell, verdict, reason} of cells) {
  if (verdict !== 'run')
    process.stderr.write(`  ${cell.runner.id} ${cell.format} ${cell.kernel}: ${verdict}: ${reason}\n`);
}
// Names are slugs by their schemas: nothing in them has a meaning to a shell.
process.stdout.write(
  [
    `cells=${here.length}`,
    `formats=${[...new Set(here.map(({cell}) => cell.format))].join(',')}`,
    `rounds=${plan?.rounds ?? 0}`,
    `budget=${plan?.budgetSeconds ?? 0}`,
    `expected=${plan?.expectedSeconds ?? 0}`,
    `left_out=${plan?.leftOut.join(',') ?? ''}`,
    `kernels=${[...kernels].join(',')}`,
    '',
  ].join('\n'),
);
