import type {Attempt, Refusal} from '../contract/attempt.ts';
import type {Cell} from '../contract/cell.ts';
import type {RequestRow, ResultRow} from '../contract/columns.ts';
import type {JournalRecord, Manifest} from '../contract/journal.ts';
import type {Plan, PlannedCell} from '../contract/plan.ts';

/** The tables of a journal; those of the CLI, which knows the prices. */
export type DeriveTables = (
  records: readonly JournalRecord[],
  manifest: Manifest,
) => {readonly results: readonly ResultRow[]; readonly requests: readonly RequestRow[]};

/** What the merge needs of one attempt: its rows, not its journal, so that ten thousand of them fit into memory. */
export interface Candidate {
  readonly path: string;
  readonly attempt: string;
  readonly planId: string;
  readonly cellId: string;
  readonly sha256: string;
  readonly engineNode: string | null;
  readonly manifest: Manifest;
  /** The cell as it was measured; null when the journal planned none of this id. */
  readonly cell: Cell | null;
  /** The journal came to its end. */
  readonly finished: boolean;
  /** `bench 0.1.0 d163ade46c1f`. */
  readonly build: string;
  /** Runner and its version, where the worker came far enough to say. */
  readonly runner: {readonly id: string; readonly version: string} | null;
  readonly row: ResultRow | null;
  readonly requests: readonly RequestRow[];
}

export function candidateOf({path, head, records, sha256}: Attempt, derive: DeriveTables): Candidate {
  const planned = records.find((record) => record.type === 'cell_planned' && record.cell.id === head.cellId);
  const cell = planned?.type === 'cell_planned' ? planned.cell : null;
  const ready = records.findLast((record) => record.type === 'event' && record.event.type === 'ready');
  const version = ready?.type === 'event' && ready.event.type === 'ready' ? ready.event.runnerVersion : null;
  const {manifest} = head;
  const {results, requests} = derive(records, manifest);
  const {harnessVersion, gitCommit} = manifest;
  return {
    path,
    attempt: head.attempt,
    planId: head.planId,
    cellId: head.cellId,
    sha256,
    engineNode: head.engineNode,
    manifest,
    cell,
    finished: records.at(-1)?.type === 'run_finished',
    build: `bench ${harnessVersion}${gitCommit === null ? '' : ` ${gitCommit}`}`,
    runner: cell === null || version === null ? null : {id: cell.runner.id, version},
    row: results.find(({cell_id}) => cell_id === head.cellId) ?? null,
    requests: requests.filter(({cell_id}) => cell_id === head.cellId),
  };
}

/** One cell of the plan with all that was measured of it. */
export interface MergedCell {
  readonly planned: PlannedCell;
  /** The attempt whose row counts: the first by id. Never chosen for what it measured. */
  readonly canonical: Candidate | null;
  /** All other valid ones, by id. */
  readonly others: readonly Candidate[];
  /** Largest ÷ smallest − 1 over all valid attempts; null with fewer than two values. */
  readonly spread: Readonly<Record<SpreadColumn, number | null>>;
}

export const SPREAD_COLUMNS = [
  'decode_tokens_per_s',
  'prefill_tokens_per_s',
  'latency_ms_p50',
  'ram_peak_bytes',
  'vram_peak_bytes',
] as const;
export type SpreadColumn = (typeof SPREAD_COLUMNS)[number];

export interface Merged {
  /** In the order of the plan. */
  readonly cells: readonly MergedCell[];
  /** By path. */
  readonly refusals: readonly Refusal[];
  /** Builds that were met, each with its files; more than one is a mix. */
  readonly builds: ReadonlyMap<string, readonly string[]>;
}

export interface MergeInput {
  readonly plan: Plan;
  readonly candidates: readonly Candidate[];
  /** Start of the label of the one build that counts, when there are several. */
  readonly build?: string | undefined;
}

/**
 * Joins attempts of one plan. Pure, and the order of the candidates does not matter: they are sorted by attempt id,
 * which was drawn before anything was measured. Wall clocks order nothing.
 */
export function mergeAttempts({plan, candidates, build}: MergeInput): Merged {
  const refusals: Refusal[] = [];
  const planned = new Map(plan.cells.map((one) => [one.cell.id, one]));
  const sorted = [...candidates].sort(
    (a, b) => compare(a.attempt, b.attempt) || compare(a.sha256, b.sha256) || compare(a.path, b.path),
  );
  const own = sorted.filter((one) => {
    const refusal = foreign(one, plan, planned.get(one.cellId));
    if (refusal !== null) refusals.push(refusal);
    return refusal === null;
  });
  const unique = distinct(own, refusals);
  const builds = buildsOf(unique);
  const pure = ofOneBuild(unique, builds, build, refusals);
  const byCell = new Map<string, Candidate[]>();
  for (const one of pure) {
    const known = byCell.get(one.cellId);
    if (known === undefined) byCell.set(one.cellId, [one]);
    else known.push(one);
  }
  return {
    cells: plan.cells.map((one) => {
      const all = byCell.get(one.cell.id) ?? [];
      const [canonical = null, ...others] = all;
      return {planned: one, canonical, others, spread: spreadOf(all)};
    }),
    refusals: refusals.sort((a, b) => compare(a.path, b.path)),
    builds,
  };
}

