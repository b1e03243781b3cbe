import type {Cell} from './cell.ts';
import type {RoundStatus} from './journal.ts';
import type {CellPhase} from './sampler.ts';

/** What a sweep tells whoever watches it: progress lines, the live display, and `bench matrix --json`. */
export type SweepEvent =
  | {
      readonly type: 'sweep_started';
      readonly runId: string;
      readonly folder: string;
      readonly rounds: number;
      readonly cells: number;
      readonly roundsTotal: number;
      readonly roundsDone: number;
    }
  /** A step before or between cells that takes time: bandwidth, weights, quiet check. */
  | {readonly type: 'step'; readonly text: string; readonly doneBytes?: number; readonly totalBytes?: number | null}
  | {readonly type: 'cell_started'; readonly cell: Cell; readonly round: number; readonly position: number}
  | {readonly type: 'cell_phase'; readonly cell: Cell; readonly phase: CellPhase}
  /** At most two a second: the last request, and the memory of the worker right now. */
  | {
      readonly type: 'cell_progress';
      readonly cell: Cell;
      readonly requests: number;
      readonly prefillTokensPerS: number | null;
      readonly decodeTokensPerS: number | null;
      readonly ramBytes: number | null;
      readonly secondsLeft: number | null;
    }
  | {
      readonly type: 'cell_finished';
      readonly cell: Cell;
      readonly round: number;
      readonly status: RoundStatus;
      readonly reason: string;
      readonly requests: number;
      readonly prefillTokensPerS: number | null;
      readonly decodeTokensPerS: number | null;
      readonly secondsLeft: number | null;
    }
  | {readonly type: 'warning'; readonly text: string}
  | {
      readonly type: 'sweep_finished';
      readonly folder: string;
      readonly ok: number;
      readonly failed: number;
      readonly refused: number;
      readonly waiting: number;
    };
