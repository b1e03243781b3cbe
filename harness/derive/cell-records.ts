import type {Caveat} from '../contract/caveats.ts';
import type {JournalRecord, WeightsRecord} from '../contract/journal.ts';
import type {CellRecord, Round, RoundFinished} from '../contract/outcome.ts';
import type {RequestEvent, WorkerEvent} from '../contract/protocol.ts';
import {parseCaveat} from './parse-caveat.ts';

type Of<Type extends JournalRecord['type']> = Extract<JournalRecord, {type: Type}>;
type EventOf<Type extends WorkerEvent['type']> = Extract<WorkerEvent, {type: Type}>;

interface Attempt {
  startedAt: string | null;
  readonly events: WorkerEvent[];
}

/**
 * All that a journal knows, cell by cell, in the order in which the cells were planned.
 *
 * Of every round only the last attempt that ended counts: an attempt that was cut off has no `round_finished`, and its
 * requests are not mixed with those of its repetition. Records of cells that were never planned are ignored.
 */
export function cellRecords(records: readonly JournalRecord[]): CellRecord[] {
  const planned = new Map<string, Of<'cell_planned'>>();
  const weights = new Map<string, WeightsRecord>();
  const attempts = new Map<string, Attempt>();
  const finished = new Map<string, Map<string, RoundFinished>>();

  for (const record of records) {
    switch (record.type) {
      case 'cell_planned':
        planned.set(record.cell.id, record);
        break;
      case 'weights':
        weights.set(record.cellId, record.weights);
        break;
      case 'round_started':
        attemptOf(attempts, record).startedAt = record.at;
        break;
      case 'event':
        attemptOf(attempts, record).events.push(record.event);
        break;
      case 'round_finished':
        mapOf(finished, record.cellId).set(`${record.canary ? 'canary' : 'round'} ${record.round}`, record);
        break;
      case 'run_started':
      case 'run_continued':
      case 'run_finished':
      case 'bandwidth':
        break;
    }
  }

  return [...planned.values()].map(({cell, verdict, reason, refusedAs}) => {
    const ends = [...(finished.get(cell.id)?.values() ?? [])].sort((a, b) => a.round - b.round);
    const round = (end: RoundFinished): Round => roundOf(end, attempts.get(attemptKey(end)));
    return {
      cell,
      verdict,
      planReason: reason,
      refusedAs,
      weights: weights.get(cell.id) ?? null,
      rounds: ends.filter(({canary}) => !canary).map(round),
      canaryRounds: ends.filter(({canary}) => canary).map(round),
    };
  });
}

function roundOf(end: RoundFinished, attempt: Attempt | undefined): Round {
  const events = attempt?.events ?? [];
  return {
    index: end.round,
    status: end.status,
    reason: end.reason,
    loaded: last(events, isType('loaded')),
    ready: last(events, isType('ready')),
    requests: events.filter(isMeasured).sort((a, b) => a.index - b.index),
    memory: events.filter(isType('memory')),
    stats: end.stats,
    caveats: [...end.caveats, ...saidAtEnd(last(events, isType('done')))],
    energyJ: end.energyJ,
    energySource: end.energySource,
    stopped: last(events, isType('done'))?.stopped ?? null,
    startedAt: attempt?.startedAt ?? end.at,
    endedAt: end.at,
  };
}

/** What a worker saw while it measured. Whether the warm-up was steady is judged by the requests themselves. */
function saidAtEnd(done: EventOf<'done'> | null): Caveat[] {
  return (done?.caveats ?? []).flatMap(parseCaveat).filter(({code}) => code !== 'unsteady-warmup');
}

function isMeasured(event: WorkerEvent): event is RequestEvent {
  return event.type === 'request' && event.phase === 'measure';
}

function isType<Type extends WorkerEvent['type']>(type: Type) {
  return (event: WorkerEvent): event is EventOf<Type> => event.type === type;
}

function last<Event extends WorkerEvent>(
  events: readonly WorkerEvent[],
  is: (event: WorkerEvent) => event is Event,
): Event | null {
  return events.filter(is).at(-1) ?? null;
}

function attemptKey({cellId, attempt}: {readonly cellId: string; readonly attempt: string}): string {
  return `${cellId} ${attempt}`;
}

function attemptOf(attempts: Map<string, Attempt>, key: {readonly cellId: string; readonly attempt: string}): Attempt {
  const id = attemptKey(key);
  const known = attempts.get(id) ?? {startedAt: null, events: []};
  attempts.set(id, known);
  return known;
}

function mapOf<Value>(maps: Map<string, Map<string, Value>>, key: string): Map<string, Value> {
  const known = maps.get(key) ?? new Map<string, Value>();
  maps.set(key, known);
  return known;
}
