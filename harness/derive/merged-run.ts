import type {RequestRow, ResultRow} from '../contract/columns.ts';
import type {Manifest} from '../contract/journal.ts';
import {isRefusedForGood, type Plan} from '../contract/plan.ts';
import type {DeriveTables, Merged, MergedCell} from './merge.ts';

/** An ordinary run of one device, made of the attempts of many hosts. */
export interface MergedRun {
  readonly device: string;
  readonly manifest: Manifest;
  readonly results: readonly ResultRow[];
  /** By cell id, round and request; made one by one, as they are asked for. */
  readonly requests: Iterable<RequestRow>;
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
  const byId = [...cells].sort((a, b) => compare(a.planned.cell.id, b.planned.cell.id));
  const unrun = cells.flatMap(({canonical, planned}) => {
    if (canonical !== null) return [];
    const {cell, verdict, reason, refusedAs} = planned;
    const waiting = {verdict: 'waiting', reason: 'no whole attempt of this cell', refusedAs: null} as const;
    return [
      {type: 'cell_planned' as const, cell, ...(isRefusedForGood(planned) ? {verdict, reason, refusedAs} : waiting)},
    ];
  });
  return {
    results: [
      ...cells.flatMap(({canonical}) => (canonical?.row == null ? [] : [{...canonical.row, run_id}])),
      ...(unrun.length === 0 ? [] : derive(unrun, manifest).results),
    ].sort((a, b) => compare(a.cell_id ?? '', b.cell_id ?? '')),
    requests: {
      *[Symbol.iterator]() {
        for (const {canonical} of byId) for (const row of canonical?.requests ?? []) yield {...row, run_id};
      },
    },
  };
}

/** null when nothing of the device was measured. */
function manifestOf(plan: Plan, device: string, cells: readonly MergedCell[], matrixText: string): Manifest | null {
  const all = cells.flatMap(({canonical}) => (canonical === null ? [] : [canonical.manifest]));
  const [first] = all;
  if (first === undefined) return null;
  // Of all attempts, so that one more attempt of a cell gives the folder no other name, whichever of them counts.
  const starts = cells
    .flatMap(({canonical, others}) => (canonical === null ? [] : [canonical, ...others]))
    .map(({manifest}) => manifest.startedAt)
    .sort(compare);
  const startedAt = starts[0] ?? first.startedAt;
  const ends = all.map(({finishedAt}) => finishedAt ?? '').sort(compare);
  const whole = cells.every(({canonical, planned}) => canonical !== null || isRefusedForGood(planned));
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
