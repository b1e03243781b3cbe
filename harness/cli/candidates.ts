import type {Refusal} from '../contract/attempt.ts';
import {type Candidate, candidateOf} from '../derive/merge.ts';
import {readAttempts} from '../store/attempt-file.ts';
import {deriveRows} from './derive-rows.ts';

/** What a thread answers to a list of paths. */
export type CandidatesAnswer =
  | {readonly read: readonly (Candidate | Refusal)[]}
  | {readonly failed: {readonly wire: unknown; readonly text: string}};

/** Attempt files with the rows that they give, in the order of the paths. @throws {BenchError} `FILE_UNREADABLE`. */
export async function readCandidates(paths: readonly string[]): Promise<(Candidate | Refusal)[]> {
  const all: (Candidate | Refusal)[] = [];
  for await (const read of readAttempts(paths)) all.push('code' in read ? read : candidateOf(read, deriveRows));
  return all;
}
