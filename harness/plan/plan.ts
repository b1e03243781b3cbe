import type {Cell} from '../contract/cell.ts';
import type {DeviceEntry, HostFacts} from '../contract/device.ts';
import {BenchError} from '../contract/errors.ts';
import {PLAN_SCHEMA_VERSION, type Plan, type PlannedCell} from '../contract/plan.ts';
import type {Runner} from '../contract/runner.ts';
import type {CellDevice} from './cell-device.ts';
import {planId} from './cell-id.ts';
import {type ExpandedCell, expandCells, type PlanOverrides} from './expand.ts';
import {type LoadedMatrix, mistaken} from './load-matrix.ts';
import {selectCells} from './select.ts';
import {type Estimate, judge} from './verdict.ts';

export interface PlanInput {
  readonly loaded: LoadedMatrix;
  readonly host: HostFacts;
  readonly catalogue: readonly DeviceEntry[];
  readonly runners: ReadonlyMap<string, Runner>;
  readonly estimate: Estimate;
  /** Version of the harness, for the plan file. */
  readonly harness: string;
  readonly overrides?: PlanOverrides;
}

/**
 * Every cell of a matrix with its verdict on this host. The same input gives the same bytes.
 *
 * @throws {BenchError} MATRIX_INVALID with one line per mistake; USAGE for `--only`.
 */
export async function makePlan({
  loaded,
  host,
  catalogue,
  runners,
  estimate,
  harness,
  overrides = {},
}: PlanInput): Promise<Plan> {
  const {matrix} = loaded;
  const expanded = expandCells({loaded, host, catalogue, runnerIds: [...runners.keys()], overrides});
  const chosen = selectCells(expanded, overrides.only ?? []);
  const known = remembered(estimate);
  const cells: PlannedCell[] = [];
  for (const {cell, device} of chosen) {
    try {
      cells.push(await judge(cell, device, {host, runners, estimate: known}));
    } catch (error) {
      throw placed(error, cell, loaded);
    }
  }
  return {
    schema: PLAN_SCHEMA_VERSION,
    planId: planId(
      loaded.sha256,
      chosen.map(({cell}) => cell.id),
    ),
    matrix: matrix.matrix,
    matrixSha256: loaded.sha256,
    matrixDir: loaded.dir,
    harness,
    samplePeriodMs: matrix.sample_period_ms,
    order: matrix.order,
    seed: matrix.seed,
    rounds: Math.max(...chosen.map(({cell}: ExpandedCell) => cell.rounds)),
    canary: matrix.canary,
    cells: diskCountedOnce(cells),
  };
}

/**
 * A plan made on one machine, judged anew on the one that runs it (`bench cell --plan`). Cells keep their places and
 * ids; threads asked for as `cores` become the cores of this machine.
 *
 * @throws {BenchError} whatever `estimate` throws, but UNSUPPORTED.
 */
export async function bindPlan({
  plan,
  host,
  catalogue,
  runners,
  estimate,
}: Omit<PlanInput, 'loaded' | 'harness' | 'overrides'> & {readonly plan: Plan}): Promise<Plan> {
  const known = remembered(estimate);
  const cells: PlannedCell[] = [];
  for (const {cell} of plan.cells) {
    const elsewhere = cell.runner.server?.elsewhere === true;
    const here = elsewhere ? null : (host.devices.find(({name}) => name === cell.device) ?? null);
    const entry = here?.entry ?? catalogue.find(({name}) => name === cell.device) ?? null;
    const device: CellDevice = {name: cell.device, kind: cell.deviceKind, words: [cell.device], here, entry};
    cells.push(await judge(bindCell(cell, here === null ? null : host), device, {host, runners, estimate: known}));
  }
  return {...plan, cells: diskCountedOnce(cells)};
}

/** Sets what only the machine that runs the cell knows; the id stays. On no host in particular: one thread. */
export function bindCell(cell: Cell, host: HostFacts | null): Cell {
  if (cell.threadsAsked !== 'cores') return cell;
  return {...cell, settings: {...cell.settings, threads: host?.cpu.usableCores ?? 1}};
}

/** Weights are made once, for all cells that run with them. */
function diskCountedOnce(cells: readonly PlannedCell[]): PlannedCell[] {
  const counted = new Set<string>();
  return cells.map((planned) => {
    if (planned.estimate.diskBytes === null) return planned;
    const key = weightsKey(planned.cell);
    if (counted.has(key)) return {...planned, estimate: {...planned.estimate, diskBytes: 0}};
    counted.add(key);
    return planned;
  });
}

function weightsKey({source, format, weightsSeed}: Pick<Cell, 'source' | 'format' | 'weightsSeed'>): string {
  return JSON.stringify([source, format, weightsSeed]);
}

function remembered(estimate: Estimate): Estimate {
  const known = new Map<string, ReturnType<Estimate>>();
  return (request) => {
    const key = weightsKey({...request, weightsSeed: request.seed});
    const found = known.get(key) ?? estimate(request);
    known.set(key, found);
    return found;
  };
}

/** Codes of a model that the matrix names and that cannot be had. */
const OF_A_SOURCE: ReadonlySet<string> = new Set(['MODEL_SOURCE_INVALID', 'FILE_UNREADABLE']);

/** A source that cannot be read is a mistake of the matrix file: say where it stands. */
function placed(error: unknown, cell: Cell, {matrix, places}: LoadedMatrix): unknown {
  if (!(error instanceof BenchError) || !OF_A_SOURCE.has(error.code)) return error;
  const index = matrix.models.findIndex(({name}) => name === cell.model);
  const own = matrix.models[index]?.sources?.[cell.format] !== undefined;
  const path = ['models', index, ...(own ? ['sources', cell.format] : ['source'])];
  return mistaken(places, [{path, text: error.message}]);
}
