import {once} from 'node:events';
import {createRequire} from 'node:module';
import {availableParallelism} from 'node:os';
import {pathToFileURL} from 'node:url';
import {Worker} from 'node:worker_threads';
import type {Refusal} from '../contract/attempt.ts';
import {BenchError, WireErrorSchema} from '../contract/errors.ts';
import type {Candidate} from '../derive/merge.ts';
import {type CandidatesAnswer, readCandidates} from './candidates.ts';

/** Below this, starting threads takes longer than they save. */
const WORTH_THREADS = 500;
const MOST_THREADS = 4;
/** Files a thread is given at once. */
const BATCH = 64;

/**
 * As {@link readCandidates}, with several threads where there are many files: of a merge of thousands, checking and
 * deriving is nearly all. In no particular order, which the merge does not mind.
 *
 * @throws {BenchError} `FILE_UNREADABLE`.
 */
export async function readManyCandidates(paths: readonly string[]): Promise<(Candidate | Refusal)[]> {
  const count = Math.min(MOST_THREADS, availableParallelism());
  if (paths.length < WORTH_THREADS || count < 2) return await readCandidates(paths);
  const threads = Array.from({length: count}, startThread);
  const all: (Candidate | Refusal)[] = [];
  let next = 0;
  try {
    await Promise.all(
      threads.map(async (thread) => {
        while (next < paths.length) {
          const batch = paths.slice(next, next + BATCH);
          next += BATCH;
          for (const read of await ask(thread, batch)) all.push(read);
        }
      }),
    );
    return all;
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

async function ask(thread: Worker, paths: readonly string[]): Promise<readonly (Candidate | Refusal)[]> {
  thread.postMessage(paths);
  // candidate-thread.ts writes nothing else; `once` rejects when the thread ends with an error.
  const [answer] = (await once(thread, 'message')) as [CandidatesAnswer];
  if ('read' in answer) return answer.read;
  const wire = WireErrorSchema.safeParse(answer.failed.wire);
  throw wire.success ? BenchError.fromWire(wire.data) : new Error(answer.failed.text);
}

/** `candidate-thread.js` in a build, `candidate-thread.ts` through tsx in the source tree. */
function startThread(): Worker {
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./candidate-thread.js', import.meta.url));
  // A thread takes no loader from its command line; it has to register one before it imports what needs it.
  const tsx = pathToFileURL(
    createRequire(import.meta.url)
      .resolve('tsx/esm/api')
      .replace(/cjs$/, 'mjs'),
  ).href;
  const program = new URL('./candidate-thread.ts', import.meta.url).href;
  const start = `import(${JSON.stringify(tsx)}).then(({register}) => { register(); return import(${JSON.stringify(program)}); })`;
  return new Worker(start, {eval: true});
}
