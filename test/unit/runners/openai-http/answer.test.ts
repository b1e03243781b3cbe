import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {BenchError} from '../../../../harness/contract/errors.ts';
import {Answer} from '../../../../runners/openai-http/answer.ts';
import {listedModels} from '../../../../runners/openai-http/dialect.ts';
import {errorWords, shortLine} from '../../../../runners/openai-http/server-words.ts';

function answerOf(chunks: readonly unknown[], generatedTokens = 4) {
  const answer = new Answer({generatedTokens, keepText: true, secret: null});
  for (const [index, chunk] of chunks.entries()) {
    answer.take({name: '', data: typeof chunk === 'string' ? chunk : JSON.stringify(chunk)}, (index + 1) * 10);
  }
  return answer;
}

const finished = (chunks: readonly unknown[], generatedTokens = 4) => answerOf(chunks, generatedTokens).finish();
const llama = (text: string, predicted: number, more: object = {}) => ({
  choices: [{text, index: 0, finish_reason: null}],
  timings: {predicted_n: predicted, prompt_n: 24, cache_n: 0},
  ...more,
});

describe('Answer', () => {
  test('follows llama-server, which holds text back within a character and counts along', () => {
    const chunks = [
      llama('a', 1),
      llama('✓', 4),
      {
        choices: [{text: '', finish_reason: 'length'}],
        timings: {predicted_n: 5},
        usage: {completion_tokens: 5, prompt_tokens: 24, prompt_tokens_details: {cached_tokens: 0}},
      },
      '[DONE]',
    ];
    expect(finished(chunks, 5)).toEqual({
      times: {tokenMs: [10, 20, 20, 20, 30], grouped: 2, exact: true},
      generatedTokens: 5,
      promptTokens: 24,
      cachedTokens: 0,
      countedByServer: true,
      streamed: true,
      finishReason: 'length',
      text: 'a✓',
    });
  });

  test('does not take the role that a chat begins with for a token, and takes thinking for one', () => {
    const delta = (content: object, tokens: number) => ({
      choices: [{delta: content}],
      usage: {completion_tokens: tokens},
    });
    const {times} = finished([
      delta({role: 'assistant', content: ''}, 0),
      delta({reasoning_content: 'hm'}, 1),
      delta({content: 'yes'}, 2),
      {choices: [{delta: {}, finish_reason: 'stop'}], usage: {completion_tokens: 2}},
    ]);
    expect(times.tokenMs).toEqual([20, 30]);
    const uncounted = finished([
      {choices: [{delta: {role: 'assistant'}}]},
      {choices: [{delta: {reasoning: 'hm'}}]},
      {choices: [{delta: {content: 'yes'}, finish_reason: 'stop'}]},
    ]);
    expect(uncounted).toMatchObject({generatedTokens: 2, countedByServer: false, times: {tokenMs: [20, 30]}});
  });

  test('takes a count that only comes with the last piece for the sum', () => {
    const {times} = finished([
      {choices: [{text: 'a'}]},
      {choices: [{text: 'b'}]},
      {choices: [{text: 'c', finish_reason: 'length'}], usage: {completion_tokens: 3, prompt_tokens: 2}},
    ]);
    expect(times).toEqual({tokenMs: [10, 20, 30], grouped: 0, exact: true});
  });

  test('does not believe a running count that stays 0 while text comes', () => {
    const zero = (text: string) => ({choices: [{text}], usage: {completion_tokens: 0}});
    const {times} = finished([zero('a'), zero('b'), {choices: [], usage: {completion_tokens: 2}}, '[DONE]'], 2);
    expect(times.tokenMs).toEqual([10, 20]);
  });

  test('never throws anything but a coded error, whatever a server sends', () => {
    const piece = fc.oneof(
      fc.json(),
      fc.string(),
      fc.record(
        {
          choices: fc.oneof(
            fc.array(
              fc.record(
                {text: fc.oneof(fc.string(), fc.integer()), delta: fc.jsonValue(), finish_reason: fc.jsonValue()},
                {requiredKeys: []},
              ),
              {maxLength: 2},
            ),
            fc.jsonValue(),
          ),
          usage: fc.oneof(
            fc.jsonValue(),
            fc.record({completion_tokens: fc.oneof(fc.nat(9), fc.double(), fc.string())}),
          ),
          timings: fc.jsonValue(),
          error: fc.constantFrom(undefined, null, {message: 'x'}, 'x', 5),
        },
        {requiredKeys: []},
      ),
      fc.constant('[DONE]'),
    );
    fc.assert(
      fc.property(fc.array(piece, {maxLength: 8}), (chunks) => {
        try {
          const {times, generatedTokens} = finished(chunks);
          expect(times.tokenMs).toHaveLength(generatedTokens);
        } catch (error) {
          expect(error).toBeInstanceOf(BenchError);
          expect((error as BenchError).message).not.toMatch(/\p{Cc}/u);
        }
      }),
      {numRuns: 1000},
    );
  });
});

describe('what a server says', () => {
  test('becomes one short line without control characters, direction marks and the key', () => {
    expect(shortLine('a\r\n\u001b[31mred\u001b[0m\u0000 \u202Eb sk-key', 'sk-key')).toBe('a red b ***');
    expect(shortLine('x'.repeat(500))).toHaveLength(200);
  });

  test('is found in every usual form of an error', () => {
    expect(
      [{error: {message: 'a'}}, {error: 'b'}, {message: 'c'}, {detail: [{msg: 'x'}]}, {detail: 'd'}, 'e', 7, null].map(
        errorWords,
      ),
    ).toEqual(['a', 'b', 'c', '', 'd', 'e', '', '']);
  });

  test('about its models is taken over where it has the right form, and else left out', () => {
    expect(
      listedModels({
        data: [
          {id: 'm', owned_by: 'llamacpp', meta: {n_ctx: 512, n_vocab: 32_000, size: 99, n_params: 50}},
          {id: 'v', owned_by: 'vllm', max_model_len: 4096},
          {id: 7},
          null,
          {id: 'w', owned_by: 3, meta: {n_ctx: -1, n_vocab: 'x', size: 0}},
        ],
      }),
    ).toEqual([
      {name: 'm', owner: 'llamacpp', contextTokens: 512, vocabularyTokens: 32_000, weightsBytes: 99, parameters: 50},
      {name: 'v', owner: 'vllm', contextTokens: 4096, vocabularyTokens: null, weightsBytes: null, parameters: null},
      {name: 'w', owner: null, contextTokens: null, vocabularyTokens: null, weightsBytes: null, parameters: null},
    ]);
    fc.assert(fc.property(fc.jsonValue(), (body) => void listedModels(body)));
  });
});
