import {BenchError} from '../../harness/contract/errors.ts';
import type {WorkOrder} from '../../harness/contract/protocol.ts';
import type {ServerRef} from '../../harness/contract/server.ts';
import {sharedPrefixTokens} from '../../harness/contract/workload.ts';
import type {Answered, Client} from './client.ts';
import type {Dialect, ListedModel} from './dialect.ts';
import {filePrompts, type ServerPrompt, type ServerPrompts, tokenPrompts, wordPrompts, words} from './prompts.ts';

/** What was found out of a server before anything is timed. */
export interface Rehearsed {
  readonly prompts: ServerPrompts;
  readonly promptKind: 'tokens' | 'text' | 'file';
  /** Answers go on after the end of the sequence. */
  readonly ignoreEos: boolean;
  /** Prompts or answers may have other lengths than the workload asks. */
  readonly lengthsVary: boolean;
  /** Answers may; else one that is too short fails. */
  readonly answersVary: boolean;
  readonly streams: boolean;
}

/** Tokens of a rehearsed answer: enough to see whether it comes in pieces. */
const SHORT_ANSWER = 8;
/** No prompt of the run has these places. */
const FAR = 1 << 24;

/**
 * Tries the server before anything is timed: whether it takes the request, streams, counts, and reuses nothing.
 *
 * @throws {BenchError} What the server refuses, in its own words.
 */
export async function rehearse(
  order: WorkOrder,
  client: Client,
  {server, dialect, model}: {server: ServerRef; dialect: Dialect; model: ListedModel},
): Promise<Rehearsed> {
  const {workload} = order.cell;
  const fromFile = order.promptsPath !== null;
  checkContext(order, model);
  const ask = (prompt: ServerPrompt, salt: string, cacheable = false) =>
    client.ask({
      prompt,
      generatedTokens: Math.min(workload.generatedTokens, SHORT_ANSWER),
      ignoreEos: !fromFile,
      cacheable,
      salt: `bench-rehearsal-${order.cell.promptSeed}-${order.round}-${salt}`,
      signal: new AbortController().signal,
    });

  if (order.promptsPath !== null) {
    const prompts = filePrompts(order, order.promptsPath);
    const answered = await ask(prompts.at({phase: 'warmup', index: 0, counts: false}), 'file');
    // An answer is judged as it is deployed: it ends where the model ends it.
    return {
      prompts,
      promptKind: 'file',
      ignoreEos: false,
      lengthsVary: true,
      answersVary: true,
      streams: doesStream(answered),
    };
  }
  if (takesTokens(server, dialect)) {
    const prompts = tokenPrompts(order, server.vocabularyTokens ?? model.vocabularyTokens);
    const answered = await ask(prompts.at({phase: 'warmup', index: FAR, counts: false}), 'tokens');
    const inexact = answered.promptTokens !== null && answered.promptTokens !== workload.promptTokens;
    if (prompts.shared !== null) await fillCache(order, ask, prompts.shared);
    return {
      prompts,
      promptKind: 'tokens',
      ignoreEos: true,
      lengthsVary: inexact || !server.fixedLength,
      answersVary: !server.fixedLength,
      streams: doesStream(answered),
    };
  }
  if (sharedPrefixTokens(workload) > 0) {
    throw new BenchError(
      'UNSUPPORTED',
      `prefix_cache needs prompts of token ids, which ${dialect.name} is not known to take`,
    );
  }
  const {scale, answered} = await measureWords(order, ask);
  return {
    prompts: wordPrompts(order, scale),
    promptKind: 'text',
    ignoreEos: true,
    lengthsVary: true,
    answersVary: !server.fixedLength,
    streams: doesStream(answered),
  };
}

function takesTokens(server: ServerRef, dialect: Dialect): boolean {
  if (server.endpoint === 'chat') return false;
  return server.prompt === 'auto' ? dialect.takesTokenIds : server.prompt === 'tokens';
}

/** One time for an answer of several tokens: it came whole, or something on the way collected it. */
function doesStream({streamed, generatedTokens, times}: Answered): boolean {
  return streamed && (generatedTokens === 1 || times.grouped < generatedTokens - 1);
}

/** @throws {BenchError} UNSUPPORTED when the server says that a sequence has no room for the workload. */
function checkContext({cell}: WorkOrder, {contextTokens}: ListedModel): void {
  const needed = cell.workload.promptTokens + cell.workload.generatedTokens;
  if (contextTokens === null || contextTokens >= needed) return;
  throw new BenchError(
    'UNSUPPORTED',
    `the server has ${contextTokens} positions for a sequence, the workload needs ${needed}: start it with a longer context`,
  );
}

type Ask = (prompt: ServerPrompt, salt: string, cacheable?: boolean) => Promise<Answered>;

/** Puts the shared prefix into the server's cache, and sees that the server says what it takes from there. */
async function fillCache(order: WorkOrder, ask: Ask, shared: ServerPrompt): Promise<void> {
  await ask(shared, 'shared', true);
  const {cachedTokens} = await ask(shared, 'shared', true);
  if (cachedTokens !== null) return;
  throw new BenchError(
    'UNSUPPORTED',
    `prefix_cache ${order.cell.workload.prefixCache} needs a server that tells cached_tokens: vLLM with --enable-prompt-tokens-details, SGLang with --enable-cache-report`,
  );
}

/** How many tokens this server makes of words, from two prompts of different length. */
async function measureWords(order: WorkOrder, ask: Ask) {
  const {promptTokens} = order.cell.workload;
  const prompt = (count: number, index: number): ServerPrompt => ({
    content: words(order, {phase: 'warmup', index: FAR + index, counts: false}, count),
    tokens: null,
    answer: undefined,
  });
  const [few, many] = [Math.max(1, Math.floor(promptTokens / 4)), Math.max(2, Math.floor(promptTokens / 2))];
  const short = await ask(prompt(few, 1), 'short');
  const answered = await ask(prompt(many, 2), 'long');
  if (short.promptTokens === null || answered.promptTokens === null || answered.promptTokens <= short.promptTokens) {
    return {scale: {fixedTokens: 0, tokensPerWord: 1}, answered};
  }
  const tokensPerWord = (answered.promptTokens - short.promptTokens) / (many - few);
  return {scale: {fixedTokens: Math.max(0, short.promptTokens - few * tokensPerWord), tokensPerWord}, answered};
}
