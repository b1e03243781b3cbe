import {parentPort} from 'node:worker_threads';
import {BenchError} from '../contract/errors.ts';
import {type CandidatesAnswer, readCandidates} from './candidates.ts';

// One thread of candidate-threads.ts: paths come in, candidates go out.
const port = parentPort;
port?.on('message', (paths: readonly string[]) => {
  readCandidates(paths).then(
    (read) => port.postMessage({read} satisfies CandidatesAnswer),
    (error: unknown) => {
      const wire = error instanceof BenchError ? error.toJSON() : null;
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      port.postMessage({failed: {wire, text}} satisfies CandidatesAnswer);
    },
  );
});
