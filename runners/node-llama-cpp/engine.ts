import type {LlamaContextSequence, LlamaModel, Token} from 'node-llama-cpp';
import {BenchError} from '../../harness/contract/errors.ts';
import type {Engine, EngineRequest, EngineResult, Vocabulary} from '../worker-kit/engine.ts';

export interface NodeLlamaParts {
  readonly model: LlamaModel;
  readonly sequence: LlamaContextSequence;
  readonly contextTokens: number;
  readonly facts: Engine['facts'];
}

/** One sequence of one context, evaluated token by token through the public generator. */
export class NodeLlamaEngine implements Engine {
  readonly facts: Engine['facts'];
  readonly vocabulary: Vocabulary;
  readonly contextTokens: number;
  readonly #model: LlamaModel;
  readonly #sequence: LlamaContextSequence;

  constructor({model, sequence, contextTokens, facts}: NodeLlamaParts) {
    this.facts = facts;
    this.contextTokens = contextTokens;
    this.#model = model;
    this.#sequence = sequence;
    this.vocabulary = {
      size: vocabularySize(model),
      isSpecial: (id) => model.isSpecialToken(asToken(id)) || model.isEogToken(asToken(id)),
    };
  }

  readonly now = (): number => performance.now();

  prime(): never {
    throw new BenchError('UNSUPPORTED', 'node-llama-cpp cannot be told which prefix to keep');
  }

  async generate({prompts, generatedTokens, tokenMs, tokens}: EngineRequest): Promise<EngineResult> {
    const sequence = this.#sequence;
    const prompt = Array.from(prompts[0] ?? [], asToken);
    const meter = sequence.tokenMeter;
    // The meter counts a submitted token as output when its logits are wanted: the last one of the prompt is.
    const submitted = () => meter.usedInputTokens + meter.usedOutputTokens;
    const before = submitted();
    let evaluatedTokens = 0;
    let step = 0;

    const startMs = performance.now();
    // Part of the request, as in every other engine; without it the next prompt would be compared with this one.
    await sequence.clearHistory();
    for await (const token of sequence.evaluate(prompt, {temperature: 0, yieldEogToken: true})) {
      tokenMs[step] = performance.now();
      if (step === 0) evaluatedTokens = submitted() - before;
      tokens[step++] = token;
      if (step === generatedTokens) break;
    }
    if (step < generatedTokens) {
      throw new BenchError('WORKER_CRASHED', `node-llama-cpp gave ${step} of ${generatedTokens} tokens`);
    }
    return {startMs, evaluatedTokens, cachedTokens: Math.max(0, prompt.length - evaluatedTokens)};
  }

  tokenize(text: string): Int32Array {
    const {bos, shouldPrependBosToken} = this.#model.tokens;
    const ids = this.#model.tokenize(text, true);
    const first = shouldPrependBosToken && bos !== null && ids[0] !== bos ? [bos] : [];
    return Int32Array.from([...first, ...ids]);
  }

  detokenize(tokens: Int32Array): string {
    const end = tokens.findIndex((token) => this.#model.isEogToken(asToken(token)));
    const own = end < 0 ? tokens : tokens.slice(0, end);
    return this.#model.detokenize(Array.from(own, asToken));
  }
}

/** Cast: the package brands its token ids; an id below the vocabulary's size is one. */
function asToken(id: number): Token {
  return id as Token;
}

/** As many tokens as the file lists: the package names no size of its own. */
function vocabularySize(model: LlamaModel): number {
  const size = model.fileInfo.metadata.tokenizer.ggml.tokens.length;
  if (size === 0) throw new BenchError('UNSUPPORTED', 'the model file lists no tokens');
  return size;
}
