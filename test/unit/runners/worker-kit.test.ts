import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {loadedCpuKernel} from '../../../runners/worker-kit/cpu-code.ts';
import {isaName, isCapped, missingFlags} from '../../../runners/worker-kit/cpu-isa.ts';
import {EventChannel} from '../../../runners/worker-kit/event-channel.ts';
import {loadFailure} from '../../../runners/worker-kit/load-failure.ts';
import {median, medianRank, relativeHalfWidth} from '../../../runners/worker-kit/median-interval.ts';
import {promptTokens, sharedPrefix} from '../../../runners/worker-kit/prompt-tokens.ts';
import {isCorrect, promptAt} from '../../../runners/worker-kit/prompts-file.ts';
import {StopRule} from '../../../runners/worker-kit/stop-rule.ts';
import {workOrder} from '../../support/work-order.ts';

const VOCABULARY = {size: 1000, isSpecial: (id: number) => id >= 990 || id === 3};
const FIRST = {phase: 'measure', index: 0, lane: 0, sequence: 0} as const;

describe('prompt tokens', () => {
  it('are the ones that a worker in any language makes', () => {
    expect([...promptTokens(workOrder({workload: {promptTokens: 10}}), FIRST, VOCABULARY)]).toMatchInlineSnapshot(`
      [
        352,
        91,
        285,
        772,
        352,
        625,
        562,
        34,
        416,
        11,
      ]
    `);
  });

  it('do not depend on format, runner or kernel', () => {
    const gptq = workOrder({cell: {format: 'gptq-4bit', kernel: 'marlin', runner: {id: 'transformers'}}});
    expect(promptTokens(gptq, FIRST, VOCABULARY)).toEqual(promptTokens(workOrder(), FIRST, VOCABULARY));
  });

  it('differ by seed, round, phase, index, lane and sequence', () => {
    const prompts = [
      promptTokens(workOrder(), FIRST, VOCABULARY),
      promptTokens(workOrder({cell: {promptSeed: 8}}), FIRST, VOCABULARY),
      promptTokens(workOrder({round: 1}), FIRST, VOCABULARY),
      promptTokens(workOrder(), {...FIRST, phase: 'warmup'}, VOCABULARY),
      promptTokens(workOrder(), {...FIRST, index: 1}, VOCABULARY),
      promptTokens(workOrder(), {...FIRST, lane: 1}, VOCABULARY),
      promptTokens(workOrder(), {...FIRST, sequence: 1}, VOCABULARY),
    ];
    expect(new Set(prompts.map(String)).size).toBe(prompts.length);
  });

  it('are below the vocabulary and never special', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(1000), (promptSeed, index) => {
        const prompt = promptTokens(workOrder({cell: {promptSeed}}), {...FIRST, index}, VOCABULARY);
        return prompt.every((id) => id >= 0 && id < VOCABULARY.size && !VOCABULARY.isSpecial(id));
      }),
    );
  });

  it('begin with the shared prefix, and only with that', () => {
    const order = workOrder({workload: {prefixCache: 'shared:8'}});
    const prefix = sharedPrefix(order, VOCABULARY);
    const [a, b] = [0, 1].map((index) => promptTokens(order, {...FIRST, index}, VOCABULARY));
    expect(a?.slice(0, 8)).toEqual(prefix);
    expect(b?.slice(0, 8)).toEqual(prefix);
    expect(a?.slice(8)).not.toEqual(b?.slice(8));
    expect(a).toHaveLength(24);
  });
});

describe('the event channel', () => {
  it('writes a line whole through a pipe that takes three bytes at a time and is full in between', () => {
    const written: number[] = [];
    let full = false;
    let pauses = 0;
    const channel = new EventChannel(
      (bytes, offset) => {
        full = !full;
        if (full) throw Object.assign(new Error('full'), {code: 'EAGAIN'});
        const taken = bytes.subarray(offset, offset + 3);
        written.push(...taken);
        return taken.length;
      },
      () => pauses++,
    );
    channel.send({type: 'phase', tNs: 1, name: 'measure'});
    expect(Buffer.from(written).toString()).toBe('{"type":"phase","tNs":1,"name":"measure"}\n');
    expect(pauses).toBe(14);
  });

  it('does not hide another error of the pipe', () => {
    const channel = new EventChannel(() => {
      throw Object.assign(new Error('gone'), {code: 'EPIPE'});
    });
    expect(() => channel.send({type: 'phase', tNs: 1, name: 'measure'})).toThrow('gone');
  });
});

describe('the interval of the median', () => {
  it('has the ranks of the tables of order statistics', () => {
    expect([5, 6, 10, 20, 30, 50, 100].map(medianRank)).toEqual([0, 1, 2, 6, 10, 18, 40]);
  });

  it('is infinitely wide below six values and 0 for equal ones', () => {
    expect(relativeHalfWidth([1, 2, 3, 4, 5])).toBe(Number.POSITIVE_INFINITY);
    expect(relativeHalfWidth([2, 2, 2, 2, 2, 2])).toBe(0);
    expect(relativeHalfWidth([])).toBe(Number.POSITIVE_INFINITY);
  });

  it('is half the distance of its two order statistics, relative to the median', () => {
    expect(relativeHalfWidth([10, 8, 9, 11, 12, 10])).toBeCloseTo((12 - 8) / 2 / 10, 12);
    expect(median([1, 2, 4])).toBe(2);
  });
});