function foreign(one: Candidate, plan: Plan, planned: PlannedCell | undefined): Refusal | null {
  const refuse = (detail: string): Refusal => ({path: one.path, code: 'foreign', detail});
  if (one.planId !== plan.planId) return refuse(`of plan ${one.planId}, this is ${plan.planId}`);
  if (planned === undefined) return refuse(`cell ${one.cellId} is not in the plan`);
  if (one.cell === null) return refuse(`its journal holds no cell ${one.cellId}`);
  if (one.row === null) return refuse(`no row can be made of cell ${one.cellId}`);
  if (one.manifest.matrixSha256 !== plan.matrixSha256) return refuse('of another matrix file');
  const difference = differenceOf(planned.cell, one.cell);
  if (difference !== null) return refuse(`measured with other ${difference} than the plan says`);
  const {devices} = one.manifest.host;
  const elsewhere = planned.cell.runner.server?.elsewhere === true;
  if (!(elsewhere || devices.some(({name}) => name === planned.cell.device))) {
    return refuse(`a cell for ${planned.cell.device}, measured on ${devices.map(({name}) => name).join(', ')}`);
  }
  return one.finished ? null : {path: one.path, code: 'partial', detail: 'its journal did not come to its end'};
}

/** The first key in which two cells of one id differ. Threads asked for as `cores` are those of each machine. */
function differenceOf(planned: Cell, measured: Cell): string | null {
  // Nearly always they are the same, in the same order of keys.
  if (JSON.stringify(planned) === JSON.stringify(measured)) return null;
  const ignoreThreads = planned.threadsAsked === 'cores' && measured.threadsAsked === 'cores';
  const plain = (cell: Cell) =>
    new Map(
      Object.entries(ignoreThreads ? {...cell, settings: {...cell.settings, threads: 0}} : cell).map(([key, value]) => [
        key,
        stableJson(value),
      ]),
    );
  const [a, b] = [plain(planned), plain(measured)];
  for (const key of new Set([...a.keys(), ...b.keys()])) if (a.get(key) !== b.get(key)) return key;
  return null;
}

function stableJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => compare(a, b)))
      : inner,
  );
}

/** A copy of a file is the same attempt; two contents under one id are none. */
function distinct(sorted: readonly Candidate[], refusals: Refusal[]): Candidate[] {
  const groups = new Map<string, Candidate[]>();
  for (const one of sorted) groups.set(one.attempt, [...(groups.get(one.attempt) ?? []), one]);
  return [...groups.values()].flatMap((group) => {
    const hashes = new Set(group.map(({sha256}) => sha256));
    if (hashes.size === 1) return group.slice(0, 1);
    for (const {path, attempt} of group) refusals.push({path, code: 'conflict', detail: attempt});
    return [];
  });
}

function buildsOf(candidates: readonly Candidate[]): Map<string, string[]> {
  const labels = new Map<string, string[]>();
  for (const one of candidates) {
    const known = labels.get(one.build);
    if (known === undefined) labels.set(one.build, [one.path]);
    else known.push(one.path);
  }
  return new Map([...labels].sort(([a], [b]) => compare(a, b)));
}

/** Of several builds, none is the right one by itself: all are refused until one is named. Runners likewise. */
function ofOneBuild(
  candidates: readonly Candidate[],
  builds: ReadonlyMap<string, readonly string[]>,
  wanted: string | undefined,
  refusals: Refusal[],
): Candidate[] {
  const versions = new Map<string, Set<string>>();
  for (const {runner, build} of candidates) {
    if (runner === null || (wanted !== undefined && !build.startsWith(wanted))) continue;
    versions.set(runner.id, (versions.get(runner.id) ?? new Set()).add(runner.version));
  }
  return candidates.filter(({path, build, runner}) => {
    const known = runner === null ? new Set<string>() : (versions.get(runner.id) ?? new Set<string>());
    if (wanted === undefined ? builds.size > 1 : !build.startsWith(wanted)) {
      refusals.push({path, code: 'mixed-build', detail: build});
      return false;
    }
    if (runner !== null && known.size > 1) {
      const detail = `${runner.id} ${runner.version}; also met: ${[...known]
        .filter((one) => one !== runner.version)
        .sort(compare)
        .join(', ')}`;
      refusals.push({path, code: 'mixed-build', detail});
      return false;
    }
    return true;
  });
}

function spreadOf(all: readonly Candidate[]): MergedCell['spread'] {
  const ratio = (column: SpreadColumn): number | null => {
    const values = all.flatMap(({row}) => {
      const value = row?.[column];
      return typeof value === 'number' && value > 0 ? [value] : [];
    });
    return values.length < 2 ? null : Math.max(...values) / Math.min(...values) - 1;
  };
  return {
    decode_tokens_per_s: ratio('decode_tokens_per_s'),
    prefill_tokens_per_s: ratio('prefill_tokens_per_s'),
    latency_ms_p50: ratio('latency_ms_p50'),
    ram_peak_bytes: ratio('ram_peak_bytes'),
    vram_peak_bytes: ratio('vram_peak_bytes'),
  };
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
