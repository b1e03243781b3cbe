import type {WorkOrder} from '../../harness/contract/protocol.ts';
import type {Engine, Vocabulary} from './engine.ts';
import {promptTokens} from './prompt-tokens.ts';
import {type Prompt, promptAt, readPromptsFile} from './prompts-file.ts';

type Phase = 'warmup' | 'measure';

export interface RequestPrompt {
  /** Token ids, one array per sequence of the batch. */
  readonly sequences: readonly Int32Array[];
  /** Expected answer; undefined when nothing is judged. */
  readonly answer: Prompt['answer'];
}

export interface PromptSource {
  at(phase: Phase, index: number): RequestPrompt;
  /** True when a prompt of the file was cut to the context. */
  readonly cut: boolean;
}

/** What a source needs of an engine. */
export type PromptEngine = Pick<Engine, 'contextTokens' | 'tokenize'> & {readonly vocabulary: Vocabulary};

/** Random token ids, or the prompts of the file in the model's own tokens. */
export function promptSource(order: WorkOrder, engine: PromptEngine): PromptSource {
  return order.promptsPath === null ? randomPrompts(order, engine) : filePrompts(order, order.promptsPath, engine);
}

function randomPrompts(order: WorkOrder, {vocabulary}: PromptEngine): PromptSource {
  const sequences = Array.from({length: order.cell.workload.batch}, (_, sequence) => sequence);
  return {
    cut: false,
    at: (phase, index) => ({
      sequences: sequences.map((sequence) => promptTokens(order, {phase, index, lane: 0, sequence}, vocabulary)),
      answer: undefined,
    }),
  };
}

function filePrompts(order: WorkOrder, path: string, engine: PromptEngine): PromptSource {
  const {rounds, workload} = order.cell;
  const room = engine.contextTokens - workload.generatedTokens - 1;
  const prompts = readPromptsFile(path);
  const tokens = prompts.map(({prompt}) => engine.tokenize(prompt));
  const byPrompt = new Map(prompts.map((prompt, index) => [prompt, tokens[index] ?? new Int32Array(0)]));
  return {
    cut: tokens.some(({length}) => length > room),
    at(phase, index) {
      // Warm-up takes the prompts from the end, so that no measured request repeats the one before it.
      const place = phase === 'warmup' ? prompts.length - 1 - (index % prompts.length) : index;
      const prompt = phase === 'warmup' ? prompts[place] : promptAt(prompts, place, order.round, rounds);
      const ids = prompt === undefined ? undefined : byPrompt.get(prompt);
      return {sequences: [(ids ?? new Int32Array(0)).slice(0, Math.max(1, room))], answer: prompt?.answer};
    },
  };
}
