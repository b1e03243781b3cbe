import {randomBytes} from 'node:crypto';
import type {Cell} from '../contract/cell.ts';
import {BenchError} from '../contract/errors.ts';
import type {JournalRecord, WeightsRecord} from '../contract/journal.ts';
import type {SweepEvent} from '../contract/sweep-event.ts';
import type {ModelArtifact, WeightsStore} from '../contract/weights.ts';
import {roundStatus} from './exit-error.ts';
import {oneLine} from './log-reason.ts';
import type {SweepState} from './sweep-state.ts';

/** At most this often is told how far a download is. */
const TELL_EVERY_MS = 100;

export interface WeightsContext {
  readonly weights: WeightsStore;
  readonly state: SweepState;
  readonly signal: AbortSignal;
  append(record: JournalRecord): void;
  onEvent(event: SweepEvent): void;
  now(): Date;
}

/**
 * Makes, fetches or finds the weights of all cells before the first one is measured: once per source, seed and format.
 * A model that cannot be had is the result of its cells; the others go on.
 *
 * @returns Path of the weights, by cell id; a cell that is missing has its failure in the journal.
 * @throws {BenchError} `INTERRUPTED`, and what hinders the journal.
 */
export async function ensureWeights(cells: readonly Cell[], context: WeightsContext): Promise<Map<string, string>> {
  const groups = new Map<string, Cell[]>();
  for (const cell of cells) {
    const key = JSON.stringify([cell.source, cell.weightsSeed, cell.format]);
    groups.set(key, [...(groups.get(key) ?? []), cell]);
  }
  const paths = new Map<string, string>();
  for (const group of groups.values()) {
    const [first] = group;
    if (first === undefined) continue;
    const artifact = await ensureOne(first, context);
    for (const cell of group) {
      if (artifact instanceof BenchError) recordFailure(cell, artifact, context);
      else {
        paths.set(cell.id, artifact.path);
        if (!context.state.hasWeights(cell.id, artifact)) {
          context.append({type: 'weights', cellId: cell.id, weights: weightsRecord(artifact)});
        }
      }
    }
  }
  return paths;
}

async function ensureOne(cell: Cell, {weights, signal, onEvent}: WeightsContext): Promise<ModelArtifact | BenchError> {
  const name = `${cell.model} ${cell.format}`;
  let toldMs = 0;
  try {
    return await weights.ensure(
      {source: cell.source, format: cell.format, seed: cell.weightsSeed},
      {
        signal,
        onProgress({step, doneBytes, totalBytes}) {
          if (performance.now() - toldMs < TELL_EVERY_MS) return;
          toldMs = performance.now();
          onEvent({type: 'step', text: `weights ${name}: ${step}`, doneBytes, totalBytes});
        },
      },
    );
  } catch (error) {
    if (signal.aborted) throw interrupted(name, error);
    if (!(error instanceof BenchError) || error.code === 'INTERRUPTED' || error.code === 'INTERNAL') throw error;
    onEvent({type: 'warning', text: oneLine(`weights ${name}: ${error.code}: ${error.message}`)});
    return error;
  }
}

function interrupted(name: string, cause: unknown): BenchError {
  return new BenchError('INTERRUPTED', `Interrupted while ${name} was made`, {cause});
}

/** A round that ended before it began: the first one that is due. */
export function recordFailure(
  cell: Cell,
  error: BenchError,
  {state, append, now}: Pick<WeightsContext, 'state' | 'append' | 'now'>,
): void {
  const round = Array.from({length: cell.rounds}, (_, index) => index).find((index) => state.isDue(cell, index));
  if (round === undefined) return;
  const attempt = randomBytes(8).toString('hex');
  const at = now().toISOString();
  append({type: 'round_started', cellId: cell.id, round, attempt, canary: false, at});
  append({
    type: 'round_finished',
    cellId: cell.id,
    round,
    attempt,
    canary: false,
    status: roundStatus(error.code),
    reason: oneLine(`${error.code}: ${error.message}`),
    error: error.toJSON(),
    stats: [],
    caveats: [],
    energyJ: null,
    energySource: null,
    overheadS: 0,
    at,
  });
}

function weightsRecord(artifact: ModelArtifact): WeightsRecord {
  const {sha256, weightsBytes, parameters, bitsPerWeight, bytesPerToken, kvBytesPerToken} = artifact;
  const {architectureName, sourceText, synthetic} = artifact;
  return {
    sha256,
    weightsBytes,
    parameters,
    bitsPerWeight,
    bytesPerToken,
    kvBytesPerToken,
    architectureName,
    sourceText,
    synthetic,
  };
}
