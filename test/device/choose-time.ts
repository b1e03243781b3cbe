import {readFileSync} from 'node:fs';
import {text} from 'node:stream/consumers';
import {z} from 'zod';
import {CellSchema} from '../../harness/contract/cell.ts';
import {readCompiled} from './read-compiled.ts';
import {COMPILED_BEFORE, planTime, type TimedCell} from './time-plan.ts';

/**
 * A program for run.sh: the plan of `bench matrix --plan --json` on standard input; as arguments the seconds that are
 * left, those that importing PyTorch takes, `all` or `made` (only cells whose weights are there), and, once kernels were
 * compiled, the file with what came of it. Prints lines of shell variables.
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
type PlannedCell = z.infer<typeof PlanSchema>['cells'][number];

const [left = '', imports = '', which = 'all', compiledPath = ''] = process.argv.slice(2);
const {cells} = PlanSchema.parse(JSON.parse(await text(process.stdin)));
const weightsOf = ({cell}: PlannedCell) => `${cell.source} ${cell.weightsSeed} ${cell.format}`;
// Of the cells that share weights, the plan counts the disk for the first one.
const unmade = new Set(cells.filter(({estimate}) => estimate.diskBytes !== 0).map(weightsOf));
const able = cells.filter((one) => one.verdict === 'run' && (which === 'all' || !unmade.has(weightsOf(one))));
const toCompile = COMPILED_BEFORE.filter((kernel) => able.some(({cell}) => cell.kernel === kernel));
const compiled = compiledPath === '' ? null : readCompiled(readFileSync(compiledPath, 'utf8'));
/** Not compiled in time: a cell would go on with it for minutes. One that cannot be compiled gets its row with the reason. */
const late: readonly string[] = compiled === null ? [] : toCompile.filter((kernel) => compiled[kernel] === undefined);
const here = able.filter(({cell}) => !late.includes(cell.kernel));
const timed = here.map(({cell, estimate}): TimedCell => ({cell, weightsBytes: estimate.weightsBytes}));
const plan = planTime(timed, {
  secondsLeft: Number(left),
  importSeconds: Number(imports),
  ...(compiled === null ? {} : {compileSeconds: compiled}),
});
const leftOut = [...late, ...(plan?.leftOut ?? [])];
// Of all cells: those that are refused keep their rows.
const kernels = new Set(cells.map(({cell}) => cell.kernel).filter((kernel) => !leftOut.includes(kernel)));
for (const {cell, verdict, reason} of cells) {
  if (verdict !== 'run')
    process.stderr.write(`  ${cell.runner.id} ${cell.format} ${cell.kernel}: ${verdict}: ${reason}\n`);
}
// Names are slugs by their schemas: nothing in them has a meaning to a shell.
process.stdout.write(
  [
    `cells=${here.length}`,
    `source=${here[0]?.cell.source ?? ''}`,
    `formats=${[...new Set(here.map(({cell}) => cell.format))].join(',')}`,
    `rounds=${plan?.rounds ?? 0}`,
    `budget=${plan?.budgetSeconds ?? 0}`,
    `expected=${plan?.expectedSeconds ?? 0}`,
    `left_out=${leftOut.join(',')}`,
    `compile=${toCompile.join(',')}`,
    `kernels=${[...kernels].join(',')}`,
    '',
  ].join('\n'),
);