describe('the stop rule', () => {
  const settings = {...workOrder().cell.stop, minRequests: 6, maxRequests: 20, relativeHalfWidth: 0.1, minSeconds: 0};

  it('ends with enough when the least number and the width are reached', () => {
    const rule = new StopRule(settings, 0);
    const stops = [1, 2, 3, 4, 5, 6].map((at) => rule.add(10, at));
    expect(stops).toEqual([null, null, null, null, null, 'enough']);
  });

  it('goes on while the interval is wide, to the most requests', () => {
    const rule = new StopRule(settings, 0);
    const stops = Array.from({length: 20}, (_, index) => rule.add(index % 2 === 0 ? 5 : 50, index));
    expect(stops.slice(0, 19).every((stop) => stop === null)).toBe(true);
    expect(stops.at(-1)).toBe('max');
  });

  it('waits for the least time', () => {
    const rule = new StopRule({...settings, minSeconds: 1}, 0);
    rule.startMeasuring(500);
    for (let index = 0; index < 6; index++) expect(rule.add(10, 1400)).toBeNull();
    expect(rule.add(10, 1500)).toBe('enough');
  });

  it('ends by the budget, which warm-up uses, too', () => {
    const rule = new StopRule({...settings, budgetSeconds: 1}, 0);
    rule.startMeasuring(900);
    expect(rule.add(10, 999)).toBeNull();
    expect(rule.add(10, 1000)).toBe('budget');
  });

  it('ends the warm-up when two requests in a row took the same time', () => {
    const rule = new StopRule({...settings, warmupMinRequests: 1, warmupMaxRequests: 5}, 0);
    expect(rule.isWarm(0)).toBe(false);
    rule.addWarmup(100);
    expect(rule.isWarm(1)).toBe(false);
    rule.addWarmup(50);
    expect(rule.isWarm(2)).toBe(false);
    rule.addWarmup(51);
    expect([rule.isWarm(3), rule.isSteady]).toEqual([true, true]);
  });

  it('ends an unsteady warm-up at its maximum, and says that it was unsteady', () => {
    const rule = new StopRule({...settings, warmupMinRequests: 0, warmupMaxRequests: 2}, 0);
    rule.addWarmup(100);
    rule.addWarmup(50);
    expect([rule.isWarm(3), rule.isSteady]).toEqual([true, false]);
  });
});

describe('answers', () => {
  it('are compared without the blanks around them, and as JSON where they are JSON', () => {
    expect(isCorrect(' Paris\n', 'Paris')).toBe(true);
    expect(isCorrect('paris', 'Paris')).toBe(false);
    expect(isCorrect('{"b": 2, "a": 1}', '{"a":1,"b":2}')).toBe(true);
    expect(isCorrect('{"a":1}', {a: 1})).toBe(true);
    expect(isCorrect('{"a":1', {a: 1})).toBe(false);
    expect(isCorrect('null', 'x')).toBe(false);
  });

  it('rounds take turns, so that no prompt comes twice before each came once', () => {
    const prompts = Array.from({length: 6}, (_, id) => ({id, prompt: `p${id}`}));
    const seen = [0, 1].flatMap((round) => [0, 1, 2].map((index) => promptAt(prompts, index, round, 2)?.id));
    expect(seen).toEqual([0, 2, 4, 1, 3, 5]);
  });
});

describe('instruction sets', () => {
  it('are named by what the code was compiled with', () => {
    expect(isaName(new Set(['AVX', 'AVX2', 'FMA']))).toBe('avx2');
    expect(isaName(new Set(['AVX2', 'AVX512', 'AVX512_VNNI', 'AVX512_BF16']))).toBe('avx512-vnni-bf16');
    expect(isaName(new Set(['NEON', 'DOTPROD']))).toBe('neon-dotprod');
    expect(isaName(new Set())).toBe('scalar');
  });

  it('a cap is a cap only on a wider machine, and needs what it names', () => {
    expect(isCapped('avx2', ['avx2', 'avx512f'])).toBe(true);
    expect(isCapped('avx2', ['avx2'])).toBe(false);
    expect(isCapped('native', ['avx2', 'avx512f'])).toBe(false);
    expect(missingFlags('avx2', ['avx2', 'fma', 'f16c'])).toEqual(['bmi2']);
  });

  it('the library that is mapped names the kernel', () => {
    expect(loadedCpuKernel('7f /x/libggml-base.so\n7f /x/libggml-cpu-zen4.so\n')).toBe('cpu-zen4');
    expect(loadedCpuKernel('7f /x/libggml-cpu.so.0.25.1\n')).toBe('cpu-native');
    expect(loadedCpuKernel('7f /x/libc.so.6\n')).toBeNull();
  });
});

describe('a failed load', () => {
  const coded = (lines: readonly string[]) => {
    const error = loadFailure('model x.gguf', lines, 'MODEL_CORRUPT');
    return `${error.code}: ${error.message}`;
  };

  it('is coded by the lines of the engine and tells the one that says something', () => {
    expect(
      coded(["a: unknown model architecture: 'lxama'", 'llama_model_load_from_file_impl: failed to load model']),
    ).toBe("UNSUPPORTED: model x.gguf: a: unknown model architecture: 'lxama'");
    expect(coded(['b: failed to allocate buffer of size 9', 'b: failed to load model'])).toMatch(/^DOES_NOT_FIT: /);
    expect(coded(['gguf: failed to read magic', 'c: failed to load model'])).toBe(
      'MODEL_CORRUPT: model x.gguf: gguf: failed to read magic',
    );
    expect(coded([])).toBe('MODEL_CORRUPT: model x.gguf: the engine gave no reason');
  });
});
