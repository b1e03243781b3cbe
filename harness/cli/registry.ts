import {llamaCppRunner} from '../../runners/llama-cpp/runner.ts';
import {nodeLlamaCppRunner} from '../../runners/node-llama-cpp/runner.ts';
import {openaiHttpRunner} from '../../runners/openai-http/runner.ts';
import {simulatedRunner} from '../../runners/simulated/runner.ts';
import {transformersRunner} from '../../runners/transformers/runner.ts';
import type {Runner} from '../contract/runner.ts';

/** Every engine that bench knows by name. A user's own worker needs no entry here: see `runners` in a matrix file. */
export const RUNNERS: ReadonlyMap<string, Runner> = new Map(
  [llamaCppRunner, nodeLlamaCppRunner, transformersRunner, openaiHttpRunner, simulatedRunner].map((runner) => [
    runner.id,
    runner,
  ]),
);
