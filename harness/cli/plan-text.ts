import type {Plan, PlannedCell} from '../contract/plan.ts';
import {formatBytes, formatSeconds} from '../contract/units.ts';
import {fitTable, type TableColumn} from './table.ts';
import {plain} from './terminal.ts';

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

/** What stands in a line of the plan, in this order. What is the same in a whole section is named in its head. */
const COLUMNS = [
  {title: 'cell', align: 'left', rank: 1},
  {title: 'model', align: 'left'},
  {title: 'format', align: 'left'},
  {title: 'runner', align: 'left'},
  {title: 'kernel', align: 'left'},
  {title: 'isa', align: 'left'},
  {title: 'device', align: 'left'},
  {title: 'workload', align: 'left'},
  {title: 'settings', align: 'left'},
  {title: 'time ≤', align: 'right', rank: 2},
  {title: 'memory', align: 'right', rank: 3},
  {title: 'why', align: 'left'},
] as const satisfies readonly TableColumn[];
type Title = (typeof COLUMNS)[number]['title'];
type Line = Readonly<Partial<Record<Title, string>>>;

const NAMED_ONCE: readonly Title[] = ['model', 'runner', 'kernel', 'isa', 'device', 'workload'];

/**
 * The plan for people: what waits for other devices, what is refused and why, what runs here, and the sums that matter
 * before anything is spent. What concerns this machine comes last, where a terminal shows it.
 *
 * @param width Columns of the terminal; a pipe and a file take whole tables.
 */
export function planText(plan: Plan, width?: number): string {
  const swept = sweptSettings(plan);
  const lineOf = (planned: PlannedCell): Line => {
    const {cell, estimate} = planned;
    return {
      model: cell.model,
      format: cell.format,
      runner: cell.runner.id,
      kernel: cell.kernel,
      isa: cell.isa,
      workload: cell.workload.name,
      settings: swept(planned),
      memory: estimate.memoryBytes === null ? '' : formatBytes(estimate.memoryBytes),
    };
  };
  const of = (verdict: PlannedCell['verdict']) => plan.cells.filter((planned) => planned.verdict === verdict);
  const run = of('run').map((planned) => ({
    ...lineOf(planned),
    cell: planned.cell.id,
    device: planned.cell.device,
    'time ≤': planned.estimate.seconds === null ? '' : formatSeconds(planned.estimate.seconds),
  }));
  const refused = of('refused').map((planned) => ({
    ...lineOf(planned),
    cell: planned.cell.id,
    device: planned.cell.device,
    memory: '',
    why: planned.reason,
  }));
  return [
    ...waitingSections(of('waiting'), lineOf, width),
    ...section('refused', refused, width),
    ...section('runs here', run, width),
    planTotals(plan),
  ].join('\n\n');
}

/** Cells of other devices: workloads that differ in nothing else stand in one line, devices with equal lines in one section. */
function waitingSections(
  waiting: readonly PlannedCell[],
  lineOf: (planned: PlannedCell) => Line,
  width: number | undefined,
): string[] {
  const byDevice = new Map<string, PlannedCell[]>();
  for (const planned of waiting) {
    byDevice.set(planned.cell.device, [...(byDevice.get(planned.cell.device) ?? []), planned]);
  }
  const byLines = new Map<string, {devices: string[]; lines: readonly Line[]; cells: number}>();
  for (const [device, cells] of byDevice) {
    const lines = joinWorkloads(cells.map((planned) => ({...lineOf(planned), why: unknownDevice(planned)})));
    const key = JSON.stringify(lines);
    const known = byLines.get(key) ?? {devices: [], lines, cells: cells.length};
    known.devices.push(device);
    byLines.set(key, known);
  }
  return [...byLines.values()].flatMap(({devices, lines, cells}) =>
    section(
      `waits for ${devices.join(', ')}`,
      lines,
      width,
      devices.length > 1 ? `${cellsOf(cells)} each` : cellsOf(cells),
    ),
  );
}

/** `which devices.yaml does not know`: what a reason says beyond the device that its section names. */
function unknownDevice({reason}: PlannedCell): string {
  const comma = reason.indexOf(', ');
  return comma < 0 ? '' : reason.slice(comma + 2);
}

function joinWorkloads(lines: readonly Line[]): readonly Line[] {
  const joined = new Map<string, Line[]>();
  for (const line of lines) {
    const {workload: _, memory: __, ...place} = line;
    const key = JSON.stringify(place);
    joined.set(key, [...(joined.get(key) ?? []), line]);
  }
  return [...joined.values()].map((alike) => ({
    ...alike[0],
    workload: [...new Set(alike.map(({workload}) => workload ?? ''))].join(', '),
    // They need about the same; the first is told.
    memory: alike.length === 1 ? (alike[0]?.memory ?? '') : `~${alike[0]?.memory ?? ''}`,
  }));
}

function section(
  title: string,
  lines: readonly Line[],
  width: number | undefined,
  count = cellsOf(lines.length),
): string[] {
  if (lines.length === 0) return [];
  const once = NAMED_ONCE.filter((name) => new Set(lines.map((line) => line[name] ?? '')).size === 1);
  const head = once.flatMap((name) => {
    const value = lines[0]?.[name] ?? '';
    return value === '' ? [] : [`${name} ${value}`];
  });
  const kept = COLUMNS.filter(({title: name}) => !once.includes(name));
  const {text} = fitTable(
    kept,
    lines.map((line) => kept.map(({title: name}) => line[name] ?? '')),
    width,
  );
  return [`${plain([`${title}: ${count}`, ...head].join(' · '))}\n\n${text}`];
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
      : `${cellsWith(run.length, 'run')} here in ${plan.rounds} ${plan.rounds === 1 ? 'round' : 'rounds'}, at most ${formatSeconds(sum((planned) => planned.estimate.seconds))}; ` +
        `${diskText(run)}; ` +
        `largest cell ${formatBytes(Math.max(0, ...run.map((planned) => planned.estimate.memoryBytes ?? 0)))} of memory.`,
  ];
  if (waiting.length > 0)
    lines.push(`${cellsWith(waiting.length, 'wait')} for another device: ${waitFor}. Run the same command there.`);
  const refused = of('refused');
  if (refused.length > 0)
    lines.push(
      `${cellsOf(refused.length)} ${refused.length === 1 ? 'is' : 'are'} refused: a row each, with the reason.`,
    );
  return lines.join('\n');
}

const cellsOf = (count: number) => (count === 1 ? '1 cell' : `${count} cells`);
const cellsWith = (count: number, verb: string) => `${cellsOf(count)} ${verb}${count === 1 ? 's' : ''}`;

/** Disk for weights that are still to be made; of what is not yet on this disk the size may be unknown. */
function diskText(run: readonly PlannedCell[]): string {
  const bytes = run.reduce((sum, {estimate}) => sum + (estimate.diskBytes ?? 0), 0);
  const toFetch = run.filter(({cell, estimate}) => estimate.diskBytes === null && cell.source.startsWith('hf:'));
  const fetched = toFetch.length === 0 ? [] : [`weights of ${cellsOf(toFetch.length)} are still to be fetched`];
  const made = bytes > 0 ? [`disk to make weights ${formatBytes(bytes)}`] : [];
  const all = [...made, ...fetched];
  return all.length === 0 ? 'no weights are to be made' : all.join(', ');
}
