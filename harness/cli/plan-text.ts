import type {Plan, PlannedCell} from '../contract/plan.ts';
import {formatBytes, formatSeconds} from '../contract/units.ts';
import {renderTable} from './table.ts';

/** As the matrix file spells it: `kv_type`. */
const asWritten = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Settings in which cells of the plan differ, as `threads=2`: without them two cells of a sweep look alike. */
function sweptSettings(plan: Plan): (planned: PlannedCell) => string {
  const textOf = ({cell}: PlannedCell, key: string): string => {
    if (key === 'threads' && cell.threadsAsked !== undefined) return String(cell.threadsAsked);
    return JSON.stringify(Object.entries(cell.settings).find(([name]) => name === key)?.[1] ?? null);
  };
  const keys = [...new Set(plan.cells.flatMap(({cell}) => Object.keys(cell.settings)))].filter((key) => {
    // GPU layers and the like follow from the device; a sweep differs where nothing else does.
    const alike = new Map<string, Set<string>>();
    for (const planned of plan.cells) {
      const {model, format, runner, kernel, isa, device, workload} = planned.cell;
      const place = JSON.stringify([model, format, runner.id, kernel, isa, device, workload.name]);
      alike.set(place, (alike.get(place) ?? new Set()).add(textOf(planned, key)));
    }
    return [...alike.values()].some((values) => values.size > 1);
  });
  return (planned) => keys.map((key) => `${asWritten(key)}=${textOf(planned, key).replaceAll('"', '')}`).join(' ');
}

/** The plan for people: every cell with its verdict and reason, and the sums that matter before anything is spent. */
export function planText(plan: Plan): string {
  const swept = sweptSettings(plan);
  const sweeps = plan.cells.some((planned) => swept(planned) !== '');
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
      ...(sweeps ? [{title: 'settings', align: 'left'} as const] : []),
      {title: 'time ≤', align: 'right'},
      {title: 'memory', align: 'right'},
      {title: 'verdict', align: 'left'},
    ],
    plan.cells.map((planned) => {
      const {cell, verdict, reason, estimate} = planned;
      return [
        cell.id,
        cell.model,
        cell.format,
        cell.runner.id,
        cell.kernel,
        cell.isa,
        cell.device,
        cell.workload.name,
        ...(sweeps ? [swept(planned)] : []),
        verdict === 'run' && estimate.seconds !== null ? formatSeconds(estimate.seconds) : '',
        estimate.memoryBytes === null ? '' : formatBytes(estimate.memoryBytes),
        verdict === 'run' ? 'run' : `${verdict}: ${reason}`,
      ];
    }),
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
    run.length === 0
      ? 'No cell runs here.'
      : `${run.length} cells run here in ${plan.rounds} rounds, at most ${formatSeconds(sum((planned) => planned.estimate.seconds))}; ` +
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
