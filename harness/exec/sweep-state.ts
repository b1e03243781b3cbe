import type {Cell} from '../contract/cell.ts';
import type {BenchErrorCode} from '../contract/errors.ts';
import type {JournalRecord, RoundStatus} from '../contract/journal.ts';
import type {ModelArtifact} from '../contract/weights.ts';

/** Failures that another try may not meet again: a cell that failed this way is run again when the run continues. */
const PASSING: ReadonlySet<BenchErrorCode> = new Set(['NETWORK', 'CHECKSUM_MISMATCH', 'DISK_FULL']);

interface CellState {
  readonly finished: Map<number, RoundStatus>;
  canaryDone: boolean;
  /** Status of the round that failed; null while none has. */
  failed: RoundStatus | null;
  /** The failure may pass by itself. */
  passing: boolean;
  readonly records: JournalRecord[];
}

/** What a journal says is done: what the sweep continues from, and what rows are derived from, cell by cell. */
export class SweepState {
  readonly #cells = new Map<string, CellState>();
  readonly #shared: JournalRecord[] = [];
  readonly #bandwidths = new Set<string>();
  readonly #changed = new Set<string>();

  take(record: JournalRecord): void {
    switch (record.type) {
      case 'run_started':
      case 'run_continued':
        this.#shared.push(record);
        break;
      case 'run_finished':
        break;
      case 'bandwidth':
        this.#bandwidths.add(`${record.device} ${record.threads}`);
        this.#shared.push(record);
        break;
      case 'cell_planned':
        this.#keep(record.cell.id, record);
        break;
      case 'weights':
      case 'round_started':
      case 'event':
        this.#keep(record.cellId, record);
        break;
      case 'round_finished': {
        const state = this.#keep(record.cellId, record);
        if (record.canary) state.canaryDone = true;
        else state.finished.set(record.round, record.status);
        if (record.status !== 'ok' && !record.canary) {
          state.failed = record.status;
          state.passing = record.error !== null && PASSING.has(record.error.code);
        }
        break;
      }
    }
  }

  /** Forgets failures, so that their rounds are run again: all of them, or those that may have passed by themselves. */
  forgetFailures(all: boolean): void {
    for (const state of this.#cells.values()) {
      if (state.failed === null || !(all || state.passing)) continue;
      for (const [round, status] of state.finished) if (status !== 'ok') state.finished.delete(round);
      state.failed = null;
      state.passing = false;
    }
  }

  /** There is a run to be continued. */
  get started(): boolean {
    return this.#shared.some(({type}) => type === 'run_started');
  }

  isPlanned(cellId: string): boolean {
    return this.#cells.has(cellId);
  }

  hasBandwidth(device: string, threads: number): boolean {
    return this.#bandwidths.has(`${device} ${threads}`);
  }

  hasWeights(cellId: string, artifact: ModelArtifact): boolean {
    const records = this.#cells.get(cellId)?.records ?? [];
    return records.some((record) => record.type === 'weights' && record.weights.sha256 === artifact.sha256);
  }

  failure(cellId: string): RoundStatus | null {
    return this.#cells.get(cellId)?.failed ?? null;
  }

  mayPass(cellId: string): boolean {
    return this.#cells.get(cellId)?.passing ?? false;
  }

  /** A cell that failed once is not run again in later rounds: it would fail again, at the same price. */
  isDue(cell: Cell, round: number): boolean {
    const state = this.#cells.get(cell.id);
    if (state === undefined) return round < cell.rounds;
    return round < cell.rounds && state.failed === null && !state.finished.has(round);
  }

  roundsDone(cell: Cell): number {
    const state = this.#cells.get(cell.id);
    if (state === undefined) return 0;
    return state.failed === null ? Math.min(cell.rounds, state.finished.size) : cell.rounds;
  }

  /** All rounds of the cell were measured and none failed. */
  isWhole(cell: Cell): boolean {
    const state = this.#cells.get(cell.id);
    return state !== undefined && state.failed === null && state.finished.size >= cell.rounds;
  }

  canaryDone(cellId: string): boolean {
    return this.#cells.get(cellId)?.canaryDone ?? false;
  }

  get cellIds(): readonly string[] {
    return [...this.#cells.keys()];
  }

  /** The part of the journal that one cell's row is made of. */
  recordsOf(cellId: string): readonly JournalRecord[] {
    return [...this.#shared, ...(this.#cells.get(cellId)?.records ?? [])];
  }

  /** Cells with records since the last call. */
  takeChanged(): string[] {
    const changed = [...this.#changed].sort();
    this.#changed.clear();
    return changed;
  }

  #keep(cellId: string, record: JournalRecord): CellState {
    const state: CellState = this.#cells.get(cellId) ?? {
      finished: new Map(),
      canaryDone: false,
      failed: null,
      passing: false,
      records: [],
    };
    state.records.push(record);
    this.#cells.set(cellId, state);
    this.#changed.add(cellId);
    return state;
  }
}
