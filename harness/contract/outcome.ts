import type {Caveat} from './caveats.ts';
import type {Cell} from './cell.ts';
import type {JournalRecord, PhaseStat, RoundStatus, WeightsRecord} from './journal.ts';
import type {RequestEvent, WorkerEvent} from './protocol.ts';

/** `waiting`: planned for another device. All others are results. */
export type CellStatus = RoundStatus | 'waiting';

/** One finished round of one cell, as the journal holds it. */
export interface Round {
  readonly index: number;
  readonly status: RoundStatus;
  readonly reason: string;
  readonly loaded: Extract<WorkerEvent, {type: 'loaded'}> | null;
  readonly ready: Extract<WorkerEvent, {type: 'ready'}> | null;
  /** Measured requests only, in order; warm-up stays in the journal. */
  readonly requests: readonly RequestEvent[];
  readonly memory: readonly Extract<WorkerEvent, {type: 'memory'}>[];
  readonly stats: readonly PhaseStat[];
  readonly caveats: readonly Caveat[];
  readonly energyJ: number | null;
  readonly energySource: string | null;
  readonly stopped: 'enough' | 'max' | 'budget' | null;
  readonly startedAt: string;
  readonly endedAt: string;
}

/** All that is known of one cell of a run: the input of every derivation. */
export interface CellRecord {
  readonly cell: Cell;
  readonly verdict: 'run' | 'waiting' | 'refused';
  readonly planReason: string;
  readonly refusedAs: 'unsupported' | 'does-not-fit' | null;
  readonly weights: WeightsRecord | null;
  /** Last finished attempt of each round, by round index; canary rounds apart. */
  readonly rounds: readonly Round[];
  readonly canaryRounds: readonly Round[];
}

export type RoundFinished = Extract<JournalRecord, {type: 'round_finished'}>;
