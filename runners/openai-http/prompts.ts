import type {WorkOrder} from '../../harness/contract/protocol.ts';
import {promptTokens, sharedPrefix} from '../worker-kit/prompt-tokens.ts';
import {type Prompt, promptAt, readPromptsFile} from '../worker-kit/prompts-file.ts';

/** What a server gets as its prompt. */
export interface ServerPrompt {
  /** Token ids, or a text. */
  readonly content: readonly number[] | string;
  /** Exact where the prompt is token ids; else null, and the server's usage tells. */
  readonly tokens: number | null;
  /** Expected answer; undefined when nothing is judged. */
  readonly answer: Prompt['answer'];
}

export interface PromptPlace {
  readonly phase: 'warmup' | 'measure';
  readonly index: number;
  /** Requests that only keep the load up have prompts of their own. */
  readonly counts: boolean;
}

export interface ServerPrompts {
  at(place: PromptPlace): ServerPrompt;
  /** What all prompts begin with, to be put into the cache beforehand; null when every prompt is its own. */
  readonly shared: ServerPrompt | null;
}

/** Where the server does not tell the size of its vocabulary: no model in use has a smaller one. */
const COMMON_VOCABULARY = 32_000;
/** Special tokens stand at the ends of a vocabulary: this share of it is left out at each end. */
const MARGIN = 1 / 10;

/**
 * Random token ids from the middle of the vocabulary: the keys are those of every other worker, so that no two requests
 * of a run have a prompt in common, not even its first token but by chance.
 *
 * @param vocabularyTokens Size of the vocabulary; null when it is not known.
 */
export function tokenPrompts(order: WorkOrder, vocabularyTokens: number | null): ServerPrompts {
  const size = vocabularyTokens ?? COMMON_VOCABULARY;
  const low = Math.floor(size * MARGIN);
  const middle = {size: size - 2 * low, isSpecial: () => false};
  const prompt = (ids: Int32Array): ServerPrompt => ({
    content: Array.from(ids, (id) => id + low),
    tokens: ids.length,
    answer: undefined,
  });
  const prefix = sharedPrefix(order, middle);
  return {
    at: (place) => prompt(promptTokens(order, position(place), middle)),
    shared: prefix.length === 0 ? null : prompt(prefix),
  };
}

/** How many tokens a server makes of words: found out with two prompts. */
export interface WordScale {
  /** Of a prompt without words: the template of a chat, a token of beginning. */
  readonly fixedTokens: number;
  readonly tokensPerWord: number;
}

/** Random words, as many as make about the tokens that the workload asks; how many it were, the server's usage tells. */
export function wordPrompts(order: WorkOrder, scale: WordScale): ServerPrompts {
  const wanted = (order.cell.workload.promptTokens - scale.fixedTokens) / scale.tokensPerWord;
  const count = Math.max(1, Math.round(wanted));
  return {at: (place) => ({content: words(order, place, count), tokens: null, answer: undefined}), shared: null};
}

/** A text of so many random words. */
export function words(order: WorkOrder, place: PromptPlace, count: number): string {
  const sized = {...order, cell: {...order.cell, workload: {...order.cell.workload, promptTokens: count}}};
  const picks = promptTokens(sized, position(place), {size: WORDS.length, isSpecial: () => false});
  return Array.from(picks, (pick) => WORDS[pick] ?? '').join(' ');
}

/** The prompts of a file with their answers, as they are. */
export function filePrompts(order: WorkOrder, path: string): ServerPrompts {
  const {rounds} = order.cell;
  const prompts = readPromptsFile(path);
  return {
    at({phase, index, counts}) {
      // Warm-up takes the prompts from the end, so that no measured request repeats the one before it.
      const measured = phase === 'measure' && counts;
      const prompt = measured
        ? promptAt(prompts, index, order.round, rounds)
        : prompts[prompts.length - 1 - (index % prompts.length)];
      return {content: prompt?.prompt ?? '', tokens: null, answer: prompt?.answer};
    },
    shared: null,
  };
}

function position({phase, index, counts}: PromptPlace) {
  return {phase, index, lane: counts ? 0 : 1, sequence: 0} as const;
}

/** Words that are one token, or little more, in every tokenizer of a language model with English in it. */
const WORDS: readonly string[] = (
  'time year people way day man thing woman life child world school state family student group country problem hand ' +
  'part place case week company system program question work government number night point home water room mother area ' +
  'money story fact month lot right study book eye job word business issue side kind head house service friend father ' +
  'power hour game line end member law car city community name president team minute idea body information back parent ' +
  'face others level office door health person art war history party result change morning reason research girl guy ' +
  'moment air teacher force education foot boy age policy music market sense nation plan college interest death ' +
  'experience effect use class control care field role effort rate heart drug show leader light voice wife police mind'
).split(' ');
