import type {Cell} from '../contract/cell.ts';
import type {JournalRecord} from '../contract/journal.ts';

/** What a journal says is done. */
export interface Progress {
  /** Rounds that ended well, by cell id; canary rounds do not count. */
  readonly finished: ReadonlyMap<string, ReadonlySet<number>>;
  /** Cells that a round ended for good (crashed, timed out, does not fit, …): they have their row, and no more rounds. */
  readonly ended: ReadonlySet<string>;
}

/** Rounds without `round_finished` were cut off: they are run again from the start. */
export function progressOf(records: readonly JournalRecord[]): Progress {
  const finished = new Map<string, Set<number>>();
  const ended = new Set<string>();
  for (const record of records) {
    if (record.type !== 'round_finished' || record.canary) continue;
    const rounds = finished.get(record.cellId) ?? new Set();
    finished.set(record.cellId, rounds.add(record.round));
    if (record.status !== 'ok') ended.add(record.cellId);
  }
  return {finished, ended};
}

/** Round by round, the cells that still have to run; rounds with nothing left are absent. Cells keep their order. */
export function remainingRounds<C extends Pick<Cell, 'id' | 'rounds'>>(
  cells: readonly C[],
  {finished, ended}: Progress,
): {readonly round: number; readonly cells: readonly C[]}[] {
  const most = Math.max(0, ...cells.map((cell) => cell.rounds));
  return Array.from({length: most}, (_, round) => ({
    round,
    cells: cells.filter(
      (cell) => round < cell.rounds && !ended.has(cell.id) && finished.get(cell.id)?.has(round) !== true,
    ),
  })).filter((left) => left.cells.length > 0);
}
