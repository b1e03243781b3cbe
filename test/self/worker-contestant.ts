import {RUNNERS} from '../../harness/cli/registry.ts';
import type {HostFacts} from '../../harness/contract/device.ts';
import type {RequestEvent} from '../../harness/contract/protocol.ts';
import {decodeRates, prefillRates, runCell, type SelfCell, selfCell} from './cell.ts';
import type {Work} from './llama-bench.ts';
import {Baton, type Contestant} from './turns.ts';

export interface WorkerRun extends Pick<SelfCell, 'model' | 'format' | 'threads'> {
  readonly runner: string;
  readonly host: HostFacts;
  readonly weightsPath: string;
  readonly work: Work;
  readonly repetitions: number;
}

/** A worker as the harness runs it, one request a repetition. It says that a request ended; the next begins at once. */
export async function worker(run: WorkerRun): Promise<Contestant> {
  const {work, host, weightsPath, repetitions, ...wanted} = run;
  const runner = RUNNERS.get(run.runner);
  if (runner === undefined) throw new Error(`no runner ${run.runner}`);
  const stop = new AbortController();
  let pid = 0;
  const baton = new Baton((name) => {
    try {
      // The worker leads a process group of its own.
      process.kill(-pid, name);
    } catch {
      // It has ended.
    }
  });
  const cell = selfCell({
    ...wanted,
    // llama-bench generates from an empty context: a prompt of one token comes nearest.
    promptTokens: work.kind === 'pp' ? work.tokens : 1,
    generatedTokens: work.kind === 'pp' ? 1 : work.tokens + 1,
    requests: repetitions,
  });
  const requests = runCell(cell, {
    runner,
    host,
    weightsPath,
    signal: stop.signal,
    onWorker: (started) => {
      pid = started;
    },
    onRequest: (count) => baton.begins(count),
  });
  const ended = requests.then(
    () => baton.ends(null),
    (error: unknown) => baton.ends(error instanceof Error ? error : new Error(String(error))),
  );
  await baton.started();
  return {
    turn: (count) => baton.turn(count),
    async finish(): Promise<readonly number[]> {
      baton.release();
      const all: readonly RequestEvent[] = await requests;
      return work.kind === 'pp' ? prefillRates(all) : decodeRates(all);
    },
    async end() {
      // A process that stands still is not ended by SIGTERM.
      baton.release();
      stop.abort();
      await ended;
    },
  };
}
