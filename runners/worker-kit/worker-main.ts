import {PROTOCOL_VERSION, type WorkOrder} from '../../harness/contract/protocol.ts';
import {type EngineProgram, toNs} from './engine.ts';
import {promptSource} from './prompt-source.ts';
import {runRequests} from './run-requests.ts';
import {workerLife} from './worker-life.ts';

/**
 * The whole life of a worker with its engine in the same process: order, `ready`, `loaded`, requests, `done`, or `failed`
 * with a coded error.
 *
 * @param importEngine Imports the engine; may use the order to choose its build.
 */
export async function workerMain(
  importEngine: (order: WorkOrder) => EngineProgram | Promise<EngineProgram>,
): Promise<never> {
  return await workerLife(async (order, channel) => {
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
  });
}
