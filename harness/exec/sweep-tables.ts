import type {RequestRow, ResultRow} from '../contract/columns.ts';
import type {JournalRecord, Manifest} from '../contract/journal.ts';
import {writeRequestsCsv} from '../store/requests-csv.ts';
import {writeResultsCsv} from '../store/results-csv.ts';
import type {RunFolder} from '../store/run-folder.ts';
import type {SweepState} from './sweep-state.ts';

/** Rows from (a part of) a journal. Made by harness/derive, handed in by the CLI, which knows the prices. */
export type DeriveRows = (
  records: readonly JournalRecord[],
  manifest: Manifest,
) => {readonly results: readonly ResultRow[]; readonly requests: readonly RequestRow[]};

const EVERY_MS = 10_000;

/** results.csv and requests.csv of a sweep under way: made again from the journal between rounds, never during one. */
export class SweepTables {
  readonly #folder: RunFolder;
  readonly #state: SweepState;
  readonly #derive: DeriveRows;
  readonly #rows = new Map<string, ReturnType<DeriveRows>>();
  #writtenMs = Number.NEGATIVE_INFINITY;

  constructor(folder: RunFolder, state: SweepState, derive: DeriveRows) {
    this.#folder = folder;
    this.#state = state;
    this.#derive = derive;
  }

  /** Writes both tables if the last time was long enough ago: only cells that have changed are derived again. */
  async refresh(manifest: Manifest): Promise<void> {
    if (performance.now() - this.#writtenMs < EVERY_MS) return;
    for (const cellId of this.#state.takeChanged()) {
      this.#rows.set(cellId, this.#derive(this.#state.recordsOf(cellId), manifest));
    }
    await this.#write();
  }

  /** Writes both tables from everything, as `bench report` would. */
  async finish(manifest: Manifest): Promise<void> {
    this.#state.takeChanged();
    const cellIds = this.#state.cellIds;
    // The cells together: what one row says may depend on another one (the canary).
    const all = this.#derive([...new Set(cellIds.flatMap((id) => this.#state.recordsOf(id)))], manifest);
    this.#rows.clear();
    this.#rows.set('', all);
    await this.#write();
  }

  async #write(): Promise<void> {
    const parts = [...this.#rows.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, part]) => part);
    await writeResultsCsv(
      this.#folder.resultsPath,
      parts.flatMap(({results}) => results),
    );
    await writeRequestsCsv(this.#folder.requestsPath, inOrder(parts));
    this.#writtenMs = performance.now();
  }
}

function* inOrder(parts: readonly ReturnType<DeriveRows>[]): Generator<RequestRow> {
  for (const {requests} of parts) yield* [...requests].sort(byPlace);
}

function byPlace(a: RequestRow, b: RequestRow): number {
  if (a.cell_id !== b.cell_id) return (a.cell_id ?? '') < (b.cell_id ?? '') ? -1 : 1;
  return (a.round ?? 0) - (b.round ?? 0) || (a.request ?? 0) - (b.request ?? 0);
}
