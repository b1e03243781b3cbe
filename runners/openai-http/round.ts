import {BenchError} from '../../harness/contract/errors.ts';
import {PROTOCOL_VERSION, type WorkerEventInput, type WorkOrder} from '../../harness/contract/protocol.ts';
import {toNs} from '../worker-kit/engine.ts';
import {Client} from './client.ts';
import {loadedFacts} from './facts.ts';
import {measure} from './measuring.ts';
import {rehearse} from './rehearsal.ts';
import {reachServer} from './served.ts';

/** A request that hangs is told by the worker, before the harness ends a worker that says nothing. */
const IDLE_SHARE = 0.9;

export interface RoundContext {
  /** Holds the key of the server, and where the paths of its command begin. */
  readonly env: NodeJS.ProcessEnv;
  readonly now: () => number;
  send(event: WorkerEventInput): void;
}

/**
 * One round of one server: reached, tried, measured, and left (or ended, with this process, when it was started here).
 *
 * @throws {BenchError} Why the cell failed.
 */
export async function measureServer(order: WorkOrder, {env, now, send}: RoundContext): Promise<void> {
  const {server} = order.cell.runner;
  if (server === undefined) throw new BenchError('UNSUPPORTED', 'this cell names no server');
  send({type: 'ready', tNs: toNs(now()), protocol: PROTOCOL_VERSION, runnerVersion: 'openai-http'});

  const served = await reachServer(order, server, {env, now});
  const loadedMs = now();
  const {connection, dialect, model, key} = served;
  const idleMs = IDLE_SHARE * order.cell.limits.idleSeconds * 1000;
  try {
    const client = new Client({connection, server, dialect, model: model.name, idleMs, key, now});
    const rehearsed = await rehearse(order, client, {server, dialect, model});
    send({type: 'loaded', tNs: toNs(loadedMs), ...loadedFacts(order, server, {served, rehearsed})});
    const done = await measure({order, client, rehearsed, now, send});
    send({type: 'done', tNs: toNs(now()), ...done});
  } catch (error) {
    // A server that died shows as a broken connection first.
    throw (await served.process?.failureSoon()) ?? error;
  } finally {
    connection.close();
  }
}
