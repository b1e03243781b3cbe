import {setTimeout as delay} from 'node:timers/promises';
import {BenchError} from '../../harness/contract/errors.ts';
import type {WorkOrder} from '../../harness/contract/protocol.ts';
import {SERVER_SOURCE, type ServerRef} from '../../harness/contract/server.ts';
import {Connection} from './connection.ts';
import {type Dialect, dialectOf, type ListedModel, listedModels} from './dialect.ts';
import {freePort, placeholderValues, ServerProcess} from './server-process.ts';
import {shortLine} from './server-words.ts';

/** A server that answers, and which model it is asked for. */
export interface Served {
  readonly connection: Connection;
  readonly dialect: Dialect;
  readonly model: ListedModel;
  readonly version: string | null;
  /** null: it ran already. */
  readonly process: ServerProcess | null;
  readonly key: string | null;
}

const LOOK_MS = 10_000;
const POLL_MS = {first: 25, most: 250} as const;

/**
 * Reaches the server of a cell: starts it where the matrix has a command, waits until it lists its models, and finds out
 * which kind it is.
 *
 * @throws {BenchError} NETWORK, UNSUPPORTED (no such model, no key), ENGINE_UNAVAILABLE, DOES_NOT_FIT, WORKER_CRASHED.
 */
export async function reachServer(
  order: WorkOrder,
  server: ServerRef,
  {env, now}: {env: NodeJS.ProcessEnv; now: () => number},
): Promise<Served> {
  const key = readKey(server, env);
  const lanes = order.cell.workload.concurrency;
  const connect = (baseUrl: string) => new Connection({baseUrl: baseUrl.replace(/\/+$/, ''), key, lanes, now});
  if (server.url !== null) {
    const connection = connect(server.url);
    return {...(await look(order, connection, key)), connection, process: null, key};
  }
  const port = await freePort();
  const child = new ServerProcess({
    command: server.command ?? [],
    env: server.env,
    values: placeholderValues(order.cell, {weightsPath: order.weightsPath, port}),
    folder: env['BENCH_MATRIX_DIR'] ?? process.cwd(),
  });
  const connection = connect(`http://127.0.0.1:${port}/v1`);
  await untilReady(connection, child);
  return {...(await look(order, connection, key)), connection, process: child, key};
}

/** @throws {BenchError} UNSUPPORTED when the variable is not set: its name is told, never a value. */
function readKey({apiKeyEnv}: Pick<ServerRef, 'apiKeyEnv'>, env: NodeJS.ProcessEnv): string | null {
  if (apiKeyEnv === null) return null;
  const key = env[apiKeyEnv]?.trim() ?? '';
  if (key === '') throw new BenchError('UNSUPPORTED', `the environment variable ${apiKeyEnv} of the key is not set`);
  if (/[^\x21-\x7e]/.test(key)) {
    throw new BenchError(
      'UNSUPPORTED',
      `the environment variable ${apiKeyEnv} holds what no key can: blanks or control characters`,
    );
  }
  return key;
}

/** Waits for a server that was started; how long it may take is for the harness to say (`limits.load_seconds`). */
async function untilReady(connection: Connection, child: ServerProcess): Promise<void> {
  for (let waitMs: number = POLL_MS.first; ; waitMs = Math.min(POLL_MS.most, waitMs * 1.5)) {
    if (child.failure !== null) throw child.failure;
    if (await isReady(connection)) return;
    await delay(waitMs);
  }
}

async function isReady(connection: Connection): Promise<boolean> {
  try {
    // llama-server and SGLang listen while they load, and say so here; others have no such path.
    if ((await connection.get('../health', LOOK_MS)).status === 503) return false;
    const {status, body} = await connection.get('models', LOOK_MS);
    return status === 200 ? listedModels(body).length > 0 : status >= 400 && status < 500;
  } catch {
    return false;
  }
}

async function look(
  order: WorkOrder,
  connection: Connection,
  key: string | null,
): Promise<{readonly model: ListedModel; readonly dialect: Dialect; readonly version: string | null}> {
  const {status, body} = await connection.get('models', LOOK_MS);
  if (status === 401 || status === 403) {
    const text = key === null ? 'wants a key: name its variable with api_key_env' : 'does not take the key';
    throw new BenchError('UNSUPPORTED', `HTTP ${status}: the server ${text}`);
  }
  if (status === 429 || status >= 500)
    throw new BenchError('NETWORK', `HTTP ${status}: the server does not list its models`);
  const model = chooseModel(order, status === 200 ? listedModels(body) : []);
  const dialect = await dialectOf(model, connection);
  return {model, dialect, version: await dialect.version(connection)};
}

/**
 * The model that the matrix names (`source: server:NAME`), else the only one there is.
 *
 * @throws {BenchError} UNSUPPORTED naming what the server has.
 */
function chooseModel({cell}: Pick<WorkOrder, 'cell'>, models: readonly ListedModel[]): ListedModel {
  const names = models.map(({name}) => shortLine(name).slice(0, 80));
  const shown = `${names.slice(0, 5).join(', ')}${names.length > 5 ? `, … (${names.length})` : ''}`;
  if (cell.source.startsWith(SERVER_SOURCE)) {
    const name = cell.source.slice(SERVER_SOURCE.length);
    const found = models.find((model) => model.name === name);
    if (found !== undefined) return found;
    throw new BenchError(
      'UNSUPPORTED',
      names.length === 0
        ? 'the server lists no models at /models: is the path of the url right (it often ends with /v1)?'
        : `the server has no model "${name}"; it has ${shown}`,
    );
  }
  const [only] = models;
  if (models.length === 1 && only !== undefined) return only;
  throw new BenchError(
    'UNSUPPORTED',
    names.length === 0
      ? 'the server lists no models at /models: is the path of the url right (it often ends with /v1)?'
      : `the server has several models: name one as source: server:NAME; it has ${shown}`,
  );
}
