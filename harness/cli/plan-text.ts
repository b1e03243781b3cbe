import type {Plan, PlannedCell} from '../contract/plan.ts';
import {formatBytes, formatSeconds} from '../contract/units.ts';
import {renderTable} from './table.ts';

/** The plan for people: every cell with its verdict and reason, and the sums that matter before anything is spent. */
export function planText(plan: Plan): string {
  const table = renderTable(
    [
      {title: 'cell', align: 'left'},
      {title: 'model', align: 'left'},
      {title: 'format', align: 'left'},
      {title: 'runner', align: 'left'},
      {title: 'kernel', align: 'left'},
      {title: 'isa', align: 'left'},
      {title: 'device', align: 'left'},
      {title: 'workload', align: 'left'},
      {title: 'time ≤', align: 'right'},
      {title: 'memory', align: 'right'},
      {title: 'verdict', align: 'left'},
    ],
    plan.cells.map(({cell, verdict, reason, estimate}) => [
      cell.id,
      cell.model,
      cell.format,
      cell.runner.id,
      cell.kernel,
      cell.isa,
      cell.device,
      cell.workload.name,
      verdict === 'run' && estimate.seconds !== null ? formatSeconds(estimate.seconds) : '',
      estimate.memoryBytes === null ? '' : formatBytes(estimate.memoryBytes),
      verdict === 'run' ? 'run' : `${verdict}: ${reason}`,
    ]),
  );
  return `${table}\n\n${planTotals(plan)}`;
}

export function planTotals(plan: Plan): string {
  const of = (verdict: PlannedCell['verdict']) => plan.cells.filter((planned) => planned.verdict === verdict);
  const run = of('run');
  const sum = (pick: (planned: PlannedCell) => number | null) =>
    run.reduce((total, planned) => total + (pick(planned) ?? 0), 0);
  const waiting = of('waiting');
  const waitFor = [...new Set(waiting.map(({cell}) => cell.device))].sort().join(', ');
  const lines = [
    `${run.length} cells run here in ${plan.rounds} rounds, at most ${formatSeconds(sum((planned) => planned.estimate.seconds))}; ` +
      `disk to make weights ${formatBytes(sum((planned) => planned.estimate.diskBytes))}; ` +
      `largest cell ${formatBytes(Math.max(0, ...run.map((planned) => planned.estimate.memoryBytes ?? 0)))} of memory.`,
  ];
  if (waiting.length > 0)
    lines.push(`${waiting.length} cells wait for another device: ${waitFor}. Run the same command there.`);
  const refused = of('refused');
  if (refused.length > 0)
    lines.push(`${refused.length} cells are refused, each with its reason above; they get a row.`);
  return lines.join('\n');
}
