import {execa} from 'execa';
import {z} from 'zod';
import {Baton, type Contestant} from './turns.ts';

const RowsSchema = z.array(z.object({samples_ts: z.array(z.number().positive())})).length(1);

/** One kind of work: `tokens` of a prompt in one piece, or generated one by one from an empty context. */
export interface Work {
  readonly kind: 'pp' | 'tg';
  readonly tokens: number;
}

export interface LlamaBenchRun {
  readonly program: string;
  readonly model: string;
  readonly threads: number;
  readonly work: Work;
  readonly repetitions: number;
}

/** llama.cpp's own measuring loop on the same file with the same settings. It says on stderr when a repetition begins. */
export async function llamaBench({program, model, threads, work, repetitions}: LlamaBenchRun): Promise<Contestant> {
  const {kind, tokens} = work;
  const child = execa(
    program,
    [
      ...['-m', model, '-t', String(threads), kind === 'pp' ? '-p' : '-n', String(tokens)],
      ...[kind === 'pp' ? '-n' : '-p', '0', '-r', String(repetitions), '--progress'],
      ...['-b', '2048', '-ub', '512', '-fa', '0', '-ngl', '0', '-o', 'json'],
    ],
    {reject: false, stdin: 'ignore'},
  );
  const baton = new Baton((name) => void child.kill(name));
  const lines = (async () => {
    for await (const line of child.iterable({from: 'stderr'})) {
      // "llama-bench: benchmark 1/1: generation run 3/19": it counts from one, and warms up without a number.
      const begun = /: (?:prompt|generation) run (\d+)\/\d+$/.exec(line)?.[1];
      if (begun !== undefined) baton.begins(Number(begun) - 1);
    }
  })();
  const ended = (async () => {
    await lines.catch(() => undefined);
    const result = await child;
    baton.ends(result.failed ? new Error(`llama-bench: ${result.shortMessage}`) : null);
    return result;
  })();
  try {
    await baton.started();
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  return {
    turn: (count) => baton.turn(count),
    async finish() {
      baton.release();
      const {stdout} = await ended;
      return RowsSchema.parse(JSON.parse(stdout))[0]?.samples_ts ?? [];
    },
    async end() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
