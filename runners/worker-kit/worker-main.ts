import {BenchError} from '../../harness/contract/errors.ts';
import {PROTOCOL_VERSION, type WorkOrder} from '../../harness/contract/protocol.ts';
import {type EngineProgram, toNs} from './engine.ts';
import {EventChannel} from './event-channel.ts';
import {promptSource} from './prompt-source.ts';
import {readWorkOrder} from './read-work-order.ts';
import {runRequests} from './run-requests.ts';

/** Exit status after a `failed` event: the event says why, the status only that something did. */
const FAILED = 1;

/**
 * The whole life of a Node worker: order, `ready`, `loaded`, requests, `done`, or `failed` with a coded error.
 *
 * The process ends at once: freeing what the kernel frees anyway can take seconds, and a native library that aborts
 * while it is torn down would turn a good round into a crash.
 *
 * @param importEngine Imports the engine; may use the order to choose its build.
 */
export async function workerMain(
  importEngine: (order: WorkOrder) => EngineProgram | Promise<EngineProgram>,
): Promise<never> {
  const channel = new EventChannel();
  try {
    const order = readWorkOrder();
    const program = await importEngine(order);
    const {runnerVersion} = program;
    channel.send({type: 'ready', tNs: toNs(program.now()), protocol: PROTOCOL_VERSION, runnerVersion});

    const engine = await program.load(order);
    const tNs = toNs(engine.now());
    // Prompts of a file are tokenized after the time is taken: that is no part of loading a model.
    const prompts = promptSource(order, engine);
    const caveats = prompts.cut ? [...engine.facts.caveats, 'prompt-text-short'] : [...engine.facts.caveats];
    channel.send({type: 'loaded', tNs, ...engine.facts, caveats});

    const {stopped, caveats: seen} = await runRequests({order, engine, prompts, send: (event) => channel.send(event)});
    channel.send({type: 'done', tNs: toNs(engine.now()), stopped, caveats: [...seen]});
    process.exit(0);
  } catch (error) {
    channel.send({type: 'failed', error: asBenchError(error).toJSON()});
    process.exit(FAILED);
  }
}

function asBenchError(error: unknown): BenchError {
  if (error instanceof BenchError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new BenchError('WORKER_CRASHED', text.split('\n')[0] ?? '', {cause: error});
}
