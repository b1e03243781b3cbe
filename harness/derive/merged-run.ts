import type {RequestRow, ResultRow} from '../contract/columns.ts';
import type {Manifest} from '../contract/journal.ts';
import type {Plan} from '../contract/plan.ts';
import type {DeriveTables, Merged, MergedCell} from './merge.ts';

/** An ordinary run of one device, made of the attempts of many hosts. */
export interface MergedRun {
  readonly device: string;
  readonly manifest: Manifest;
  readonly results: readonly ResultRow[];
  readonly requests: readonly RequestRow[];
}

export interface MergedRunsInput {
  readonly plan: Plan;
  readonly merged: Merged;
  readonly derive: DeriveTables;
  /** The matrix file; '' when it is not at hand. */
  readonly matrixText: string;
}

/**
 * One run per device that has anything to show. Every row carries the host, driver and caveats of the attempt it is
 * from; cells without an attempt are there as waiting. The same attempts give the same bytes.
 */
export function mergedRuns({plan, merged, derive, matrixText}: MergedRunsInput): MergedRun[] {
  const devices = [...new Set(plan.cells.map(({cell}) => cell.device))];
  return devices.flatMap((device) => {
    const cells = merged.cells.filter(({planned}) => planned.cell.device === device);
    const manifest = manifestOf(plan, device, cells, matrixText);
    return manifest === null ? [] : [{device, manifest, ...tables(cells, manifest, derive)}];
  });
}

function tables(
  cells: readonly MergedCell[],
  manifest: Manifest,
  derive: DeriveTables,
): Pick<MergedRun, 'results' | 'requests'> {
  const {runId: run_id} = manifest;
  const unrun = cells.flatMap(({canonical, planned: {cell, verdict, reason, refusedAs}}) => {
    if (canonical !== null) return [];
    const waiting = {verdict: 'waiting', reason: 'no whole attempt of this cell', refusedAs: null} as const;
    return [{type: 'cell_planned' as const, cell, ...(verdict === 'refused' ? {verdict, reason, refusedAs} : waiting)}];
  });
  return {
    results: [
      ...cells.flatMap(({canonical}) => (canonical?.row == null ? [] : [{...canonical.row, run_id}])),
      ...(unrun.length === 0 ? [] : derive(unrun, manifest).results),
    ].sort((a, b) => compare(a.cell_id ?? '', b.cell_id ?? '')),
    requests: cells
      .flatMap(({canonical}) => canonical?.requests.map((row) => ({...row, run_id})) ?? [])
      .sort(
        (a, b) =>
          compare(a.cell_id ?? '', b.cell_id ?? '') ||
          (a.round ?? 0) - (b.round ?? 0) ||
          (a.request ?? 0) - (b.request ?? 0),
      ),
  };
}

/** null when nothing of the device was measured. */
function manifestOf(plan: Plan, device: string, cells: readonly MergedCell[], matrixText: string): Manifest | null {
  const all = cells.flatMap(({canonical}) => (canonical === null ? [] : [canonical.manifest]));
  const [first] = all;
  if (first === undefined) return null;
  const starts = all.map(({startedAt}) => startedAt).sort(compare);
  const startedAt = starts[0] ?? first.startedAt;
  const ends = all.map(({finishedAt}) => finishedAt ?? '').sort(compare);
  const whole = cells.every(({canonical, planned}) => canonical !== null || planned.verdict === 'refused');
  const text = (pick: (host: Manifest['host']) => string): string => joined(all.map(({host}) => pick(host)));
  const orNull = (pick: (host: Manifest['host']) => string | null): string | null =>
    joined(all.flatMap(({host}) => pick(host) ?? [])) || null;
  const least = (pick: (host: Manifest['host']) => number): number => Math.min(...all.map(({host}) => pick(host)));
  // The time only names the folder, as everywhere; a clock that is wrong gives a wrong name, no wrong figure.
  const stamp = startedAt.replace(/[-:]|\.\d+/g, '');
  return {
    ...first,
    runId: `${plan.matrix}--${device}--merged--${stamp}`,
    matrixText,
    planId: plan.planId,
    command: 'bench merge',
    startedAt,
    finishedAt: whole ? (ends.at(-1) ?? null) : null,
    host: {
      host: text(({host}) => host),
      os: text(({os}) => os),
      kernelRelease: text(({kernelRelease}) => kernelRelease),
      node: text(({node}) => node),
      virtualization: orNull(({virtualization}) => virtualization),
      cpuModel: text(({cpuModel}) => cpuModel),
      cores: least(({cores}) => cores),
      isa: text(({isa}) => isa),
      ramBytes: least(({ramBytes}) => ramBytes),
      cgroupLimitBytes: first.host.cgroupLimitBytes,
      driver: orNull(({driver}) => driver),
      cuda: orNull(({cuda}) => cuda),
      devices: first.host.devices.filter(({name}) => name === device),
    },
    // Of the run as a whole only what holds for all of it; each row has its own.
    caveats: first.caveats.filter(({code}) => all.every(({caveats}) => caveats.some((one) => one.code === code))),
  };
}

const joined = (values: readonly string[]): string => [...new Set(values)].sort(compare).join(' | ');

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
